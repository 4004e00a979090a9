"""Contact sheets: held-out photos above their painted selves, the one way to judge a run while it goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.photos import Picture, read_picture
from workers.network import STRIDE_PX, StyleNetwork

PHOTOS_ON_A_SHEET = 8
_TILE_PX = (480, 360)


def write_sheet(network: StyleNetwork, photos: Sequence[Path], path: Path) -> Path:
    """Write a PNG of up to eight photos, each over its painting, in two rows.

    The network paints in the mode it is in: while it trains as instance norm, it shows itself so.
    """
    pictures = [fitted(read_picture(photo, short_side_px=720)) for photo in photos[:PHOTOS_ON_A_SHEET]]
    columns = [np.vstack([picture, paint_picture(network, picture)]) for picture in pictures]
    if len(columns) % 2:
        columns.append(np.full_like(columns[0], 255))
    half = len(columns) // 2
    Image.fromarray(np.vstack([np.hstack(columns[:half]), np.hstack(columns[half:])])).save(path)
    return path


def paint_picture(network: StyleNetwork, picture: Picture) -> Picture:
    """H x W x 3 uint8 RGB through the network, cropped to a multiple of its stride."""
    height, width = (side // STRIDE_PX * STRIDE_PX for side in picture.shape[:2])
    bgr = np.ascontiguousarray(picture[:height, :width, ::-1])  # as workers have it
    prepared = network.processing.before(bgr)
    x = torch.from_numpy(prepared[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255.0
    painted = network.paint(x.to(next(network.parameters()).device))[0].permute(1, 2, 0)
    pixels = (painted * 255.0).round().to(torch.uint8).cpu().numpy()
    return network.processing.after(np.ascontiguousarray(pixels[..., ::-1]))[..., ::-1].copy()


def fitted(picture: Picture, size: tuple[int, int] = _TILE_PX) -> Picture:
    """The largest centred part in the shape of `size` (width, height), scaled to it."""
    height, width = picture.shape[:2]
    across = min(width, height * size[0] // size[1])
    down = min(height, across * size[1] // size[0])
    top, left = (height - down) // 2, (width - across) // 2
    image = Image.fromarray(picture[top : top + down, left : left + across])
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
