"""One photo file as 8-bit RGB, as people see it: upright, greys and inks as colours, alpha on white.

Pillow reads nearly everything; the TIFFs it does not know (32-bit, float and 12-bit samples, 16-bit Lab) go through
OpenCV. Invariant: the size is known, and checked, before a pixel is decoded.
"""

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin, UnidentifiedImageError

from pipeline.formats import HEAD_BYTES, Format, by_head
from pipeline.photo_file import open_photo

#: What reading a photo raises when the file is at fault.
UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, RuntimeError,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_HIGH_DEPTH = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
# TIFF's tags: width, height, bits, photometric interpretation, orientation, samples a pixel.
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 256, 257, 258, 262, 274, 277
# Photometric interpretations OpenCV turns into RGB or grey: black is zero, RGB, CIE L*a*b*.
_OPENCV_READS = frozenset({1, 2, 8})
# The brightest of a float picture, and its white: 1 where it is light whose highlights go beyond, else 8 or 16 bits.
_FLOAT_WHITES = ((16.0, 1.0), (255.0, 255.0), (65535.0, 65535.0))


def read_photo(path: Path, max_pixels: int) -> NDArray[np.uint8]:
    """Return H×W×3 uint8 BGR, contiguous. Raises one of `UNREADABLE`."""
    try:
        image = open_photo(path)
    except UnidentifiedImageError as error:
        rgb = _unidentified(path, max_pixels, error)
    else:
        with image:
            require_size(image.width, image.height, max_pixels)
            is_32_bit = image.mode == "I" and image.format == "TIFF"
            if not is_32_bit:
                return bgr(image)
            rgb = _deep_tiff(path, max_pixels)
    return _reversed(rgb)


def bgr(image: Image.Image) -> NDArray[np.uint8]:
    """Return an open photo's, or an animation's present, picture: H×W×3 uint8 BGR, upright, contiguous."""
    image.load()
    return _reversed(_to_rgb(ImageOps.exif_transpose(image)))


def check_photo(path: Path, max_pixels: int) -> None:
    """Read a photo's header. Raises one of `UNREADABLE`."""
    try:
        with open_photo(path) as image:
            require_size(image.width, image.height, max_pixels)
    except UnidentifiedImageError as error:
        _unidentified(path, max_pixels, error)


def _reversed(rgb: Image.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(rgb, np.uint8)[:, :, ::-1])


def is_animated(path: Path) -> bool:
    """Say whether a file that Pillow reads holds several pictures to be shown one after the other."""
    try:
        with open_photo(path) as image:
            return bool(getattr(image, "is_animated", False))
    except UNREADABLE:
        return False


def reason(error: BaseException) -> str:
    """Return why a photo cannot be read, for a message."""
    text = str(error).partition("\n")[0]
    if text.startswith("cannot identify"):
        return "not a picture of a known kind"
    if text.startswith("decoder error"):
        return "damaged, or compressed in a way that is not read"
    return text or type(error).__name__


def require_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ValueError for more pixels than are allowed."""
    if width * height > max_pixels:
        raise ValueError(f"{width}×{height} is more than the {max_pixels} pixels allowed")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB: alpha laid on white, 16-bit scaled down, CMYK through its profile where it has one."""
    if image.mode in _HIGH_DEPTH:
        # Pillow's own conversion clips at 255, which turns a 16-bit scan white.
        return _from_samples(np.asarray(image, np.int64).clip(0, 65535).astype(np.uint16))
    if image.mode == "F":
        return _from_samples(np.asarray(image, np.float32))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("CMYK", "LAB"):
        return _through_profile(image)
    return image.convert("RGB")


def _through_profile(image: Image.Image) -> Image.Image:
    """Return RGB of inks through their own profile, of Lab through its definition; else as Pillow guesses."""
    try:
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif embedded := image.info.get("icc_profile"):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        else:
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        converted = None
    return converted if converted is not None else image.convert("RGB")


def _unidentified(path: Path, max_pixels: int, error: UnidentifiedImageError) -> Image.Image:
    """Read what Pillow does not know: a TIFF by OpenCV; raise what is known of anything else."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    known = by_head(head)
    if known is None:
        raise error
    if known.name == "TIFF":
        return _deep_tiff(path, max_pixels)
    raise ValueError(refusal(known) if known.refused else f"a damaged {known.name} file") from error


def refusal(known: Format) -> str:
    """Return the line for a format that is known and not read."""
    return f"{known.name} is not read; {known.refused}"


def _deep_tiff(path: Path, max_pixels: int) -> Image.Image:
    tags = _tiff_tags(path)
    require_size(tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0), max_pixels)
    samples, bits = tags.get(_SAMPLES, 1), max(tags.get(_BITS, (1,)))
    if tags.get(_PHOTOMETRIC) not in _OPENCV_READS or samples not in (1, 3):
        raise ValueError(f"a TIFF of {samples} samples with {bits} bits is not read; save it as RGB with 8 or 16 bits")
    # It would print its own errors; ours is one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError(f"a TIFF of {bits}-bit samples that cannot be read; save it with 8 or 16 bits")
    image = _from_samples(np.asarray(pixels if pixels.ndim == 2 else pixels[:, :, 2::-1]))
    image.getexif()[_ORIENTATION] = tags.get(_ORIENTATION, 1)
    return ImageOps.exif_transpose(image)


def _tiff_tags(path: Path) -> TiffImagePlugin.ImageFileDirectory_v2:
    with path.open("rb") as file:
        head = file.read(8)
        # BigTIFF.
        head += file.read(8) if head[2:3] == b"+" or head[3:4] == b"+" else b""
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        # Values are read when they are asked for, from a file that is closed by then.
        return TiffImagePlugin.ImageFileDirectory_v2(head) if not tags else _settled(tags)


def _settled(tags: TiffImagePlugin.ImageFileDirectory_v2) -> TiffImagePlugin.ImageFileDirectory_v2:
    for tag in tags:
        tags.get(tag)
    return tags


def _from_samples(samples: NDArray[np.generic]) -> Image.Image:
    """Return 8-bit RGB of H×W or H×W×3 samples of any depth."""
    if samples.dtype == np.uint8:
        return Image.fromarray(samples).convert("RGB")
    values = np.nan_to_num(samples.astype(np.float64))
    scaled = values.clip(0, white := _white(samples, values)) * (255 / white)
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")


def _white(samples: NDArray[np.generic], values: NDArray[np.float64]) -> float:
    """Return the value that stands for white: that of the depth, and of floats what their size suggests."""
    peak = float(values.max())
    if samples.dtype.kind in "iu":
        most = 2.0 ** (8 * samples.itemsize - (samples.dtype.kind == "i")) - 1
        # 16 bits stored in 32 are common.
        return most if peak > 65535 else min(most, 65535.0)
    return next((white for most, white in _FLOAT_WHITES if peak <= most), peak)
