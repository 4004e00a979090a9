"""A decoded picture as upright 8-bit BGR: the one way from FFmpeg's frames to pixels, for files and network streams.

Invariant: colour, range, HDR, fields and orientation are treated alike wherever a picture comes from. Each picture is
converted by itself, so that frame `n` is the same wherever reading began.
"""

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from pipeline.ffmpeg import SCALING
from pipeline.protocol import colour
from pipeline.protocol.frame import ColourTags
from producer.deinterlace import deinterlaced
from producer.orientation import Orientation, upright
from producer.tonemap import Signal, is_hdr, to_sdr

# FFmpeg's "not said": 2 for matrix, primaries and transfer; 0 is RGB there (no matrix to keep) or reserved.
_UNSAID = frozenset({0, 2})
# HDR is unfolded into planes: packed (`bgr48le`), swscale of FFmpeg 8.1 with FULL_CHR_H_INT leaves only one colour of
# every format whose chroma has half the rows (8 to 16 bits alike); planes are right for all of them.
_DEEP = "gbrp16le"


class PixelReader:
    """Converts the pictures of one stream. Not shared between threads."""

    def __init__(self, tags: ColourTags, size: tuple[int, int] | None = None) -> None:
        """`tags`: the stream's (`colour_tags`). `size`: width, height to scale to before turning; None: as each is."""
        self._tags, self._size = tags, size
        self._reformatter = VideoReformatter()
        self._orientation = Orientation()

    def read(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return H×W×3 uint8 BGR, contiguous, tone-mapped, deinterlaced and upright."""
        pixels = self._to_bgr(picture)
        if picture.interlaced_frame:
            pixels = deinterlaced(pixels)
        return upright(pixels, self._orientation.of(picture))

    def swaps_axes(self, picture: VideoFrame) -> bool:
        """Say whether a picture's rows are shown as columns."""
        matrix = self._orientation.of(picture)
        return matrix is not None and matrix.swaps_axes

    def _to_bgr(self, picture: VideoFrame) -> NDArray[np.uint8]:
        if is_hdr(self._tags.transfer):
            signal = Signal.of(self._tags, is_rgb=picture.format.is_rgb)
            return to_sdr(_planes(self._reformat(picture, _DEEP)), signal)
        if _has_alpha(picture):
            return _on_white(np.asarray(self._reformat(picture, "bgra").to_ndarray(), np.uint8))
        return np.asarray(self._reformat(picture, "bgr24").to_ndarray(), np.uint8)

    def _reformat(self, picture: VideoFrame, pixel_format: str) -> VideoFrame:
        width, height = self._size or (picture.width, picture.height)
        return self._reformatter.reformat(
            picture, width, height, pixel_format, interpolation=SCALING, threads=1,
            src_colorspace=colour.matrix(self._tags, width, height), src_color_range=colour.sample_range(self._tags),
        )  # fmt: skip


def colour_tags(context: VideoCodecContext, first: VideoFrame) -> ColourTags:
    """Read the tags from the first frame, which knows what the bitstream says, else from the container."""
    full = colour.FULL if first.format.name.startswith("yuvj") else 0
    return ColourTags(
        colorspace=_said(first.colorspace, context.colorspace),
        primaries=_said(first.color_primaries, context.color_primaries),
        transfer=_said(first.color_trc, context.color_trc),
        range=first.color_range or context.color_range or full or None,
    )


def _said(*values: int) -> int | None:
    return next((int(value) for value in values if value not in _UNSAID), None)


def _planes(picture: VideoFrame) -> NDArray[np.uint16]:
    """Return H×W×3 uint16 BGR of three planes G, B, R."""
    planes = [
        np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width]
        for plane in picture.planes
    ]
    return np.dstack([planes[1], planes[0], planes[2]])


def _has_alpha(picture: VideoFrame) -> bool:
    return picture.format.has_palette or any(component.is_alpha for component in picture.format.components)


def _on_white(layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return H×W×3 of H×W×4: what is transparent shows white, as photos do."""
    alpha = layers[:, :, 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(layers[:, :, :3])
    mixed = layers[:, :, :3] * alpha + 255 * (255 - alpha)
    return np.asarray((mixed + 127) // 255, np.uint8)
