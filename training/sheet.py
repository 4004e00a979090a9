"""Contact sheets: held-out photos above their painted selves, the one way to judge a run while it goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.photos import SUFFIXES, read_picture
from workers.network import STRIDE_PX, StyleNetwork

_TILE_PX = (480, 360)
_MOST_PHOTOS = 8


def write_sheet(network: StyleNetwork, photos: Path, path: Path) -> Path:
    """Write a JPEG of up to eight photos of a folder, each over its painting; the network keeps its mode."""
    was_training = network.training
    painter = network.eval().fold().to(next(network.parameters()).device)
    network.train(was_training)
    paths = sorted(p for p in photos.iterdir() if p.suffix.lower() in SUFFIXES)[:_MOST_PHOTOS]
    columns = []
    for photo in paths:
        picture = _fitted(read_picture(photo, short_side_px=720))
        columns.append(np.vstack([picture, paint_picture(painter, picture)]))
    half = (len(columns) + 1) // 2
    while len(columns) < 2 * half:
        columns.append(np.full_like(columns[0], 255))
    sheet = np.vstack([np.hstack(columns[:half]), np.hstack(columns[half:])])
    Image.fromarray(sheet).save(path, quality=88)
    return path


def paint_picture(network: StyleNetwork, picture: np.ndarray) -> np.ndarray:
    """H x W x 3 uint8 RGB through the network, cropped to a multiple of its stride."""
    height, width = (side // STRIDE_PX * STRIDE_PX for side in picture.shape[:2])
    x = torch.from_numpy(picture[:height, :width].copy()).permute(2, 0, 1)[None].float() / 255.0
    painted = network.paint(x.to(next(network.parameters()).device))[0].permute(1, 2, 0)
    return (painted * 255.0).round().to(torch.uint8).cpu().numpy()


def _fitted(picture: np.ndarray) -> np.ndarray:
    """The largest centred 4:3 part, at the size of a tile."""
    height, width = picture.shape[:2]
    across = min(width, height * 4 // 3)
    down = across * 3 // 4
    top, left = (height - down) // 2, (width - across) // 2
    image = Image.fromarray(picture[top : top + down, left : left + across])
    return np.asarray(image.resize(_TILE_PX, Image.Resampling.BICUBIC))
