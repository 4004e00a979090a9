"""`painter paint --preview`: one picture of each video in each style, painted in this process, without workers."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.inputs import OwnOutputs, gather
from jobs.made import Made, MadeRecord, state_of
from jobs.painting import Request
from jobs.tasks import require_writable
from pipeline.errors import SinkError, UsageError
from pipeline.process.config import Settings
from pipeline.protocol.frame import Look
from producer.source import is_photo, open_source
from workers.devices import cores
from workers.styles import Style, list_styles, load_engine
from workers.stylize import stylize


def draw_previews(request: Request, look: Look, at_s: float, settings: Settings) -> Iterator[Path]:
    """Paint the frame at `at_s` of each video in each style; yield each picture's path once it is there.

    Raises `UsageError` for what is no video or ends before, `SinkError` for a picture that cannot be written.
    """
    own = OwnOutputs({style.label for style in (*list_styles(), *request.styles)})
    sources = gather(request.words, own, lambda text: None).sources
    frames = {source: _frame(source, at_s, settings) for source in sources}
    targets = _targets(sources, request)
    for style in request.styles:
        engine = load_engine(style, settings.device, settings.threads or cores())
        tile_pixels = (settings.tile_mb << 20) // engine.bytes_per_px
        for source, pixels in frames.items():
            target = targets[source, style]
            _write(stylize(engine, pixels, look, tile_pixels=tile_pixels), target)
            # It is no source of the next command.
            made = Made(target.name, str(source.resolve()), {}, {}, state_of(target) or (0, 0))
            MadeRecord(target.parent).add(made)
            yield target


def _frame(source: Path, at_s: float, settings: Settings) -> NDArray[np.uint8]:
    if source.is_dir() or is_photo(source):
        raise UsageError(f"{source}: --preview shows a moment of a video; a photo is painted as quickly itself")
    with closing(open_source(source, start_s=at_s, max_pixels=settings.max_pixels)) as opened:
        for frame in opened.frames():
            return frame.pixels
    raise UsageError(f"{source} has no picture at {at_s:g} s")


def _targets(sources: Sequence[Path], request: Request) -> dict[tuple[Path, Style], Path]:
    """Return where each picture goes: `<stem>.<style>.preview.png` beside its video, or to what was asked for."""
    output, pairs = request.output, [(source, style) for source in sources for style in request.styles]
    is_folder = output is not None and (request.is_folder or output.is_dir() or not output.suffix)
    if output is not None and not is_folder:
        if len(pairs) > 1 or output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise UsageError(
                f"-o {output}: {len(pairs)} pictures are to be made; name a folder, or for one a .png or .jpg"
            )
        found = {pairs[0]: output}
    else:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
        found = {
            (source, style): (output or source.parent) / f"{source.stem}.{style.label}.preview.png"
            for source, style in pairs
        }
    for target in found.values():
        require_writable(target)
    return found


def _write(pixels: NDArray[np.uint8], target: Path) -> None:
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(part, quality=95)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"{target} cannot be written: {error.strerror or error}") from error
