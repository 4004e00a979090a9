"""`painter train`: a painting in, a style of the user's own out, ready for `painter paint --style <name>`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jobs.report import counted
from pipeline.errors import UsageError
from pipeline.process.config import settings
from workers.styles import STYLE_NAME, find_style

if TYPE_CHECKING:
    from training.train import Progress

# Iterations between two lines: tens of seconds on a CPU.
_LINE_EVERY = 20

Painting = Annotated[Path, typer.Argument(metavar="PAINTING", help="A picture of 256 px or more on its short side.")]
Name = Annotated[str, typer.Option(help="What the style will be called: a-z, 0-9, - and _.")]
Photos = Annotated[Path | None, typer.Option(help="Folder of photos to practise on. Default: those of make materials.")]
Minutes = Annotated[float, typer.Option(min=0.1, help="How long to train.")]
Size = Annotated[int | None, typer.Option(min=128, max=1024, help="Side of the photo crops in pixels.")]
Start = Annotated[
    str, typer.Option(metavar="STYLE", help="A style to begin with: strokes come sooner. none: begin with nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of this name.")]


def train(
    painting: Painting,
    name: Name,
    photos: Photos = None,
    minutes: Minutes = 20.0,
    size: Size = None,
    start: Start = "starry",
    resume: Resume = False,
) -> None:
    """Train a style from one painting. Stop it at any time; --resume goes on."""
    if not STYLE_NAME.fullmatch(name):
        raise UsageError(f"--name {name}: a style's name is made of a-z, 0-9, - and _")
    if find_spec("torch") is None:
        raise UsageError("training needs torch: pip install 'power-painter[train]'")
    # Only here: torch takes seconds to load.
    from training.cards import install
    from training.train import train as train_style

    console = Console(highlight=False, stderr=True)
    trained = train_style(
        painting,
        name=name,
        photos=photos,
        minutes=minutes,
        size=size,
        start=None if start == "none" else _weights_of(start),
        resume=resume,
        progress=lambda progress: _show(console, progress),
    )
    install(trained, painting, settings().styles_dir)
    minutes_taken = counted(round(trained.minutes), "minute")
    console.print(f"{name} is ready after {minutes_taken}: painter paint SRC --style {name}")


def _weights_of(style: str) -> Path:
    weights = find_style(style).torch_file
    if weights is None or weights.suffix != ".safetensors":
        raise UsageError(f"--start {style}: only a style with weights of ours (.safetensors) can be trained on")
    return weights


def _show(console: Console, progress: "Progress") -> None:
    if progress.sheet is not None:
        console.print(f"contact sheet: {progress.sheet}")
    if progress.iteration % _LINE_EVERY == 0:
        terms = progress.terms
        console.print(
            f"{progress.iteration}/{progress.iterations}  style {terms.style:.3f}  content {terms.content:.3f}  "
            f"{progress.eta_s / 60:.1f} min left"
        )
