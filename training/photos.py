"""The photos to paint while training: decoded once, cropped by a generator that depends on seed and iteration alone.

So a resumed run sees exactly the crops it would have seen, and no random state needs to be kept for them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# Frames are 480 to 720 rows: photos are kept at the larger, crops drawn between the two scales and a little below.
_KEPT_SHORT_SIDE_PX = 720
_SCALES_PX = (300, 720)

Picture = NDArray[np.uint8]


def read_picture(path: Path, *, short_side_px: int | None = None) -> Picture:
    """H x W x 3 uint8 RGB, upright, shrunk to `short_side_px` if larger; raises UsageError if it is not an image."""
    try:
        with Image.open(path) as file:
            if short_side_px is not None and file.format == "JPEG":
                file.draft("RGB", (short_side_px, short_side_px))
            image = ImageOps.exif_transpose(file).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} cannot be read as an image: {error}") from error
    if short_side_px is not None and min(image.size) > short_side_px:
        image = resized(image, short_side_px)
    return np.asarray(image)


def resized(image: Image.Image, short_side_px: int) -> Image.Image:
    """The image scaled to a short side, up or down."""
    ratio = short_side_px / min(image.size)
    return image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BICUBIC)


def list_photos(folder: Path) -> list[Path]:
    """Every image below a folder, sorted; raises UsageError for a folder with fewer than eight."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < 8:
        raise UsageError(f"{folder} holds {len(paths)} photos; training needs at least 8, better 100")
    return paths


class PhotoSet:
    """Photos in memory (about 1.5 MB each), and crops of them."""

    def __init__(self, paths: list[Path]) -> None:
        pictures = (read_picture(path, short_side_px=_KEPT_SHORT_SIDE_PX) for path in paths)
        self._pictures = [picture for picture in pictures if min(picture.shape[:2]) >= 128]

    def __len__(self) -> int:
        return len(self._pictures)

    def crops(self, rng: np.random.Generator, count: int, size_px: int) -> Tensor:
        """count x 3 x size x size, RGB 0..1: random photo, scale, place and mirror."""
        chosen = rng.choice(len(self._pictures), size=count, replace=count > len(self._pictures))
        crops = np.stack([_crop(self._pictures[index], rng, size_px) for index in chosen])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255.0)


def _crop(picture: Picture, rng: np.random.Generator, size: int) -> Picture:
    low = max(_SCALES_PX[0], size)
    short = int(np.exp(rng.uniform(np.log(low), np.log(max(_SCALES_PX[1], low)))))
    window = max(16, round(size * min(picture.shape[:2]) / short))
    top = int(rng.integers(0, picture.shape[0] - window + 1))
    left = int(rng.integers(0, picture.shape[1] - window + 1))
    image = Image.fromarray(picture[top : top + window, left : left + window])
    crop = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return crop[:, ::-1] if rng.random() < 0.5 else crop
