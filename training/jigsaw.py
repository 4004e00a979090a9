"""Put the jigsaw paintings of Debian's gcompris-qt-data together: pieces at their places, hair-line seams filled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BLOCK = re.compile(r"\{[^{}]*\}")
_IMAGE = re.compile(r'image/([^"]+)"')
# Name of the piece without its number: "GreatWave-a01.webp" -> "GreatWave".
_NUMBER = re.compile(r"[_-]?[a-z]?[0-9]+\.webp$")
_BACKGROUND = "bg.svg"
_OPAQUE = 200


@dataclass(frozen=True, slots=True)
class _Piece:
    file: str
    x: float
    y: float


def join(board: Path, images: Path, folder: Path) -> Path:
    """Read one board's QML and write `<painting>.png`; gives its path."""
    pieces, size = _layout(board.read_text())
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    for piece in pieces:
        image = Image.open(images / piece.file).convert("RGBA")
        left = max(0, round(piece.x * size[0] - image.width / 2))
        top = max(0, round(piece.y * size[1] - image.height / 2))
        canvas.alpha_composite(image, (left, top))
    target = folder / f"{_NUMBER.sub('', pieces[0].file)}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_filled(np.asarray(canvas).astype(np.float32))).save(target)
    return target


def _layout(qml: str) -> tuple[list[_Piece], tuple[int, int]]:
    pieces, size = [], (0, 0)
    for block in _BLOCK.findall(qml):
        found = _IMAGE.search(block)
        if found and found[1] == _BACKGROUND:
            size = int(_number(block, "width")), int(_number(block, "height"))
        elif found:
            pieces.append(_Piece(found[1], _number(block, "x"), _number(block, "y")))
    return pieces, size


def _number(block: str, key: str) -> float:
    found = re.search(rf'"{key}"\s*:\s*"?([0-9.]+)', block)
    assert found is not None, f"no {key} in {block}"
    return float(found[1])


def _filled(rgba: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = rgba[..., 3] > _OPAQUE
    rows, columns = np.where(known)
    inside = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    rgb, known = rgba[inside][..., :3].copy(), known[inside]
    while not known.all():
        total, count = np.zeros_like(rgb), np.zeros(known.shape, np.float32)
        for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            near = np.roll(known, shift, (0, 1))
            total += np.roll(rgb, shift, (0, 1)) * near[..., None]
            count += near
        fresh = ~known & (count > 0)
        rgb[fresh] = total[fresh] / count[fresh][:, None]
        known = known | fresh
    return rgb.astype(np.uint8)
