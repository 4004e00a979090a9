"""How the tasks of a batch are painted and written, and what of it decides whether an output is to be made anew."""

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.scaled_film import ScaledFilm, sent_size
from pipeline.process.config import Settings
from pipeline.protocol.frame import Look, StreamInfo
from producer.denoise import DenoisedVideo
from producer.photos import PhotoSource
from producer.source import Source, open_source
from producer.video import VideoSource
from viewer.segments import SinkOptions
from workers.styles import Style

# What of a sink's options says nothing of the output's pictures.
_NOT_OF_THE_OUTPUT = ("painting", "segment_frames", "fresh")


@dataclass(frozen=True, slots=True)
class Options:
    """How all tasks of a batch are painted and written. `steady`: whether videos are painted without their noise, and
    their strokes held together."""

    look: Look
    sink: SinkOptions
    steady: bool = True

    @property
    def is_steady(self) -> bool:
        """Whether noise is taken out; at strength 0 the source is to come through as it is."""
        return self.steady and self.look.strength > 0

    def is_smoothed(self, info: StreamInfo) -> bool:
        """Whether strokes are held together: a video's, not photos'."""
        return self.is_steady and info.width > 0

    def painting(self, style: Style) -> str:
        """Name what is painted: a job that was interrupted goes on only where that is the same."""
        # An older version held no strokes together: its half of a film is not gone on from.
        return f"{_digest(style)} {self.look} {'held together' if self.is_steady else 'as filmed'}"

    def recipe(self, style: Style, *, of_photos: bool) -> dict[str, Any]:
        """Return what decides an output besides its source, as JSON has it: the style, and whatever is no default.

        Defaults are left out, so that an option of a later release changes no output made before it.
        """
        recipe = {"style": _digest(style), **_chosen(self.look)}
        if of_photos:
            return recipe
        if self.look.strength > 0 and not self.steady:
            recipe["is_steady"] = False
        return recipe | {name: value for name, value in _chosen(self.sink).items() if name not in _NOT_OF_THE_OUTPUT}


def open_input(path: Path, options: Options, settings: Settings, names: tuple[str, ...] | None = None) -> Source:
    """Open one source as this batch reads it; of a folder, the photos `names`. Raises `UsageError`."""
    if names is not None:
        return PhotoSource(path, names, max_pixels=settings.max_pixels, is_album=True)
    cut = options.sink
    source = open_source(path, start_s=cut.start_s, end_s=cut.end_s, max_pixels=settings.max_pixels)
    if (size := sent_size(source.info, options.look)) is not None:
        return ScaledFilm(source, size, options.look, denoise=options.is_steady)
    return DenoisedVideo(source) if options.is_steady and isinstance(source, VideoSource) else source


def _chosen(values: Any) -> dict[str, Any]:
    return {one.name: getattr(values, one.name) for one in fields(values) if getattr(values, one.name) != one.default}


def _digest(style: Style) -> str:
    """Name a style by what it paints with: new weights under an old name must not go on with an old job."""
    weights = style.torch_file or style.export
    state = weights.stat() if weights else None
    own = f"{style.name} {_hash(weights, state.st_mtime_ns)}" if weights and state else f"{style.name} "
    return f"{own} + {style.share:g} of {_digest(style.mix)}" if style.mix else own


@lru_cache(maxsize=64)
def _hash(weights: Path, changed_ns: int) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
