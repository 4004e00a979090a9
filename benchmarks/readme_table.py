"""README's rows of figures: the few a newcomer asks for, out of the same result files as the page of numbers.

What was not measured has no row; nothing here is written by hand.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import suite

#: README between these two lines is ours.
FROM, TO = "<!-- made by `painter bench` -->", "<!-- until here -->"

Figures = Mapping[str, Any]
#: What, and its figure.
Row = tuple[str, str]


def put(text: str, results: Path) -> str:
    """Return README's `text` with the figures of `results` between the two lines."""
    head, rest = text.split(f"{FROM}\n", 1)
    _, tail = rest.split(TO, 1)
    return f"{head}{FROM}\n{table(results)}{TO}{tail}"


def table(results: Path) -> str:
    """Return where and when it was measured, and a row for each figure there is."""
    measured = {name: found for name in _ROWS if (found := suite.load(name, results)) is not None}
    rows = [row for name, document in measured.items() for row in _ROWS[name](document["figures"])]
    styles = suite.load("styles", results)
    lines = [f"| {what} | {figure} |\n" for what, figure in (*(_styles(styles) if styles else ()), *rows)]
    stamps = {f"{document['machine']}, {document['date']}" for document in measured.values()}
    return f"{'; '.join(sorted(stamps))}; medians.\n\n| what | figure |\n| --- | --- |\n{''.join(lines)}"


def _styles(found: Figures) -> list[Row]:
    ms = found["milliseconds"]
    figure = f"{ms['640x480 1 thread bf16']:.0f} ms bf16, {ms['640x480 1 thread f32']:.0f} ms f32"
    return [("one frame of a style, 640×480, one thread (`python -m benchmarks.styles`)", figure)]


def _files(found: Figures) -> list[Row]:
    ways = [name for name, row in found["fps"].items() if isinstance(row, Mapping)]
    rates = " / ".join(_whole(found["fps"][way]["median"]) for way in ways)
    gaps = list(found["longest gap, s"].values())
    whole = {way: row for way, row in found["whole commands"].items() if isinstance(row, Mapping)}
    seconds = " / ".join(_whole(row["seconds"]["median"]) for row in whole.values())
    return [
        (f"a film ({found['clip']}): {' / '.join(ways)}", f"{rates} FPS"),
        (f"the same, whole commands: {' / '.join(f'`{way}`' for way in whole)}", f"{seconds} s"),
        (
            "longest time without a frame when one of two workers is killed",
            f"{gaps[1]['median']:.1f} s ({gaps[0]['median']:.1f} s undisturbed)",
        ),
    ]


def _live(found: Figures) -> list[Row]:
    loads = {name: row for name, row in found.items() if not name.startswith("40 ms")}
    return [
        (
            f"live, two workers of {name}",
            f"{' '.join(map(str, row['fps']))} FPS, delay p50 {_whole(row['delay_ms']['p50'])} ms,"
            f" p95 {_whole(row['delay_ms']['p95'])} ms",
        )
        for name, row in loads.items()
    ]


def _delay(found: Figures) -> list[Row]:
    added = found["added_ms"]
    figures = ", ".join(f"{name} {added[name]} ms" for name in ("p50", "p95", "p99"))
    return [("what the pipeline adds to a live frame", figures)]


def _pipe(found: Figures) -> list[Row]:
    through, far = found["through the pipe"], found["20 ms away"]
    rates = " / ".join(_whole(row["fps"]["median"]) for row in through.values())
    away = [far[way]["fps"]["median"] for way in ("pipe, TLS", "REST keep-alive, TLS")]
    return [
        (f"the pipe alone, {found['picture_bytes'] // 1000} KB pictures: {' / '.join(through)}", f"{rates} FPS"),
        ("the same over TLS with the desk 20 ms away, beside REST kept alive", " / ".join(map(_whole, away)) + " FPS"),
    ]


def _growth(found: Figures) -> list[Row]:
    slots = found["slots"]
    return [
        (
            f"painters that sleep 60 ms: {' / '.join(slots)}",
            " / ".join(_whole(row["fps"]["median"]) for row in slots.values()) + " FPS",
        )
    ]


def _startup(found: Figures) -> list[Row]:
    return [
        (
            f"`painter {command}`, from nothing to its first painted frame; memory of all of it",
            f"{row['s']['median']:.1f} s, {row['pss_mib']['together']:.0f} MiB",
        )
        for command, row in found.items()
    ]


def _whole(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 20 else f"{figure:.1f}"


_ROWS: dict[str, Callable[[Figures], list[Row]]] = {
    "files": _files,
    "live": _live,
    "delay": _delay,
    "pipe": _pipe,
    "growth": _growth,
    "startup": _startup,
}
