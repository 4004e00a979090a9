"""Painted pictures as a camera other programs can choose, through pyvirtualcam: a canvas without title and keys."""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SinkError

Pixels = NDArray[np.uint8]

# What calls ask for; the camera repeats or leaves out pictures by itself.
_FPS = 30


class CameraDevice(Protocol):
    """The part of `pyvirtualcam.Camera` that is used."""

    width: int
    height: int

    def send(self, frame: Pixels) -> None: ...
    def close(self) -> None: ...


class VirtualCamera:
    """A camera other programs can choose, through pyvirtualcam; it keeps the size of the first picture."""

    def __init__(self, open_camera: Callable[[int, int], CameraDevice]) -> None:
        self._open = open_camera
        self._device: CameraDevice | None = None
        self.is_open = True

    def show(self, pixels: Pixels) -> None:
        """Send a picture; the first opens the camera. Raises `SinkError`."""
        if self._device is None:
            self._device = self._open(pixels.shape[1], pixels.shape[0])
        size = (self._device.width, self._device.height)
        if size != (pixels.shape[1], pixels.shape[0]):
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        self._device.send(pixels)

    def entitle(self, title: str) -> None:
        """A camera has no title."""

    def key(self) -> str:
        """A camera has no keys."""
        return ""

    def close(self) -> None:
        """Take the camera away; idempotent."""
        device, self._device = self._device, None
        if device is not None:
            device.close()


def open_virtual_camera(width: int, height: int) -> CameraDevice:
    """Open the machine's virtual camera. Raises `SinkError` where there is none."""
    import pyvirtualcam

    try:
        camera: CameraDevice = pyvirtualcam.Camera(width, height, _FPS, fmt=pyvirtualcam.PixelFormat.BGR)
    except (RuntimeError, ValueError) as error:
        first_line = (str(error).strip() or "none found").splitlines()[0]
        raise SinkError(f"no virtual camera: {first_line} (on Linux: modprobe v4l2loopback)") from error
    return camera
