"""Painted photos: each under its own name and in its own format, with the EXIF data and colour profile of its source.

Invariant: the output, one file or one folder, appears by rename when all of it is painted; until then the photos
collect in a working folder beside it, and the next run goes on after the last of them.
"""

import io
import logging
import os
import shutil
import struct
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD

from pipeline import formats
from pipeline.errors import UsageError
from pipeline.photo_file import open_photo
from pipeline.protocol.frame import Frame, Landmark
from viewer.segments import PartsFolder, Segment, SinkOptions, fingerprint, sink_error

log = logging.getLogger(__name__)

_PAINTED = "photos"
_FORMATS = formats.writers()
_SAVE: dict[str, dict[str, Any]] = {
    # 4:4:4: a painting has coloured edges that 4:2:0 would smear.
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
    "BMP": {},
    "AVIF": {"quality": 90, "subsampling": "4:4:4", "speed": 8},
}
_ORIENTATION, _EXIF_WIDTH, _EXIF_HEIGHT = 0x0112, 0xA002, 0xA003
# What a photo's first directory says of the scene and its maker. Everything else there describes how the source's
# pixels are stored: a TIFF's would be written over that of the output, which then nobody can open.
_DESCRIPTIVE = (
    0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298,  # description … copyright
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,  # title, comment, author, keywords, subject, as Windows keeps them
)  # fmt: skip
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

    def landmark(self) -> Landmark | None:
        """Nothing is sought among photos."""
        return None

    def write(self, frame: Frame) -> None:
        """Write one photo whole. Raises `SinkError`."""
        if frame.seq != self._next:
            raise ValueError(f"photo {frame.seq}, expected number {self._next}")
        target = self._target(frame.name)
        kind = _FORMATS[target.suffix.lower()]
        working = self._parts.path / f"next{target.suffix}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source = self._source / frame.name if self._many else self._source
            _save(working, kind, frame.pixels, _kept(source, frame.pixels))
            working.replace(target)
            # All photos so far as one segment, known by its last file: the manifest stays one line long.
            file = str(target.relative_to(self._parts.path))
            self._parts.replace([Segment(file, 0, frame.seq + 1, 0, frame.pts, target.stat().st_size)])
        except OSError as error:
            raise sink_error(target, error) from error
        self._next += 1

    def take_notices(self) -> list[str]:
        """Nothing is left out here that would be said."""
        return []

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
        path = self._painted / painted_name(name)
        if not path.resolve().is_relative_to(self._painted.resolve()):
            raise sink_error(self._output / name, OSError("its name leads out of the output folder"))
        return path


def painted_name(name: str) -> str:
    """Return what the photo `name` of a folder is called in the folder of its paintings."""
    path = Path(name)
    return name if path.suffix.lower() in _FORMATS else name + formats.photo_suffix(path)


def _save(path: Path, kind: str, pixels: NDArray[np.uint8], kept: dict[str, Any]) -> None:
    """Write H×W×3 BGR. EXIF data that Pillow cannot write is left out with a warning: a painted photo is not lost."""
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))
    how = dict(_SAVE[kind])
    if kind == "TIFF" and "exif" in kept:
        # libtiff, which compresses, takes no directories below the first.
        how["compression"] = "raw"
    try:
        data = _written(image, kind, {**how, **kept})
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, struct.error) as error:
        if kept.pop("exif", None) is None:
            raise
        data = _written(image, kind, {**_SAVE[kind], **kept})
        log.warning("%s: its EXIF data cannot be written and is left out (%s)", path.name, error)
    path.write_bytes(data)


def _written(image: Image.Image, kind: str, how: dict[str, Any]) -> bytes:
    # In memory: Pillow's TIFF writer cannot open a name that is not UTF-8.
    with io.BytesIO() as file:
        image.save(file, kind, **how)
        return file.getvalue()


def _kept(origin: Path, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Return what is kept of the source's file: EXIF (upright, of the output's size), RGB profile, resolution."""
    kept: dict[str, Any] = {}
    try:
        with open_photo(origin) as image:
            profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
            if exif := _upright_exif(image, pixels.shape[1], pixels.shape[0]):
                kept["exif"] = exif
    except (OSError, SyntaxError, ValueError):
        return {}
    # A profile of greys or inks would be untrue of RGB pixels; bytes 16–20 name its colour space.
    if profile and profile[16:20] == b"RGB ":
        kept["icc_profile"] = profile
    if dpi and all(isfinite(part) and part > 0 for part in map(float, dpi)):
        kept["dpi"] = dpi
    return kept


def _upright_exif(image: Image.Image, width: int, height: int) -> bytes:
    """Return the EXIF block for an upright picture of this size; empty where there is none or it cannot be kept."""
    try:
        read, exif = image.getexif(), Image.Exif()
        exif.update({tag: read[tag] for tag in _DESCRIPTIVE if tag in read})
        for folder in (IFD.Exif, IFD.GPSInfo):
            if entries := dict(read.get_ifd(folder)):
                exif.get_ifd(folder).update(entries)
        if not exif and not exif._ifds:
            return b""
        exif[_ORIENTATION] = 1
        details = exif.get_ifd(IFD.Exif)
        details.update({tag: size for tag, size in ((_EXIF_WIDTH, width), (_EXIF_HEIGHT, height)) if tag in details})
        block = exif.tobytes()
    except (ValueError, TypeError, KeyError, AttributeError, SyntaxError, struct.error) as error:
        log.warning("EXIF data of a photo is damaged and left out (%s)", error)
        return b""
    return block if len(block) <= _MAX_EXIF_BYTES else b""


def _listing(source: Path, output: Path) -> list[tuple[str, int, int]]:
    """Return what a folder of photos holds now, without its output within it and what is hidden."""
    if not source.is_dir():
        return []
    found = []
    for root, folders, files in os.walk(source):
        shown = (name for name in folders if name[0] != "." and name[-6:] != ".parts")
        folders[:] = [name for name in shown if not Path(root, name).is_relative_to(output)]
        # Files that are not read, and links to nothing, are no part of the job.
        photos = [path for name in files if name[0] != "." and formats.is_readable(path := Path(root, name))]
        states = ((path, path.stat()) for path in photos if path.is_file())
        found += [(str(path.relative_to(source)), state.st_size, state.st_mtime_ns) for path, state in states]
    return sorted(found)
