"""The page of numbers, made from the files of `suite.py`: goals beside figures, medians (least–most)."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import suite

_HEAD = """# Numbers

Made by `painter bench` from the files under [benchmarks/results]({folder}), not written by hand.
Everything runs on one machine: source, server, workers, viewer. Medians with the least and the most of several runs;
the ways of doing one thing take turns. Ratios between neighbours hold on a machine that also does something else,
single figures do not: each section names the load before it.
"""
Figures = Mapping[str, Any]


def page(results: Path, path: Path) -> str:
    """Return the whole page, to stand at `path`: every section of which `results` has figures."""
    folder = os.path.relpath(results, path.parent)
    parts = [_HEAD.format(folder=folder)]
    for name, (title, plot, table) in _SECTIONS.items():
        document = suite.load(name, results)
        if document is None:
            continue
        parts.append(f"## {title}\n\n{_stamp(document)}\n\n{table(document['figures'])}")
        if (results / f"{name}.png").exists():
            parts.append(f"![{plot}]({folder}/{name}.png)\n")
    styles = results / "styles.md"
    if styles.exists():
        parts.append(f"## One frame, and the styles beside their peers\n\n{styles.read_text('utf-8').strip()}\n")
    return "\n".join(parts)


def _stamp(document: Figures) -> str:
    quick = "; a quick run, too short to be believed" if document["quick"] else ""
    return f"{document['machine']}; {document['date']}; load before it {document['load_before']}{quick}."


def _files(found: Figures) -> str:
    rates = {name: row for name, row in found["fps"].items() if isinstance(row, Mapping)}
    rows = [(way, _spread(row), f"{row['cpu_ms_per_frame']}") for way, row in rates.items()]
    sleeping = [(way, _spread(row)) for way, row in found["60 ms painter, fps"].items()]
    stalls = [(way, _spread(row)) for way, row in found["longest gap, s"].items()]
    return "\n".join(
        [
            f"`{found['style']}`, {found['clip']}.\n",
            _table(("a film", "frames/s", "CPU ms a frame"), rows),
            _goals(
                ("1 worker beside the bare loop", found["fps"]["1 worker / bare loop"], "≥ 0.9"),
                ("2 workers beside what the CPU allows", found["fps"]["2 workers / CPU bound"], "≥ 0.9"),
                ("2 workers beside 1, painter that sleeps 60 ms", found["two of one"], "≥ 1.95"),
            ),
            _whole(found["whole commands"]),
            _table(("60 ms painter", "frames/s"), sleeping),
            _table(("longest time without a frame, two painters of 100 ms", "s"), stalls),
        ]
    )


def _whole(found: Figures) -> str:
    rows = [
        (f"`{way}`", _spread(row["seconds"]), _spread(row["fps"])) if isinstance(row, Mapping) else (f"`{way}`", row)
        for way, row in found.items()
    ]
    return _table(("whole commands, start and end included", "s", "frames/s"), rows)


def _live(found: Figures) -> str:
    rows = [
        (
            name,
            " ".join(map(str, row["fps"])),
            *_delays(row["delay_ms"]),
            row["captured"],
            row["dropped"],
            row["failed"],
        )
        for name, row in found.items()
    ]
    head = ("load", "FPS of each session", "delay p50 ms", "p95", "p99", "captured", "dropped", "failed")
    return _table(head, rows)


def _delay(found: Figures) -> str:
    rows = [("all", *_delays(found["added_ms"])), *((name, mean) for name, mean in found["mean_ms"].items())]
    return "\n".join(
        [
            f"{found['frames']} frames, one in flight.\n",
            _table(("added to a frame", "p50 (parts: mean) ms", "p95", "p99"), rows),
            _goals(("p50", found["added_ms"]["p50"], "≤ 5 ms"), ("p99", found["added_ms"]["p99"], "≤ 15 ms")),
        ]
    )


def _pipe(found: Figures) -> str:
    through, far = found["through the pipe"], found["20 ms away"]
    rows = [(way, _spread(row["fps"]), *_costs(row["cpu_ms_per_frame"])) for way, row in through.items()]
    here = [("redis-py alone: push, pop, add, read", _spread(found["bare redis-py"]["fps"]))]
    here += [(f"REST, {way}", _spread(row["fps"])) for way, row in found["REST here"].items()]
    away = [(way, _spread(row["fps"])) for way, row in far.items()]
    pipe = far["pipe, TLS"]["fps"]["median"]
    best = max(row["fps"]["median"] for row in through.values())
    return "\n".join(
        [
            f"{found['picture_bytes'] // 1000} KB pictures, painter that hands them back undecoded, task events on.\n",
            _table(("pipe", "frames/s", "CPU ms a frame: desk", "server", "workers", "sum"), rows),
            _goals(("frames/s", best, "≥ 350")),
            _table(("here, one frame after the other", "frames/s"), here),
            _table(("desk 20 ms away", "frames/s"), away),
            _goals(
                ("keep-alive REST over TLS", _times(pipe, far["REST keep-alive, TLS"]), "≥ 3 ×"),
                ("REST over TLS, a connection a frame", _times(pipe, far["REST a connection a frame, TLS"]), "≥ 10 ×"),
            ),
        ]
    )


def _growth(found: Figures) -> str:
    lengths = [
        (
            frames,
            _spread(row["fps"]),
            *_costs(row["cpu_ms_per_frame"])[:3],
            _spread(row["cpu_ms_of_all"]),
            *_costs(row["rss_mib"])[:3],
        )
        for frames, row in found["length"].items()
    ]
    slots = [
        (count, _spread(row["fps"]), row["of_linear"], row["cpu_ms_per_frame"]) for count, row in found["slots"].items()
    ]
    first, *_, last = (row["cpu_ms_of_all"]["median"] for row in found["length"].values())
    head = ("frames", "frames/s", "CPU ms: desk", "server", "worker", "all", "MiB: desk", "server", "worker")
    return "\n".join(
        [
            _table(head, lengths),
            _table(("slots of 60 ms", "frames/s", "of a straight line", "CPU ms a frame"), slots),
            _goals(
                ("CPU a frame, longest stream beside shortest", f"{last / first:.2f} ×", "flat"),
                ("8 slots", found["slots"].get("8", {}).get("of_linear", "–"), "≥ 0.95"),
            ),
        ]
    )


def _startup(found: Figures) -> str:
    rows = [(f"`{name}`", _spread(row["s"])) for name, row in found.items()]
    memory = [(f"`{name}`", *_memory(row["pss_mib"])) for name, row in found.items()]
    return "\n".join(
        [
            _table(("from nothing to the first painted frame", "s"), rows),
            _goals(
                ("`paint`", found["paint"]["s"]["median"], "≤ 6 s"),
                ("`up`", found["up"]["s"]["median"], "≤ 12 s"),
            ),
            _table(("memory, shared parts counted once", "MiB", "of it a worker"), memory),
        ]
    )


def _link(found: Figures) -> str:
    coded = [
        (name, row.get("psnr_db", ""), row["mbit_s"], row.get("cpu_ms", "")) for name, row in found["quality"].items()
    ]
    pages = [
        (name, row["fps"], *_delays(row["delay_ms"]), row["longest_pause_ms"], row["down_mbit_s"], row["up_mbit_s"])
        for name, row in found.items()
        if name != "quality"
    ]
    head = ("line, page", "frames/s", "ms: p50", "p95", "p99", "longest pause, ms", "Mbit/s down", "up")
    return "\n".join(
        [
            "Chromium draws without a graphics card, on the cores that also paint and serve: loopback, as before, is"
            " what it can draw at all.\n",
            _table(("a 640×480 painting at 24 FPS", "PSNR, dB", "Mbit/s", "CPU ms a picture"), coded),
            _table(head, pages),
        ]
    )


_SECTIONS: dict[str, tuple[str, str, Callable[[Figures], str]]] = {
    "files": ("A file", "frames a second of each way", _files),
    "live": ("Live", "delay by load", _live),
    "delay": ("What the pipeline adds to one live frame", "", _delay),
    "pipe": ("The pipe alone", "CPU time a frame by process", _pipe),
    "growth": ("Growth", "cost by length, rate by slots", _growth),
    "startup": ("Start and memory", "", _startup),
    "link": ("The page over a thin line", "", _link),
}


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([*map(str, row), *[""] * (len(head) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _goals(*goals: tuple[str, object, str]) -> str:
    return _table(("goal", "measured", "wanted"), goals)


def _spread(row: Figures) -> str:
    return f"{row['median']} ({row['min']}–{row['max']})"


def _delays(row: Figures) -> tuple[object, ...]:
    return row["p50"], row["p95"], row["p99"]


def _costs(row: Figures) -> tuple[object, object, object, object]:
    workers = " + ".join(str(ms) for name, ms in row.items() if name.startswith("worker"))
    return row["desk"], row["server"], workers, row.get("sum", "")


def _memory(row: Figures) -> tuple[object, object]:
    return row["together"], max(size for name, size in row.items() if name.startswith("worker"))


def _times(pipe: float, row: Figures) -> str:
    return f"{pipe / row['fps']['median']:.1f} ×"
