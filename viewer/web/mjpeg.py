"""Live streams for other programs: MJPEG for VLC, OBS and `<img>`, and the newest picture as a JPEG.

Read only; newest wins, so a slow program loses pictures and slows nobody.
"""

import asyncio
import time

from aiohttp import web

from viewer.broadcast import Shot, Watch
from viewer.web.app_state import APP_STATE, AppState
from viewer.web.middleware import EXPIRES, refuse
from viewer.web.wakeup import waker

_BOUNDARY = b"--frame\r\n"
# How soon the end of a program, a stream or the server is noticed while no picture comes.
_LOOK_S = 1.0
# A stream without pictures for this long is over for a program that cannot be told anything else.
_PATIENCE_S = 10.0
_ONE_PICTURE_S = 2.0


def add_routes(app: web.Application) -> None:
    """Add the picture routes."""
    app.router.add_get("/streams/{name:[^/:]+}.mjpg", _mjpeg)
    app.router.add_get("/streams/{name:[^/:]+}.jpg", _jpeg)


async def _mjpeg(request: web.Request) -> web.StreamResponse:
    app_state = request.app[APP_STATE]
    if (refusal := _refusal(request, app_state)) is not None:
        return refusal
    response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
    app_state.programs += 1
    try:
        await response.prepare(request)
        await _send_all(request, app_state, response)
    except ConnectionError:
        # The program left, as they do.
        return response
    finally:
        app_state.programs -= 1
    return response


async def _send_all(request: web.Request, app_state: AppState, response: web.StreamResponse) -> None:
    came = asyncio.Event()
    watch = app_state.parts.broadcast.watch(request.match_info["name"], waker(came))
    until_unix = request.get(EXPIRES, float("inf"))
    last_s = time.monotonic()
    try:
        await response.write(_BOUNDARY)
        while not app_state.is_closing and time.time() < until_unix and time.monotonic() - last_s < _PATIENCE_S:
            shot = await _next(watch, came, _LOOK_S)
            if shot is not None:
                last_s = time.monotonic()
                await response.write(_part(shot))
            elif request.transport is None or request.transport.is_closing():
                return
    finally:
        watch.close()


async def _jpeg(request: web.Request) -> web.StreamResponse:
    app_state = request.app[APP_STATE]
    if (refusal := _refusal(request, app_state)) is not None:
        return refusal
    came = asyncio.Event()
    watch = app_state.parts.broadcast.watch(request.match_info["name"], waker(came))
    app_state.programs += 1
    try:
        shot = await _next(watch, came, _ONE_PICTURE_S)
    finally:
        app_state.programs -= 1
        watch.close()
    if shot is None:
        return refuse(504, f"no picture within {_ONE_PICTURE_S:.0f} s")
    return web.Response(body=shot.frame.data, content_type="image/jpeg")


def _refusal(request: web.Request, app_state: AppState) -> web.Response | None:
    name = request.match_info["name"]
    # A page's own camera is shown to whom the page gives a link, not to whoever guesses its name.
    is_linked = EXPIRES in request and name in app_state.owners
    if not is_linked and not app_state.may_watch(name):
        return refuse(404, f"no stream {name}")
    if app_state.programs >= app_state.parts.limits.programs:
        return refuse(503, f"all {app_state.parts.limits.programs} places for programs are taken")
    return None


async def _next(watch: Watch, came: asyncio.Event, timeout_s: float) -> Shot | None:
    try:
        await asyncio.wait_for(came.wait(), timeout_s)
    except TimeoutError:
        return None
    came.clear()
    return watch.take()


def _part(shot: Shot) -> bytes:
    """Return one picture with the boundary behind it: without it a player shows each picture one too late."""
    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(shot.frame.data)
    return b"".join((head, shot.frame.data, b"\r\n", _BOUNDARY))
