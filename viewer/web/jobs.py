"""Batch from the page: a file in, its progress, the painted file out."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.helpers import content_disposition_header

from pipeline.errors import UsageError
from pipeline.protocol.frame import LEAST_BRUSH, MOST_BRUSH, Look, is_mix
from viewer.ports import JobState, JobStatus
from viewer.web import uploads
from viewer.web.app_state import APP_STATE, AppState
from viewer.web.middleware import refuse, visitor_of

#: Percent-encoded, as a header holds no other letters.
NAME_HEADER = "X-File-Name"
_CHUNK_BYTES = 1 << 18
_OPEN = (JobState.WAITING, JobState.PAINTING)


def add_routes(app: web.Application) -> None:
    """Add the job routes."""
    app.router.add_post("/api/jobs", _submit)
    app.router.add_get("/api/jobs", _list)
    app.router.add_get("/api/jobs/{job}/output", _output)
    app.router.add_delete("/api/jobs/{job}", _cancel)


async def _submit(request: web.Request) -> web.StreamResponse:
    app_state = request.app[APP_STATE]
    limits = app_state.parts.limits
    style, look = _style(request, app_state), _look(request)
    if (
        app_state.uploads >= limits.uploads
        or sum(card.state in _OPEN for card in app_state.parts.atelier.jobs()) >= limits.jobs
    ):
        return refuse(429, "the painter has enough to do; try again when a job is done")
    name = uploads.display_name(unquote(request.headers.get(NAME_HEADER, "")))
    try:
        source = await _receive(request, app_state)
    except uploads.TooLarge as error:
        return refuse(413, str(error))
    try:
        job = await asyncio.to_thread(app_state.parts.atelier.submit, source, name, style, look, visitor_of(request))
    except BaseException:
        shutil.rmtree(source.parent)
        raise
    return web.json_response({"id": job}, status=201, headers={"Location": f"/api/jobs/{job}"})


async def _receive(request: web.Request, app_state: AppState) -> Path:
    folder, limit = app_state.parts.uploads, app_state.parts.limits.upload_bytes
    uploads.make_room(folder, request.content_length or 0, limit)
    app_state.uploads += 1
    try:
        return await uploads.save(aiter(request.content.iter_chunked(_CHUNK_BYTES)), folder, limit)
    finally:
        app_state.uploads -= 1


async def _list(request: web.Request) -> web.StreamResponse:
    return web.json_response({"jobs": [_card(card) for card in _own(request)]})


async def _output(request: web.Request) -> web.StreamResponse:
    card = _find(request)
    if card is None or card.output is None or not card.output.is_file():
        return refuse(404, "no such output; it may not be finished yet")
    name = f"{Path(card.name).stem}.{card.style}{card.output.suffix}"
    return web.FileResponse(
        card.output, headers={"Content-Disposition": content_disposition_header("attachment", filename=name)}
    )


async def _cancel(request: web.Request) -> web.StreamResponse:
    if _find(request) is None or not await asyncio.to_thread(
        request.app[APP_STATE].parts.atelier.cancel, request.match_info["job"]
    ):
        return refuse(404, "no such job")
    return web.Response(status=204)


def _find(request: web.Request) -> JobStatus | None:
    return next((card for card in _own(request) if card.job == request.match_info["job"]), None)


def _own(request: web.Request) -> list[JobStatus]:
    """Return the jobs of whoever asks: what others handed in is theirs alone."""
    visitor = visitor_of(request)
    return [card for card in request.app[APP_STATE].parts.atelier.jobs() if card.owner == visitor]


def _card(card: JobStatus) -> dict[str, object]:
    return {
        "id": card.job, "name": card.name, "style": card.style, "state": card.state, "done": card.done,
        "total": card.total, "fps": round(card.fps, 1), "message": card.message,
        "output": f"/api/jobs/{card.job}/output" if card.output else None,
    }  # fmt: skip


def _style(request: web.Request, app_state: AppState) -> str:
    style = request.query.get("style", "")
    if style not in app_state.parts.styles:
        raise UsageError(f"no style {style!r}; there are {', '.join(app_state.parts.styles)}")
    return style


def _look(request: web.Request) -> Look:
    try:
        strength, brush = (float(request.query.get(key, "1")) for key in ("strength", "brush"))
    except ValueError:
        strength = brush = -1.0
    keep = request.query.get("keep_colours", "false").lower()
    # NaN passes no comparison.
    if not (0.0 <= strength <= 1.0 and LEAST_BRUSH <= brush <= MOST_BRUSH and keep in ("true", "false", "1", "0")):
        brushes = f"from {LEAST_BRUSH:g} to {MOST_BRUSH:g}"
        raise UsageError(f"strength is a number from 0 to 1, brush one {brushes}, keep_colours true or false")
    return replace(Look(strength, keep in ("true", "1"), brush), **_mix(request))


def _mix(request: web.Request) -> dict[str, Any]:
    mix = request.query.get("mix", "")
    try:
        share = float(request.query.get("share", "0"))
    except ValueError:
        share = -1.0
    if (mix and mix not in request.app[APP_STATE].parts.styles) or not is_mix(mix, share):
        raise UsageError("mix is a style's name with a share from 0.1 to 0.9")
    return {"mix": mix, "share": share}
