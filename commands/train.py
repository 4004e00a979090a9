"""`painter train`: a painting in, a style of the user's own out, ready for `painter paint --style <name>`."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jobs.report import counted
from pipeline.errors import UsageError
from pipeline.process.config import data_dir, settings
from pipeline.protocol.frame import STYLE_NAME
from workers.styles import find_style

if TYPE_CHECKING:
    from training.train import Progress

# Seconds between two lines where standard error is no terminal.
_LINE_EVERY_S = 10.0

Painting = Annotated[Path, typer.Argument(metavar="PAINTING", help="A picture of 256 px or more on its short side.")]
Name = Annotated[str, typer.Option(help="What the style will be called: a-z, 0-9, - and _.")]
Photos = Annotated[Path | None, typer.Option(help="Folder of photos to practise on. Default: those of make materials.")]
Minutes = Annotated[float, typer.Option(min=0.1, help="How long to train.")]
Start = Annotated[
    str, typer.Option(metavar="STYLE", help="A style to begin with: strokes come sooner. none: begin with nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of this name.")]


def train(
    painting: Painting,
    name: Name,
    photos: Photos = None,
    minutes: Minutes = 20.0,
    start: Start = "starry",
    resume: Resume = False,
) -> None:
    """Train a style from one painting. Stop it at any time; --resume goes on."""
    if not STYLE_NAME.fullmatch(name):
        raise UsageError(f"--name {name}: a style's name is made of a-z, 0-9, - and _")
    if find_spec("torch") is None:
        raise UsageError("training needs torch: pip install 'power-painter[train]'")
    # Before photos are offered: 400 MB.
    if not painting.exists():
        raise UsageError(f"there is no painting at {painting}")
    # Only here: torch takes seconds to load.
    from training.cards import install
    from training.train import train as train_style

    console = Console(highlight=False, stderr=True)
    materials = _materials(console, photos)
    console.print("reading the photos: some ten seconds")
    show = _Lines(console)
    try:
        trained = train_style(
            painting,
            name=name,
            photos=photos,
            minutes=minutes,
            parent=None if start == "none" else _weights_of(start),
            resume=resume,
            materials=materials,
            out=data_dir() / "training",
            progress=show,
        )
    except KeyboardInterrupt:
        console.print(f"stopped; the same command with --resume continues {name}")
        raise
    install(trained, painting, settings().styles_dir)
    minutes_taken = counted(round(trained.minutes), "minute")
    console.print(f"{name} is ready after {minutes_taken}: painter paint SRC --style {name}")


def _materials(console: Console, photos: Path | None) -> Path:
    """The folder with VGG-16 and photos: the checkout's, else the user's; fetched after asking where there is none."""
    from training.download import fetch
    from training.train import MATERIALS

    folder = MATERIALS.absolute() if (MATERIALS / "vgg16.safetensors").exists() else data_dir() / "training/materials"
    if (folder / "vgg16.safetensors").exists() and (photos is not None or (folder / "photos").is_dir()):
        return folder
    question = f"Training needs VGG-16 and photos: about 400 MB, a minute, into {folder}. Fetch them now?"
    if not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise UsageError(f"no photos in {folder}: run `make materials` in a checkout, or answer yes on a terminal")
    console.print(f"fetching into {folder}")
    fetch(folder)
    return folder


def _weights_of(style: str) -> Path:
    weights = find_style(style).torch_file
    if weights is None or weights.suffix != ".safetensors":
        raise UsageError(f"--start {style}: only a style with weights of ours (.safetensors) can be trained on")
    return weights


class _Lines:
    """A line of progress every few seconds, and one for each contact sheet."""

    def __init__(self, console: Console) -> None:
        self._console, self._said_s = console, 0.0

    def __call__(self, progress: "Progress") -> None:
        if progress.sheet is not None:
            self._console.print(f"before and after: {progress.sheet}")
        now_s = time.monotonic()
        if progress.share < 1.0 and self._said_s and now_s - self._said_s < _LINE_EVERY_S:
            return
        self._said_s = now_s
        left = f"{progress.eta_s / 60:.1f} minutes left" if progress.eta_s >= 60 else f"{progress.eta_s:.0f} s left"
        self._console.print(
            f"{progress.share:4.0%}  iteration {progress.iteration}  style {progress.terms.style:.2f}  "
            f"content {progress.terms.content:.2f}  {left}"
        )
