"""TLS for the page: a certificate that was given, or one of our own so that a phone may hand out its camera."""

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from cryptography import x509

# Browsers refuse more than 398 days.
_DAYS = 397
# Made again in time for nobody to meet an expired one.
_SPARE_DAYS = 30


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a TLS server (1.2 and later). Raises `UsageError` for files that do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"TLS certificate {certificate} with key {key}: {error.strerror or error}") from error
    return context


def self_signed(folder: Path, hosts: Iterable[str]) -> tuple[Path, Path]:
    """Return certificate and key of our own for `hosts`, kept in `folder` (0700) so that browsers meet them again."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = sorted(set(hosts))
    if not _serves(certificate, key, names):
        for level in (folder.parent, folder):
            level.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(certificate, key, names)
    return certificate, key


def own_names() -> list[str]:
    """Return the names and addresses this machine goes by."""
    machine = socket.gethostname()
    return ["localhost", "127.0.0.1", "::1", machine, f"{machine.partition('.')[0]}.local", *lan_addresses()]


def lan_addresses(*, only_ipv4: bool = False) -> list[str]:
    """Return the addresses by which this machine leaves for others, [] without a network. Nothing is sent."""
    found = []
    outsides = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]
    for family, outside in outsides[:1] if only_ipv4 else outsides:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found


def _serves(certificate: Path, key: Path, names: list[str]) -> bool:
    from cryptography import x509

    if not (certificate.exists() and key.exists()):
        return False
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        listed = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    covers = {str(entry.value) for entry in listed} >= set(names)
    return covers and known.not_valid_after_utc - datetime.now(UTC) > timedelta(days=_SPARE_DAYS)


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Power Painter")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_private(key, pem)
    _write_private(certificate, signed.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_private(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
