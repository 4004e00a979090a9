"""TLS, and ports that cannot be had."""

import ssl
import stat
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from commands.page import Door
from pipeline.errors import UsageError
from pipeline.process.config import data_dir
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, open_site
from tests.viewer.security.conftest import TOKEN
from viewer import tls


def test_a_self_signed_certificate_serves_https_with_secure_cookies_and_a_private_key(server: EmbeddedServer) -> None:
    def visit(site: Site) -> None:
        trust = ssl.create_default_context(cafile=str(data_dir() / "tls" / "certificate.pem"))
        with closing(HTTPSConnection("127.0.0.1", site.page.server.port, timeout=5, context=trust)) as connection:
            connection.request("GET", f"/?token={TOKEN}")
            answer = connection.getresponse()
            assert answer.status == 303
            assert "Secure" in answer.headers["Set-Cookie"]

    door = Door("127.0.0.1", 0, TOKEN, tls_self_signed=True)
    with open_site(server.url, door) as first:
        visit(first)
        known = (data_dir() / "tls" / "certificate.pem").read_bytes()
    with open_site(server.url, door):
        assert (data_dir() / "tls" / "certificate.pem").read_bytes() == known, "browsers would ask again"
    assert stat.S_IMODE((data_dir() / "tls" / "key.pem").stat().st_mode) == 0o600
    context = tls.server_context(data_dir() / "tls" / "certificate.pem", data_dir() / "tls" / "key.pem")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_tls_that_cannot_work_is_said_before_anything_starts(server: EmbeddedServer, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for door in (Door("127.0.0.1", 0, tls_cert=junk), Door("127.0.0.1", 0, tls_cert=junk, tls_key=junk)):
        with pytest.raises(UsageError), open_site(server.url, door):
            pass


def test_a_port_that_is_taken_is_said(site: Site, server: EmbeddedServer) -> None:
    with (
        pytest.raises(UsageError, match="is taken"),
        open_site(server.url, Door("127.0.0.1", site.page.server.port)),
    ):
        pass
