"""Which way up a video's pictures are shown: the display matrix of each, applied to its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DisplayMatrix:
    """How decoded rows and columns are to be shown: axes swapped first, then mirrored."""

    swaps_axes: bool
    mirrors_x: bool
    mirrors_y: bool


def _display_matrix(picture: VideoFrame) -> DisplayMatrix | None:
    """Return how a decoded picture is to be turned, None for as it is. Angles between right ones are left alone."""
    # An item read, not `get`: PyAV finds side data by its type, not by its name.
    side_data = cast(Mapping[Any, Any], picture.side_data)
    if Type.DISPLAYMATRIX not in side_data:
        return None
    data = side_data[Type.DISPLAYMATRIX]
    # x' = a·x + c·y, y' = b·x + d·y, row by row (a, b, u, c, d, v, x, y, w) in 16.16 fixed point.
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5]
    if abs(int(b)) > abs(int(a)):
        return DisplayMatrix(True, bool(c < 0), bool(b < 0))
    return DisplayMatrix(False, bool(a < 0), bool(d < 0)) if a < 0 or d < 0 else None


class Orientation:
    """How the pictures of one stream are to be turned; read again when the angle changes.

    PyAV ties a picture that is asked for its side data into a reference cycle. Asked of each, they stayed until the
    garbage collector came by, hundreds at a time: `painter live --loop` grew by 200 MB in 25 minutes.
    """

    def __init__(self) -> None:
        self._angle: int | None = None
        self._matrix: DisplayMatrix | None = None

    def of(self, picture: VideoFrame) -> DisplayMatrix | None:
        """Return how this picture is to be turned, None for as it is."""
        if picture.rotation != self._angle:
            self._angle, self._matrix = picture.rotation, _display_matrix(picture)
        return self._matrix


def upright(pixels: NDArray[np.uint8], matrix: DisplayMatrix | None) -> NDArray[np.uint8]:
    """Return the pixels as they are to be shown, contiguous."""
    if matrix is None:
        return pixels
    turned = pixels.transpose(1, 0, 2) if matrix.swaps_axes else pixels
    turned = turned[:, ::-1] if matrix.mirrors_x else turned
    return np.ascontiguousarray(turned[::-1] if matrix.mirrors_y else turned)
