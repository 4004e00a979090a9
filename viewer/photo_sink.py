"""Painted photos: each under its own name and in its own format, with the EXIF data and colour profile of its source.

Invariant: a photo appears whole, by rename. What was written is counted in a manifest beside the output, so that the
next run goes on after it.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import UsageError
from viewer.segments import PartsFolder, Segment, SinkOptions, fingerprint, sink_error

# Pillow's writer by suffix; whatever else was read is written as PNG.
_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip
_SAVE: dict[str, dict[str, object]] = {
    # 4:4:4: a painting has coloured edges that 4:2:0 would smear.
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
    "BMP": {},
}
_ORIENTATION = 0x0112


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
        self._parts = PartsFolder(output, job, files_in=output if self._many else output.parent)
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
        working = self._parts.path / f"photo{target.suffix}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            origin = self._source / name if self._many else self._source
            Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(
                working, kind, **_SAVE[kind], **_kept(origin)
            )
            working.replace(target)
            self._count(target, pts)
        except OSError as error:
            raise sink_error(target, error) from error
        self._next += 1

    def finish(self) -> None:
        """Remove the count; the photos are there already."""
        self._parts.remove()

    def keep_partial(self) -> Path | None:
        """Return where the photos painted so far are."""
        self._parts.release()
        return self._output if self._next else None

    def close(self) -> None:
        """Keep the count for the next run."""
        self._parts.release()

    def _count(self, target: Path, pts: int) -> None:
        """Note the photos written so far as one segment, known by the last of them."""
        root = self._output if self._many else self._output.parent
        last = Segment(str(target.relative_to(root)), 0, self._next + 1, 0, pts, target.stat().st_size)
        self._parts.replace([last])

    def _target(self, name: str) -> Path:
        if not self._many:
            return self._output
        path = self._output / name
        if not path.resolve().is_relative_to(self._output.resolve()):
            raise sink_error(path, OSError("its name leads out of the output folder"))
        return path if path.suffix.lower() in _FORMATS else path.with_name(path.name + ".png")


def _kept(origin: Path) -> dict[str, object]:
    """Return what is kept of the source's file: EXIF (upright now, without thumbnail), RGB profile, resolution."""
    kept: dict[str, object] = {}
    try:
        with Image.open(origin) as image:
            exif, profile, dpi = image.getexif(), image.info.get("icc_profile"), image.info.get("dpi")
            if exif:
                exif[_ORIENTATION] = 1
                kept["exif"] = exif.tobytes()
    except (OSError, ValueError, SyntaxError):
        return {}
    # A profile of greys or inks would be untrue of RGB pixels; bytes 16–20 name its colour space.
    if profile and profile[16:20] == b"RGB ":
        kept["icc_profile"] = profile
    if dpi:
        kept["dpi"] = dpi
    return kept


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
