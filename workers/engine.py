"""What an engine is: one style's network, loaded, on one device. Everything around it deals in whole BGR pictures."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Paints one picture at a time. Several threads may call `paint`; an engine lets one at a time at its network."""

    @property
    def multiple(self) -> int:
        """Height and width handed to `paint` must be multiples of this."""

    @property
    def overlap_px(self) -> int:
        """How far a pixel sees, in px: tiles that overlap by it on each side paint as the whole does."""

    @property
    def bytes_per_px(self) -> int:
        """Memory one pixel of a picture takes while it is painted, for the choice of the tile size."""

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of H×W×3 uint8 BGR `pixels`, same shape, a fresh array; `pixels` stays as it is."""
