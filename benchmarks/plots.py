"""Bar charts of the numbers as PNG, drawn with OpenCV: no plotting package for four pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import suite

_WIDTH, _ROW, _LEFT, _RIGHT, _HEAD = 960, 34, 360, 90, 48
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
# From the wave's blue to the sunflowers' yellow (BGR); told apart by lightness too.
_COLOURS = ((140, 80, 30), (60, 140, 220), (150, 170, 120), (90, 200, 240))

#: One bar: its name, and the lengths of its parts.
Bar = tuple[str, Sequence[float]]


def draw(path: Path, title: str, bars: Sequence[Bar]) -> None:
    """Write a chart of horizontal bars, each made of one or more parts, its sum behind it."""
    height = _HEAD + _ROW * len(bars) + 12
    sheet = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    _write(sheet, title, (16, 30), 0.7)
    longest = max((sum(parts) for _, parts in bars), default=0.0) or 1.0
    for number, (name, parts) in enumerate(bars):
        top, x = _HEAD + number * _ROW, float(_LEFT)
        _write(sheet, name, (16, top + 20), 0.48)
        for colour, part in zip(_COLOURS * len(parts), parts, strict=False):
            end = x + part / longest * (_WIDTH - _LEFT - _RIGHT)
            cv2.rectangle(sheet, (round(x), top + 5), (round(end), top + _ROW - 9), colour, cv2.FILLED)
            x = end
        _write(sheet, f"{sum(parts):.4g}", (round(x) + 8, top + 20), 0.48)
    cv2.imwrite(str(path), sheet)


def draw_all(results: Path) -> None:
    """Draw the chart of every measured section that has one, beside its figures."""
    for name, (title, bars_of) in _CHARTS.items():
        if (document := suite.load(name, results)) is not None:
            draw(results / f"{name}.png", title, bars_of(document["figures"]))


def _files(found: Mapping[str, Any]) -> list[Bar]:
    return [(name, [row["median"]]) for name, row in found["fps"].items() if isinstance(row, Mapping)]


def _live(found: Mapping[str, Any]) -> list[Bar]:
    return [(_plain(name), [row["delay_ms"]["p95"]]) for name, row in found.items()]


def _pipe(found: Mapping[str, Any]) -> list[Bar]:
    costs = {name: row["cpu_ms_per_frame"] for name, row in found["through the pipe"].items()}
    return [(name, [ms for part, ms in row.items() if part != "sum"]) for name, row in costs.items()]


def _growth(found: Mapping[str, Any]) -> list[Bar]:
    return [(f"{count} slots of 60 ms", [row["fps"]["median"]]) for count, row in found["slots"].items()]


_CHARTS = {
    "files": ("a film, frames a second", _files),
    "live": ("live, p95 of the delay in ms", _live),
    "pipe": ("the pipe, CPU ms a frame: desk, server, workers", _pipe),
    "growth": ("frames a second", _growth),
}


def _write(sheet: "np.ndarray[Any, np.dtype[np.uint8]]", text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    # OpenCV's own fonts have no such sign.
    return text.replace("×", "x")
