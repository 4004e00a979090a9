"""The page server: an event loop in a thread of its own, so that its owner can tend workers and children meanwhile.

Owner: whoever calls `start`; it must call `stop`, which ends pages and programs first and frees every camera.
"""

import asyncio
import errno
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator

from aiohttp import web

from pipeline.errors import PipelineError, UsageError
from pipeline.process.shutdown import joined
from viewer.web import api, jobs, middleware, mjpeg
from viewer.web.app_state import APP_STATE, AppState, Parts
from viewer.web.websocket import Page

log = logging.getLogger(__name__)

# A page answers a ping within half of this or is gone: its camera is free within 5 s of a cable being pulled.
_HEARTBEAT_S = 2.5
# How long a page may take to say goodbye, and a download to end, when the server ends.
_CLOSE_S = 1.0
_START_S = 10.0
# Both of those, and a look at the frame server that is under way.
_STOP_S = 5.0


def make_app(parts: Parts) -> web.Application:
    """Return the whole application."""
    app = web.Application()
    app[APP_STATE] = AppState(parts)
    middleware.install(app, parts.access)
    for room in (api, jobs, mjpeg):
        room.add_routes(app)
    app.router.add_get("/ws", _socket)
    app.cleanup_ctx.append(_census)
    app.on_shutdown.append(_hang_up)
    return app


class PageServer:
    """`make_app` on one address. `tls`: serve https."""

    def __init__(self, parts: Parts, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._parts, self._tls = parts, tls
        self._socket = _bind(host, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page-server", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; of use where 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve. Raises what kept it from starting."""
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise PipelineError(f"the page server did not start within {_START_S:.0f} s")
        self.poll()

    def poll(self) -> None:
        """Raise what ended the server, if anything did."""
        if self._error is not None:
            raise PipelineError(f"the page server ended: {self._error!r}") from self._error

    def stop(self) -> None:
        """End pages, programs and server; idempotent."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
        if not joined([self._thread], _STOP_S):
            log.warning("the page server did not end within %.0f s", _STOP_S)
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            log.exception("the page server ended")
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        # No access log: it would hold every `?token=`.
        runner = web.AppRunner(make_app(self._parts), access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket, ssl_context=self._tls).start()
            self._ready.set()
            await self._ended.wait()
        finally:
            await runner.cleanup()


async def _socket(request: web.Request) -> web.StreamResponse:
    app_state = request.app[APP_STATE]
    limits = app_state.parts.limits
    if len(app_state.pages) >= limits.pages:
        return middleware.refuse(503, f"all {limits.pages} pages are taken")
    # JPEGs do not shrink; a message above the limit closes the socket before it is read.
    # Pongs are read by the page's side: they tell how long the line is.
    socket = web.WebSocketResponse(
        autoping=False, heartbeat=_HEARTBEAT_S, timeout=_CLOSE_S, compress=False, max_msg_size=limits.picture_bytes + 16
    )
    await socket.prepare(request)
    await Page(app_state, socket).run()
    return socket


async def _census(app: web.Application) -> AsyncIterator[None]:
    # The first before anybody is served: a page's first state would be wrong without it.
    await app[APP_STATE].refresh()
    task = asyncio.create_task(app[APP_STATE].keep_fresh())
    yield
    task.cancel()
    app[APP_STATE].coders.close()


async def _hang_up(app: web.Application) -> None:
    app_state = app[APP_STATE]
    app_state.is_closing = True
    await asyncio.gather(*(page.hang_up() for page in tuple(app_state.pages)))


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `UsageError` when that cannot be."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, dualstack_ipv6=address[0] == "::")
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: no such name or address") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is taken; --port names another") from error
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
