"""Connections to the server: URLs in Celery's spelling, the client's errors turned into the two a caller can act on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from pipeline.errors import ServerFull, ServerGone, ServerUnreachable

# Above every block time in `transport.py`, or a quiet stream would look like a dead server.
_SOCKET_TIMEOUT_S = 5.0


def answers(url: str) -> bool:
    """Return whether a server answers at `url`, without waiting for one."""
    if url.startswith("redis+socket:") and not os.path.exists(urlsplit(url).path):
        return False
    try:
        with open_client(url, timeout_s=2.0, retries=0) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def require_server(url: str) -> None:
    """Raise `ServerUnreachable`, naming `url` without its password, unless a server answers there."""
    if not answers(url):
        raise ServerUnreachable(
            f"no server answers at {without_password(url)}; start one, or unset BROKER_URL for the embedded one"
        )


def without_password(url: str) -> str:
    """Return `url` fit to be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:***@{host}").geturl()


def open_client(url: str, *, timeout_s: float = _SOCKET_TIMEOUT_S, retries: int = 2) -> "redis.Redis":
    """Return a client for a Celery-style URL; nothing is sent yet. Raises `ServerUnreachable` for others."""
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, 2.0),
        # Few and quick: callers wait out an outage themselves, with a deadline they know.
        "retry": Retry(ExponentialBackoff(cap=0.2, base=0.02), retries),
    }
    if parts.scheme in ("redis+socket", "unix"):
        database = int(parse_qs(parts.query).get("virtual_host", ["0"])[0])
        return redis.Redis(unix_socket_path=parts.path, db=database, password=parts.password, **options)
    try:
        return redis.Redis.from_url(url, health_check_interval=5, **options)
    except ValueError as error:
        raise ServerUnreachable(
            f"BROKER_URL {without_password(url)!r} is not redis://, rediss:// or redis+socket://"
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's errors into the two a caller can act on."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise ServerFull("the server is at its maxmemory") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerGone(str(error)) from error
    except redis.ResponseError as error:
        # A script's refusal at maxmemory keeps its OOM code only as the text's first word.
        if str(error).startswith("OOM"):
            raise ServerFull("the server is at its maxmemory") from error
        raise
