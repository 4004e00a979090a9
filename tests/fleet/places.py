"""What tests of a fleet stand on: free ports, certificates, and Debian's own redis-server beside the embedded one."""

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.process.spawn import spawn
from pipeline.protocol.frame import Codec, EncodedFrame

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str) -> str:
    """Return the path of a server's program; without it the test is skipped, in CI it fails."""
    if path := shutil.which(name):
        return path
    message = f"{name} is not installed"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def running(argv: list[str], env: Mapping[str, str] | None = None, log: Path | None = None) -> "Iterator[Running]":
    """Run a program until the end of the block."""
    with (log or Path(os.devnull)).open("wb") as output:
        process = spawn(argv, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def environment(**variables: str | Path) -> dict[str, str]:
    """Return what a `painter` of ours runs with."""
    return {"PYTHONPATH": str(ROOT), "PAINTER_TEST_STYLES": "1", **{k: str(v) for k, v in variables.items()}}


def painter(*words: str | Path, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    argv = [sys.executable, "-m", "cli", *map(str, words)]
    return subprocess.run(
        argv,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def worker(style: str) -> list[str]:
    """Return a worker's command line, as a user types it."""
    return [sys.executable, *"-m celery -A pipeline worker -P threads -c 1".split(), "-Q", f"style.{style}"]


def make_certificates(folder: Path) -> None:
    """Write ca.pem, and cert.pem with key.pem for 127.0.0.1, signed by it."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet test CA")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    ca = _certificate(issuer, issuer, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=None))
    cert = _certificate(subject, issuer, key, ca_key, address)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - day, now + day
    )
    return builder.add_extension(extension, critical=False).sign(signer, hashes.SHA256())


FRAME = EncodedFrame(0, 0, Codec.MJPEG, 640, 480, b"pixels")
Running = subprocess.Popen[bytes]
