"""`make demo`: paints a clip through `painter paint`, then sets frames before and after side by side in one picture.

Run as `python -m commands.demo CLIP`; it is no command of `painter`, whose users have `painter paint`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.process.spawn import painter
from producer.source import open_source

Pixels = NDArray[np.uint8]

_CELL_WIDTH_PX = 640
_LABEL_HEIGHT_PX = 36
_GAP_PX = 6
# Early, in the middle, late; never the very first frames, which are often black.
_MOMENTS = (0.15, 0.5, 0.85)


def demo(
    clip: Annotated[Path, typer.Argument(help="The video to paint.")],
    style: Annotated[str, typer.Option(help="Styles, such as wave,starry.")] = "wave,starry",
    out: Annotated[Path, typer.Option(help="Folder of the painted files and the picture.")] = Path("out"),
) -> None:
    """Paint `clip` in each style, which tells where each file is, and say where the picture is and what comes next."""
    out.mkdir(parents=True, exist_ok=True)
    painted = _paint(clip, style, out)
    picture = out / "before-after.png"
    before_after(clip, painted, picture)
    print(f"{picture}: frames before and after")
    painter = Path(os.path.relpath(sys.executable)).with_name("painter")
    print(f"next: {painter} up  (the page: your camera, painted as you watch)")


def before_after(source: Path, painted: Mapping[str, Path], picture: Path) -> None:
    """Write frames of `source` beside the same frames of each painted file, as one PNG; a column each, labelled."""
    rows = [[_frame(path, time_s) for path in (source, *painted.values())] for time_s in _times_s(source)]
    Image.fromarray(_sheet(rows, [source.stem, *painted])).save(picture)


def _paint(clip: Path, styles: str, out: Path) -> dict[str, Path]:
    """Return each style's finished output."""
    command = painter("paint", str(clip), "--style", styles, "-o", str(out), "--fresh", "--json")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
    reports = json.loads(done.stdout)["outputs"]
    return {report["style"]: Path(report["output"]) for report in reports}


def _times_s(source: Path) -> Sequence[float | None]:
    with closing(open_source(source)) as opened:
        frames, rate = opened.info.frames, opened.info.rate
    return [float(moment * frames / rate) for moment in _MOMENTS] if frames and rate else [None]


def _frame(path: Path, time_s: float | None) -> Pixels:
    # By time, not by number: a file can seek there, and painted files keep the timestamps of their source.
    with closing(open_source(path, start_s=time_s)) as opened:
        return next(opened.frames()).pixels


def _sheet(rows: Sequence[Sequence[Pixels]], labels: Sequence[str]) -> Pixels:
    """Return RGB pixels: a line of labels, below it the rows; all cells of a row as high as its first."""
    strips = [_labels(labels), *(_row(row) for row in rows)]
    gap = np.full((_GAP_PX, strips[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for strip in strips for part in (strip, gap)][:-1])


def _row(cells: Sequence[Pixels]) -> Pixels:
    height, width = cells[0].shape[:2]
    size = (_CELL_WIDTH_PX, max(1, round(height * _CELL_WIDTH_PX / width)))
    gap = np.full((size[1], _GAP_PX, 3), 255, np.uint8)
    shown = [cv2.cvtColor(cv2.resize(cell, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB) for cell in cells]
    return np.hstack([part for cell in shown for part in (np.asarray(cell, np.uint8), gap)][:-1])


def _labels(labels: Sequence[str]) -> Pixels:
    pitch = _CELL_WIDTH_PX + _GAP_PX
    strip = Image.new("RGB", (pitch * len(labels) - _GAP_PX, _LABEL_HEIGHT_PX), "white")
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(22)
    for column, label in enumerate(labels):
        pen.text((column * pitch + 4, _LABEL_HEIGHT_PX // 2), label, fill="black", font=font, anchor="lm")
    return np.asarray(strip, np.uint8)


if __name__ == "__main__":
    typer.run(demo)
