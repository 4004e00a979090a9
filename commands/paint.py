"""`painter paint`: files in, painted files out, nothing lost in between."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from commands.display import display
from commands.options import BrokerUrl, Brush, KeepColours, Strength, look_of
from commands.preview import draw_previews
from jobs.options import Options
from jobs.painting import Request, prepare, run
from jobs.report import Outcome, State, closing_lines
from pipeline.errors import UsageError
from pipeline.process.config import cache_dir, settings
from producer.gather import PIPE, Gathering, gathered, is_numbered
from viewer.pipe_sink import is_pipe
from viewer.segments import SinkOptions
from workers.styles import find_styles, list_styles

_VIDEO = "Video"

Sources = Annotated[
    list[str], typer.Argument(metavar="SRC…", help="Videos, photos, folders, globs, frames/%05d.png, - (a pipe).")
]
Style = Annotated[
    list[str],
    typer.Option(
        "--style",
        "-s",
        metavar="a,b,…|all",
        help="A style, or several: one file each.",
        autocompletion=lambda: [*(style.name for style in list_styles()), "all"],
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="Output file or folder. Default: beside the source.")
]
Steady = Annotated[
    bool,
    typer.Option(
        "--steady/--no-steady",
        help="Hold strokes together from picture to picture; what is faint and tiny may blur while it moves.",
        rich_help_panel=_VIDEO,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Start so many workers. Default: one a core where nobody serves a style."),
]
Start = Annotated[str, typer.Option("--from", metavar="T", help="Begin here: 12.5 or 1:02:03.", rich_help_panel=_VIDEO)]
End = Annotated[str, typer.Option("--to", metavar="T", help="End here.", rich_help_panel=_VIDEO)]
Rate = Annotated[
    str, typer.Option(metavar="N", help="Numbered pictures a second: 24 or 30000/1001.", rich_help_panel=_VIDEO)
]
Encoder = Annotated[
    str,
    typer.Option(
        help="auto, h264, hevc, av1, prores, vp9, ffv1; h264_nvenc, hevc_qsv … where they open.", rich_help_panel=_VIDEO
    ),
]
Crf = Annotated[
    int | None,
    typer.Option(help="The encoder's quality, lower is better. Default: 18 for h264.", rich_help_panel=_VIDEO),
]
Preset = Annotated[
    str, typer.Option(help="The encoder's speed, ProRes' profile. Default: veryfast for h264.", rich_help_panel=_VIDEO)
]
PixFmt = Annotated[
    str,
    typer.Option("--pix-fmt", help="The encoder's pixels: yuv420p10le has no bands in skies.", rich_help_panel=_VIDEO),
]
Preview = Annotated[
    str,
    typer.Option("--preview", metavar="T", help="Only one picture a style, of this moment.", rich_help_panel=_VIDEO),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Paint again what is finished, from its start.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")]


def paint(
    sources: Sources,
    style: Style = [],  # noqa: B006 - Typer's way to say "none given"
    output: Output = "",
    strength: Strength = 1.0,
    keep_colours: KeepColours = False,
    brush: Brush = 1.0,
    workers: Workers = None,
    start: Start = "",
    end: End = "",
    steady: Steady = True,
    rate: Rate = "",
    encoder: Encoder = "auto",
    crf: Crf = None,
    preset: Preset = "",
    pix_fmt: PixFmt = "",
    preview: Preview = "",
    fresh: Fresh = False,
    as_json: AsJson = False,
    broker: BrokerUrl = "",
) -> None:
    """Paint files in one or several styles. An interrupted job goes on where it stopped."""
    sink = SinkOptions(
        encoder=encoder,
        crf=crf,
        preset=preset,
        pix_fmt=pix_fmt,
        segment_frames=settings().segment_frames,
        start_s=_seconds("--from", start),
        end_s=_seconds("--to", end),
        fresh=fresh,
    )
    if as_json and is_pipe(Path(output)):
        raise UsageError(f"-o {output} writes pictures where --json would write its object; leave one out")
    options = Options(look_of(strength, keep_colours, brush), sink, steady)
    request = Request(
        sources, find_styles(style), Path(output) if output else None, output.endswith(os.sep), workers, broker
    )
    if (at_s := _seconds("--preview", preview)) is not None:
        for picture in draw_previews(request, options.look, at_s, settings()):
            print(picture)
        return
    began_s = time.monotonic()
    outcomes = _paint(request, options, _rate(rate))
    if as_json:
        print(json.dumps(_summary(outcomes)))
    _end(outcomes, time.monotonic() - began_s)


def _paint(request: Request, options: Options, rate: Fraction | None) -> list[Outcome]:
    """Paint all that is asked for, pipes and numbered pictures as the films they are made into."""
    if request.output is None and any(word == PIPE or is_numbered(word) for word in request.words):
        raise UsageError("a pipe and numbered pictures need a name for their output: -o film.mp4")
    say = partial(print, file=sys.stderr)
    with gathered(request.words, Gathering(cache_dir() / "gathered", rate, say=say)) as words:
        request = replace(request, words=words)
        prepared = prepare(request, options, settings(), say)
        with display(prepared.todo) as show:
            return run(prepared, request, options, settings(), show)


def _end(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Say how all ended, where they were several, and exit with the code that says so."""
    if len(outcomes) > 1:
        print("\n".join(closing_lines(outcomes, seconds)), file=sys.stderr)
    elif isinstance(error := outcomes[0].error, UsageError):
        raise typer.Exit(2) from error
    if any(outcome.is_bad for outcome in outcomes):
        raise typer.Exit(1)


def _seconds(option: str, text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        raise UsageError(f"{option} {text}: a time is seconds or h:mm:ss, such as 12.5 or 1:02:03")
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _rate(text: str) -> Fraction | None:
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.\d+|/[1-9]\d*)?", text) or not 0 < Fraction(text) <= 1000:
        raise UsageError(f"--rate {text}: a rate is pictures a second, such as 24 or 30000/1001")
    return Fraction(text)


def _summary(outcomes: Sequence[Outcome]) -> dict[str, object]:
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    frames, seconds = sum(r.frames for r in reports), max((r.seconds for r in reports), default=0.0)
    return {
        "frames": frames,
        "seconds": seconds,
        "fps": round(frames / seconds, 2) if seconds else 0.0,
        "resubmitted": sum(r.resubmitted for r in reports),
        "duplicates": sum(r.duplicates for r in reports),
        "skipped": sum(outcome.state is State.FINISHED for outcome in outcomes),
        "failed": sum(outcome.is_bad for outcome in outcomes),
        "outputs": [report.as_json() for report in reports],
        "files": [outcome.as_json() for outcome in outcomes],
    }
