"""`painter paint`: files in, painted files out, nothing lost in between."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from commands.display import display
from commands.options import Brush, KeepColours, Strength, look_of
from jobs.batch import Batch, Keeper, Options, open_input
from jobs.report import Display, Report
from jobs.tasks import PaintTask, plan_tasks
from pipeline.errors import UsageError
from pipeline.process.config import settings
from pipeline.server.broker import Broker, open_broker
from producer.source import expand
from viewer.pipe_sink import is_pipe
from viewer.segments import SinkOptions
from viewer.sink import check_output
from workers.local_workers import LocalWorkers
from workers.styles import Style as StyleCard
from workers.styles import find_style

_VIDEO = "Video"

Sources = Annotated[list[str], typer.Argument(metavar="SRC…", help="Video files, photos, folders of either, globs.")]
Style = Annotated[str, typer.Option("--style", "-s", help="A style, or several: wave,starry (one file each).")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Output file or folder. Default: beside the source.")
]
TemporalDenoiser = Annotated[
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
Fresh = Annotated[bool, typer.Option("--fresh", help="Paint again what is finished, from its start.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")]
BrokerUrl = Annotated[str, typer.Option("--broker", metavar="URL", help="Server. Default: BROKER_URL, else embedded.")]


def paint(
    sources: Sources,
    style: Style = "",
    output: Output = None,
    strength: Strength = 1.0,
    keep_colours: KeepColours = False,
    brush: Brush = 1.0,
    workers: Workers = None,
    start: Start = "",
    end: End = "",
    steady: TemporalDenoiser = True,
    encoder: Encoder = "auto",
    crf: Crf = None,
    preset: Preset = "",
    pix_fmt: PixFmt = "",
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
    if as_json and output is not None and is_pipe(output):
        raise UsageError(f"-o {output} writes pictures where --json would write its object; leave one out")
    options = Options(look_of(strength, keep_colours, brush), sink, steady)
    tasks = plan_tasks(expand(sources, partial(print, file=sys.stderr)), _styles(style), output)
    for source in dict.fromkeys(task.source for task in tasks):
        with closing(open_input(source, options, settings())) as opened:
            for output in (task.output for task in tasks if task.source == source):
                check_output(output, opened.info, sink)
    with display(len(tasks)) as show:
        todo = _todo(tasks, fresh, show)
        reports, failed = _run(todo, options, workers, broker, show) if todo else ([], 0)
    if as_json:
        print(json.dumps(_summary(reports, len(tasks) - len(todo), failed)))
    if failed:
        raise typer.Exit(1)


def _run(
    tasks: Sequence[PaintTask], options: Options, workers: int | None, url: str, show: Display
) -> tuple[list[Report], int]:
    styles = list(dict.fromkeys(task.style for task in tasks))
    with ExitStack() as stack:
        broker: Broker = stack.enter_context(open_broker(url))
        crew = stack.enter_context(LocalWorkers(broker, styles, workers, show.say))
        keepers: list[Keeper] = [crew]
        if broker.embedded is not None:
            keepers.append(broker.embedded)
        batch = Batch(broker, options, settings(), show, crew.lost)
        return batch.run(tasks, keepers), batch.failed


def _styles(names: str) -> list[StyleCard]:
    found = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    return [find_style(name) for name in found or [""]]


def _todo(tasks: Sequence[PaintTask], fresh: bool, show: Display) -> list[PaintTask]:
    if fresh:
        return list(tasks)
    for task in tasks:
        if task.is_done:
            show.say(f"{task.output} is finished, whatever it was painted with; --fresh paints it again")
    return [task for task in tasks if not task.is_done]


def _seconds(option: str, text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        raise UsageError(f"{option} {text}: a time is seconds or h:mm:ss, such as 12.5 or 1:02:03")
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _summary(reports: Sequence[Report], skipped: int, failed: int) -> dict[str, object]:
    frames, seconds = sum(r.frames for r in reports), max((r.seconds for r in reports), default=0.0)
    return {
        "frames": frames,
        "seconds": seconds,
        "fps": round(frames / seconds, 2) if seconds else 0.0,
        "resubmitted": sum(r.resubmitted for r in reports),
        "duplicates": sum(r.duplicates for r in reports),
        "skipped": skipped,
        "failed": failed,
        "outputs": [report.as_json() for report in reports],
    }
