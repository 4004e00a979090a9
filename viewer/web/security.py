"""Who may ask the page server for what: host names, origins, token, cookie and signed links. Pure: no socket, no clock.

Invariant: every secret is compared in constant time, and nothing here ever writes one into a text.
"""

import base64
import hashlib
import hmac
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote, urlencode, urlsplit

from pipeline.errors import UsageError

# 16 characters of a made-up token are out of reach of guessing over a network; ours carry 192 bits.
MIN_TOKEN = 16
_TOKEN_BYTES = 24
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain"})


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one page server. `token` empty: this machine's own programs only, no token asked.

    `names`: host names it answers to beside addresses; `is_private`: it listens on a loopback interface.
    """

    token: str = field(repr=False)
    names: frozenset[str]
    is_private: bool
    is_secure: bool = False
    key: bytes = field(default=b"", repr=False)

    @property
    def cookie_name(self) -> str:
        """Name of the session cookie; two servers on one host need two, as cookies know no ports."""
        return f"painter-{self._digest('name')[:8]}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds in place of the token."""
        return self._digest("cookie")

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header names this server; any other name is another site's, pointed here by its DNS."""
        name = _host_name(host)
        if not name:
            return False
        try:
            address = ip_address(name)
        except ValueError:
            return name in self.names
        # An address cannot be pointed elsewhere by anybody's DNS.
        return address.is_loopback or not self.is_private

    def is_same_origin(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from our own page, or from a program that is no browser."""
        origin = headers.get("Origin")
        if origin is not None:
            return urlsplit(origin).netloc.lower() == headers.get("Host", "").lower() != ""
        return headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")

    def accepts_token(self, token: str) -> bool:
        """Whether `token` is the token."""
        return bool(self.token) and _equal(token, self.token)

    def admits(self, cookie: str, authorization: str) -> bool:
        """Whether a cookie's value or an `Authorization: Bearer` header lets its sender in."""
        if not self.token:
            return True
        scheme, _, bearer = authorization.partition(" ")
        by_header = scheme.lower() == "bearer" and self.accepts_token(bearer.strip())
        return _equal(cookie, self.cookie_value) or by_header

    def sign(self, path: str, expires_unix: int) -> str:
        """Return a link to `path` that lets anybody read it until then."""
        return f"{quote(path)}?{urlencode({'exp': expires_unix, 'sig': self._signature(path, expires_unix)})}"

    def expiry_of(self, path: str, query: Mapping[str, str]) -> int | None:
        """Return when the signed link to `path` ends (Unix s), None where the signature is not ours."""
        expires = query.get("exp", "")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return None
        good = _equal(query.get("sig", ""), self._signature(path, int(expires)))
        return int(expires) if good else None

    def _signature(self, path: str, expires_unix: int) -> str:
        return self._digest(f"link\n{path}\n{expires_unix}")

    def _digest(self, purpose: str) -> str:
        digest = hmac.digest(self.key, purpose.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def make_access(host: str, token: str, *, secure: bool, names: Iterable[str] = ()) -> Access:
    """Return the rules for a server on `host`; it gets a token of our own where it needs one and has none.

    Raises `UsageError` for a token that could be guessed.
    """
    if token and len(token) < MIN_TOKEN:
        raise UsageError(f"--token has {len(token)} characters and could be guessed; give {MIN_TOKEN} or leave it out")
    private = is_loopback(host)
    if not token and not private:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
    # Made from the token, links go on working after a restart with the same one.
    key = hashlib.sha256(f"power-painter {token}".encode()).digest() if token else secrets.token_bytes(32)
    own = set(_LOOPBACK_NAMES)
    if not private:
        machine = socket.gethostname().lower()
        own |= {host.lower(), machine, f"{machine.partition('.')[0]}.local"}
    return Access(token, frozenset(own | {name.lower() for name in names}), private, secure, key)


def is_loopback(host: str) -> bool:
    """Whether listening on `host` keeps other machines out; a name that is not localhost is taken not to."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in _LOOPBACK_NAMES


def _equal(given: str, ours: str) -> bool:
    # Headers may hold bytes that are no text; they come as surrogates.
    return hmac.compare_digest(given.encode(errors="surrogateescape"), ours.encode())


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


#: The page needs its own scripts, styles and socket, pictures and recordings it makes itself, and nothing else.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        *("script-src 'self'", "style-src 'self'", "font-src 'self'", "connect-src 'self'", "manifest-src 'self'"),
        *("img-src 'self' blob:", "media-src 'self' blob:", "worker-src 'self'"),
        *("base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"),
    )
)
#: On every answer, refusals included.
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
