"""Connections to the server: URLs in Celery's spelling, the client's errors turned into the two a caller can act on.

Ours and Celery's are made from the same URL and settings (`celery_options`), so both end at the same server.
"""

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry
from redis.sentinel import Sentinel

from pipeline.errors import NotAllowed, ServerFull, ServerGone, ServerUnreachable
from pipeline.process import shutdown
from pipeline.process.config import settings

# Above every block time in `transport.py`, or a quiet stream would look like a dead server.
_SOCKET_TIMEOUT_S = 5.0
# A sentinel answers at once or is skipped for the next one.
_SENTINEL_TIMEOUT_S = 0.5
_SENTINEL_PORT = 26379
# From the user's name to the last @ before the next URL.
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):(?:(?!://).)*@", re.DOTALL)


class _Patience(ExponentialBackoff):
    """Few and quick tries: callers wait out an outage themselves. None once this process is leaving.

    At a server that stands still a call took its 5 s three times over: 46 s from Ctrl-C to the end of `painter paint`.
    """

    def __init__(self) -> None:
        super().__init__(cap=0.2, base=0.02)

    def compute(self, failures: int) -> float:
        """Return how long to wait. Raises where nobody is to wait any more."""
        if shutdown.has_begun():
            raise redis.ConnectionError("the server does not answer")
        return super().compute(failures)


def answers(url: str) -> bool:
    """Return whether a server answers at `url`, without waiting for one."""
    if url.startswith("redis+socket:") and not os.path.exists(urlsplit(url).path):
        return False
    try:
        _ping(url)
    except redis.RedisError:
        return False
    return True


def require_server(url: str) -> None:
    """Raise `ServerUnreachable`, naming `url` without its password, unless a server answers there and lets us in."""
    shown = without_password(url)
    try:
        _ping(url)
    except (redis.AuthenticationError, NoPermissionError) as error:
        raise ServerUnreachable(f"the server at {shown} does not let us in: {error}") from error
    except redis.RedisError as error:
        told = f" ({error}; PAINTER_TLS_CA names its CA)" if "CERTIFICATE" in str(error) else ""
        raise ServerUnreachable(
            f"no server answers at {shown}{told}; start one, or unset BROKER_URL for the embedded one"
        ) from error


def without_password(url: str) -> str:
    """Return `url`, sentinels joined by `;` among them, fit to be shown, whatever signs its passwords are made of."""
    return _PASSWORD.sub(r"\1:***@", url)


def open_client(url: str, *, timeout_s: float = _SOCKET_TIMEOUT_S, retries: int = 2) -> "redis.Redis":
    """Return a client for a Celery-style URL; nothing is sent yet. Raises `ServerUnreachable` for others."""
    try:
        return _open(url, timeout_s, retries)
    except ValueError as error:
        raise ServerUnreachable(
            f"BROKER_URL {without_password(url)!r} is not redis://, rediss://, redis+socket:// or sentinel://"
        ) from error


def _open(url: str, timeout_s: float, retries: int) -> "redis.Redis":
    parts = urlsplit(url.split(";")[0])
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, 2.0),
        "retry": Retry(_Patience(), retries),
    }
    if parts.scheme in ("redis+socket", "unix"):
        database = int(parse_qs(parts.query).get("virtual_host", ["0"])[0])
        return redis.Redis(unix_socket_path=parts.path, db=database, password=parts.password, **options)
    options |= {"health_check_interval": 5, **_tls(url)}
    if parts.scheme == "sentinel":
        return _watched_by_sentinels(url, options)
    return redis.Redis.from_url(url, **options)


def celery_options(url: str) -> tuple[dict[str, Any] | bool, dict[str, Any]]:
    """Return Celery's `broker_use_ssl` for `url`, and what its transport must know of sentinels."""
    tls = _tls(url)
    if not url.startswith("sentinel://"):
        return tls or False, {}
    return tls or False, {"master_name": settings().sentinel_master, "sentinel_kwargs": _sentinel_options(tls)}


# A server that answers but cannot serve for now: between two masters, loading, busy, without disk or replicas.
_PASSING = (
    *("READONLY", "LOADING", "BUSY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN"),
    "You can't write against a read only replica",
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's errors into those a caller can act on."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise ServerFull("the server is at its maxmemory") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerGone(str(error)) from error
    except NoPermissionError as error:
        raise NotAllowed(f"the server does not let our user do this ({error}); painter acl makes the roles") from error
    except redis.ResponseError as error:
        # A script's refusal at maxmemory keeps its OOM code only as the text's first word.
        if str(error).startswith("OOM"):
            raise ServerFull("the server is at its maxmemory") from error
        if str(error).startswith(_PASSING):
            raise ServerGone(str(error)) from error
        raise


def receive(subscription: Any, end_s: float) -> bytes | None:
    """Return the next message of a subscription, None when there was none by `end_s` (monotonic)."""
    while True:
        left_s = max(0.0, end_s - time.monotonic())
        try:
            with translated():
                heard = subscription.get_message(timeout=left_s)
        except TypeError as error:
            # redis-py 8.1 polls the missing socket of a connection that could not be made again.
            raise ServerGone("the connection for wake-ups was lost") from error
        if heard is not None:
            return bytes(heard["data"])
        # Nothing before the end is the answer to SUBSCRIBE.
        if left_s == 0.0:
            return None


@lru_cache(maxsize=8)
def script(name: str) -> str:
    """Return the text of a script that runs on the server: `scripts/<name>.lua` behind what all of them know."""
    return "".join(
        files("pipeline.server").joinpath("scripts", f"{part}.lua").read_text("utf-8") for part in ("common", name)
    )


def _ping(url: str) -> None:
    with open_client(url, timeout_s=2.0, retries=0) as client:
        client.ping()


def _watched_by_sentinels(url: str, options: dict[str, Any]) -> "redis.Redis":
    """Return a client of the present master. As in Celery, user, password and database stand in the first URL."""
    parts = [urlsplit(one) for one in url.split(";")]
    nodes = [(one.hostname or "localhost", one.port or _SENTINEL_PORT) for one in parts]
    # redis-py gives its sentinels no types.
    sentinel: Any = Sentinel
    sentinels = sentinel(nodes, sentinel_kwargs=_sentinel_options(_tls(url)))
    first = parts[0]
    options |= {"ssl": True} if _tls(url) else {}
    client: redis.Redis = sentinels.master_for(
        settings().sentinel_master,
        db=int(first.path.strip("/") or 0),
        username=unquote(first.username) if first.username else None,
        password=unquote(first.password) if first.password else None,
        **options,
    )
    return client


def _sentinel_options(tls: dict[str, Any]) -> dict[str, Any]:
    timeouts = {"socket_timeout": _SENTINEL_TIMEOUT_S, "socket_connect_timeout": _SENTINEL_TIMEOUT_S}
    return {"password": settings().sentinel_password or None, **timeouts, **({"ssl": True, **tls} if tls else {})}


def _tls(url: str) -> dict[str, Any]:
    """Return the client's TLS options, {} for an unencrypted URL. Certificates and host names are always checked."""
    conf = settings()
    # Sentinel's URLs have no spelling of their own for TLS.
    if not url.startswith("rediss://") and not (url.startswith("sentinel://") and conf.tls_ca):
        return {}
    files = {"ssl_ca_certs": conf.tls_ca, "ssl_certfile": conf.tls_cert, "ssl_keyfile": conf.tls_key}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **{name: str(path) for name, path in files.items() if path}}
