"""`painter bench`: measure this machine, write the figures, the page of numbers and its plots."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

Only = Annotated[str, typer.Option(metavar="A,B", help="Some sections: files,live,delay,pipe,growth,startup,link.")]
Quick = Annotated[bool, typer.Option("--quick", help="Short runs into var/bench: whether it works, not what it is.")]
Clip = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A film of yours for the section files.")]


def bench(only: Only = "", quick: Quick = False, clip: Clip = None) -> None:
    """Measure the pipeline on this machine: about twenty minutes, best with nothing else running."""
    if not (Path(__file__).parent.parent / "benchmarks" / "results").is_dir() or find_spec("benchmarks") is None:
        raise UsageError("painter bench runs from a checkout of the project (benchmarks/results is not here)")
    from benchmarks import pages, suite
    from benchmarks.harness import Plan

    sections = [name.strip() for name in only.split(",") if name.strip()] or list(suite.SECTIONS)
    if unknown := [name for name in sections if name not in suite.SECTIONS]:
        raise UsageError(f"--only {unknown[0]}: the sections are {', '.join(suite.SECTIONS)}")
    results, began_s = suite.SCRATCH if quick else suite.RESULTS, time.monotonic()
    for number, name in enumerate(sections, 1):

        def say(words: str, section: str = f"{name} ({number} of {len(sections)})") -> None:
            minutes, seconds = divmod(int(time.monotonic() - began_s), 60)
            typer.echo(f"{minutes:02}:{seconds:02}  {section}: {words}")

        suite.run(name, results, Plan(quick, clip, say))
        # After each: what a later section breaks, it does not take along.
        written = pages.publish(results)
    typer.echo(f"{results} and {' and '.join(map(str, written))} are written")
