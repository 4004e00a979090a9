"""`painter watch`: a folder whose new files are painted as they come, until stopped."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from commands.display import display
from commands.options import BrokerUrl, Brush, KeepColours, Strength, look_of
from commands.paint import Style, Workers
from jobs.batch import Batch
from jobs.inbox import FAILED_FOLDER, Inbox
from jobs.options import Options
from jobs.supervisor import Supervisor
from jobs.tasks import PaintTask
from pipeline.errors import UsageError
from pipeline.process.config import settings
from viewer.segments import SinkOptions
from workers.local_workers import LocalWorkers
from workers.styles import find_styles

# How often the folder is looked at.
_LOOK_S = 1.0

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to watch, with its subfolders.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where paintings go; may lie in DIR.")]
Still = Annotated[
    float, typer.Option(min=0.1, max=3600, metavar="S", help="A file is whole once it stood still so many seconds.")
]


def watch(
    folder: Folder,
    output: Output,
    style: Style = [],  # noqa: B006 - Typer's way to say "none given"
    strength: Strength = 1.0,
    keep_colours: KeepColours = False,
    brush: Brush = 1.0,
    still: Still = 3.0,
    workers: Workers = None,
    broker: BrokerUrl = "",
) -> None:
    """Paint what comes into a folder, until stopped; what is painted already is remembered."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    styles, conf = find_styles(style), settings()
    options = Options(look_of(strength, keep_colours, brush), SinkOptions(segment_frames=conf.segment_frames))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"output folder {output} cannot be made ({error.strerror})") from error
    inbox = Inbox(folder, output, styles, options, still_s=still)
    with Supervisor(_LOOK_S) as parts:
        server = parts.open_server(broker)
        crew = parts.enter_context(LocalWorkers(server, styles, workers, _say))
        parts.watch(crew.poll)
        _say(f"watching {folder}; paintings go to {output}, what cannot be painted to {folder / FAILED_FOLDER}")
        tasks: list[PaintTask] = []

        def has_work(seconds: float) -> bool:
            time.sleep(seconds)
            tasks[:] = inbox.due()
            return bool(tasks)

        while True:
            parts.run(has_work)
            # Parts of its own: what a batch has polled ends with it.
            with display(dict.fromkeys(tasks)) as show, Supervisor() as polls:
                polls.watch(crew.poll)
                if server.embedded is not None:
                    polls.watch(server.embedded.poll)
                outcomes = Batch(server, options, conf, show, crew.lost).run(tasks, polls)
            for line in inbox.settle(outcomes):
                _say(line)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
