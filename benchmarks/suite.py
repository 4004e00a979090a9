"""All of `painter bench`: which sections there are, in which order they run, and where their figures go.

One JSON file a section under `results/`; the page `docs/numbers.md` and the plots are made from these files alone, so a
section measured again replaces its own figures and no others.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.ground import private_settings, root

RESULTS = root() / "benchmarks" / "results"
PAGE = root() / "docs" / "numbers.md"
#: Section → its module, whose `measure(quick)` returns its figures. In this order they run.
SECTIONS = ("files", "live", "delay", "pipe", "growth", "startup")


def run(sections: Sequence[str], *, quick: bool, clip: Path | None, say: Callable[[str], None]) -> None:
    """Measure `sections` and write their files. `quick` figures say so of themselves."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sections:
        module = import_module(f"benchmarks.{name}")
        began_s = time.monotonic()
        load = os.getloadavg()[0]
        with private_settings():
            figures = module.measure(quick, clip) if name == "files" else module.measure(quick)
        taken_s = time.monotonic() - began_s
        document = {
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "load_before": round(load, 2),
            "seconds": round(taken_s),
            "quick": quick,
            "figures": figures,
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        say(f"{name}: {taken_s:.0f} s")


def machine() -> str:
    """Say on what this runs."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def load(name: str) -> dict[str, Any] | None:
    """Return a section's document, None where it was not measured."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
