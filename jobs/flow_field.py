"""How a picture moved since the one before it, as the rooms hand it on, and how a difference becomes trust."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Motion is known for squares of so many pixels a side.
CELL_PX = 4


@dataclass(frozen=True, slots=True)
class Motion:
    """Of each square of a picture: how far from it, in squares, it was in the picture before, and whether it was there.

    `flow`: h×w×2 float32, columns and rows to go back; `trust`: h×w float32, 0 (new, or not sure) to 1 (the same).
    """

    flow: NDArray[np.float32]
    trust: NDArray[np.float32]


def sameness(differs: NDArray[np.float32], bound: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """Return 1 where `differs` is at most half of `bound`, 0 from the whole of it on, and less and less between."""
    return np.asarray(np.clip(2.0 - differs * (2.0 / bound), 0.0, 1.0), np.float32)
