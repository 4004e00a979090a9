"""Painted photos: each under its own name and in its own format, with the EXIF data and colour profile of its source.

Invariant: the output, one file or one folder, appears by rename when all of it is painted; until then the photos
collect in a working folder beside it, and the next run goes on after the last of them.
"""

import logging
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import UsageError
from viewer.segments import PartsFolder, Segment, SinkOptions, fingerprint, sink_error

log = logging.getLogger(__name__)

_PAINTED = "photos"
# Pillow's writer by suffix; whatever else was read is written as PNG.
_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip
_SAVE: dict[str, dict[str, Any]] = {
    # 4:4:4: a painting has coloured edges that 4:2:0 would smear.
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
    "BMP": {},
}
_ORIENTATION = 0x0112
# A JPEG segment holds 65,533 bytes; more is some maker's own pictures.
_MAX_EXIF_BYTES = 65_000


class PhotoSink:
    """Writes photos into the folder `output`, or the one photo to the file `output`; see `viewer.sink.Sink`."""

    def __init__(self, source: Path, output: Path, options: SinkOptions) -> None:
        """Take the output. Raises `UsageError`."""
        self._source, self._output = source, output
        self._many = source.is_dir()
        if not self._many and output.suffix.lower() not in _FORMATS:
            raise UsageError(f"{output}: a photo is written as {', '.join(_FORMATS)}")
        if self._many and output.exists() and not output.is_dir():
            raise UsageError(f"{output}: photos of a folder need a folder to go to, this is a file")
        job = fingerprint(source, options=options, photos=_listing(source, output))
        self._parts = PartsFolder(output, job, fresh=options.fresh)
        self._painted = self._parts.path / _PAINTED
        if not self._parts.segments:
            shutil.rmtree(self._painted, ignore_errors=True)
        self._next = self._parts.frames

    def next_seq(self) -> int:
        """Return how many photos an earlier run wrote."""
        return self._next

    def write(self, seq: int, pts: int, pixels: NDArray[np.uint8], name: str) -> None:
        """Write one photo whole. Raises `SinkError`."""
        if seq != self._next:
            raise ValueError(f"photo {seq}, expected number {self._next}")
        target = self._target(name)
        kind = _FORMATS[target.suffix.lower()]
        working = self._parts.path / f"next{target.suffix}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            kept = _kept(self._source / name if self._many else self._source)
            Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(working, kind, **_SAVE[kind], **kept)
            working.replace(target)
            # All photos so far as one segment, known by its last file: the manifest stays one line long.
            file = str(target.relative_to(self._parts.path))
            self._parts.replace([Segment(file, 0, seq + 1, 0, pts, target.stat().st_size)])
        except OSError as error:
            raise sink_error(target, error) from error
        self._next += 1

    def stop(self) -> None:
        """Nothing waits here."""

    def finish(self) -> None:
        """Put the photos where they belong, all at once unless the folder is there already. Raises `SinkError`."""
        try:
            if not self._many:
                (self._painted / self._output.name).replace(self._output)
            elif not self._output.exists():
                self._painted.replace(self._output)
            else:
                for path in [path for path in self._painted.rglob("*") if path.is_file()]:
                    target = self._output / path.relative_to(self._painted)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
        except OSError as error:
            raise sink_error(self._output, error) from error
        self._parts.remove()

    def keep_partial(self) -> Path | None:
        """Copy the photos painted so far into `<output>.partial`; of one photo nothing is left over."""
        self._parts.release()
        if not self._many or not self._next:
            return None
        partial = self._output.with_name(f"{self._output.name}.partial")
        try:
            shutil.copytree(self._painted, partial, dirs_exist_ok=True)
        except OSError as error:
            log.warning("%s: what was painted so far cannot be copied (%s)", partial, error)
            return None
        return partial

    def close(self) -> None:
        """Keep what is painted for the next run."""
        self._parts.release()

    def _target(self, name: str) -> Path:
        if not self._many:
            return self._painted / self._output.name
        path = self._painted / name
        if not path.resolve().is_relative_to(self._painted.resolve()):
            raise sink_error(self._output / name, OSError("its name leads out of the output folder"))
        return path if path.suffix.lower() in _FORMATS else path.with_name(path.name + ".png")


def _kept(origin: Path) -> dict[str, Any]:
    """Return what is kept of the source's file: EXIF (upright now, without thumbnail), RGB profile, resolution."""
    kept: dict[str, Any] = {}
    try:
        with Image.open(origin) as image:
            profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
            if exif := _upright_exif(image):
                kept["exif"] = exif
    except (OSError, SyntaxError):
        return {}
    # A profile of greys or inks would be untrue of RGB pixels; bytes 16–20 name its colour space.
    if profile and profile[16:20] == b"RGB ":
        kept["icc_profile"] = profile
    if dpi:
        kept["dpi"] = dpi
    return kept


def _upright_exif(image: Image.Image) -> bytes:
    """Return the EXIF block without thumbnail, its picture upright; empty where there is none or it cannot be kept."""
    try:
        exif = image.getexif()
        if not exif:
            return b""
        exif[_ORIENTATION] = 1
        block = exif.tobytes()
    except (ValueError, TypeError, KeyError, struct.error) as error:
        log.warning("EXIF data of a photo is damaged and left out (%s)", error)
        return b""
    return block if len(block) <= _MAX_EXIF_BYTES else b""


def _listing(source: Path, output: Path) -> list[tuple[str, int, int]]:
    """Return what a folder of photos holds now, its output within it left out."""
    if not source.is_dir():
        return []
    found = []
    for root, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not Path(root, name).is_relative_to(output) and name[-6:] != ".parts"]
        states = ((Path(root, name), Path(root, name).stat()) for name in files)
        found += [(str(path.relative_to(source)), state.st_size, state.st_mtime_ns) for path, state in states]
    return sorted(found)
