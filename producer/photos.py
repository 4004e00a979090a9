"""Photos as a source: the pictures of a folder, or one alone, as one stream in which each has its own size and name.

Pillow and not OpenCV reads them: it gives EXIF orientation, ICC profiles, CMYK, 16-bit and alpha their meaning, and
it tells a picture's size before it decodes a pixel. Invariant: no picture above the limit is ever decoded.
"""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from pipeline.errors import SourceError, UsageError
from pipeline.protocol.frame import Codec, Frame, StreamInfo

# Above every limit that can be set here.
_BACKSTOP_PIXELS = 1 << 28
# One tick a photo: order is all the time there is.
_TIME_BASE = Fraction(1)
_HIGH_DEPTH = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class PhotoSource:
    """The photos `names` below `folder`, in that order; animated ones give their first picture."""

    def __init__(self, folder: Path, names: Sequence[str], *, max_pixels: int = 1 << 26) -> None:
        """Check that there are photos. Raises `UsageError`; one photo alone has its header read here already."""
        if not names:
            raise UsageError(f"{folder}: no photos in this folder")
        self._folder, self._names, self._max_pixels = folder, list(names), max_pixels
        self._closed = False
        # Pillow refuses at twice its own limit and below that warns of what we refuse anyway, right after the header.
        Image.MAX_IMAGE_PIXELS = _BACKSTOP_PIXELS
        if len(self._names) == 1:
            try:
                self._open(self._names[0]).close()
            except _UNREADABLE as error:
                raise UsageError(f"{folder / self._names[0]}: not a readable photo ({_reason(error)})") from error
        self.info = StreamInfo(0, 0, _TIME_BASE, frames=len(self._names), codec=Codec.PNG)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield photos from number `start` on; those that cannot be read are left out and named at the end.

        Raises `SourceError` after the last photo when some were left out.
        """
        seq, broken = 0, []
        for name in self._names:
            if self._closed:
                return
            try:
                # Those before `start` are decoded too: only so is it known which of them counted.
                pixels = self._read(name)
            except _UNREADABLE as error:
                broken.append(f"{name} ({_reason(error)})")
                continue
            if seq >= start:
                yield Frame(seq, seq, pixels, name)
            seq += 1
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            raise SourceError(
                f"{len(broken)} of {len(self._names)} photos cannot be read: {', '.join(broken[:3])}{more}"
            )

    def close(self) -> None:
        """End a running iteration at its next photo."""
        self._closed = True

    def _open(self, name: str) -> Image.Image:
        image = Image.open(self._folder / name)
        if image.width * image.height > self._max_pixels:
            image.close()
            raise ValueError(f"{image.width}×{image.height} is more than the {self._max_pixels} pixels allowed")
        return image

    def _read(self, name: str) -> NDArray[np.uint8]:
        with self._open(name) as image:
            image.load()
            rgb = _to_rgb(ImageOps.exif_transpose(image))
        return np.ascontiguousarray(np.asarray(rgb, np.uint8)[:, :, ::-1])


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB: alpha laid on white, 16-bit scaled down, CMYK through its profile where it has one."""
    if image.mode in _HIGH_DEPTH:
        # Pillow's own conversion clips at 255, which turns a 16-bit scan white.
        grey = np.asarray(image, np.int64).clip(0, 65535) / 257
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        floats = np.nan_to_num(np.asarray(image, np.float32))
        peak = 1.0 if floats.max() <= 1 else 255.0
        return Image.fromarray(np.rint(floats.clip(0, peak) * (255 / peak)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode == "CMYK" and (profile := image.info.get("icc_profile")):
        return _through_profile(image, profile)
    return image.convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        converted = None
    return converted if converted is not None else image.convert("RGB")


def _reason(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return "not a picture of a known kind" if text.startswith("cannot identify") else text
