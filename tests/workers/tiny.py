"""What tests of workers share: the files of a small style, and the type of a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class StyleFiles:
    """The folder of a style called `tiny`, and its two networks."""

    folder: Path
    torch_file: Path
    export: Path
