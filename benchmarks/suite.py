"""All of `painter bench`: which sections there are, in which order they run, and where their figures go.

One JSON file a section under `results/`; what is read of them is made from these files alone (`pages.py`), so a
section measured again replaces its own figures and no others.
"""

import json
import os
import platform
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import Plan, private_settings, root

RESULTS = root() / "benchmarks" / "results"
#: Where a quick run leaves its figures: they are not to be believed, so they go nowhere near the others.
SCRATCH = root() / "var" / "bench"
#: Section → its module, whose `measure(plan)` returns its figures. In this order they run.
SECTIONS = ("files", "live", "delay", "pipe", "growth", "startup", "link")


def run(name: str, results: Path, plan: Plan) -> None:
    """Measure one section and write its file into `results`."""
    results.mkdir(parents=True, exist_ok=True)
    module = import_module(f"benchmarks.{name}")
    began_s = time.monotonic()
    load = os.getloadavg()[0]
    with private_settings():
        figures = module.measure(plan)
    document = {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "load_before": round(load, 2),
        "seconds": round(time.monotonic() - began_s),
        "quick": plan.quick,
        "figures": figures,
    }
    (results / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def machine() -> str:
    """Say on what this runs."""
    models: list[str] = []
    with suppress(OSError):
        models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    processor = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores, {processor}, Python {platform.python_version()}"


def load(name: str, results: Path) -> dict[str, Any] | None:
    """Return a section's document, None where it was not measured."""
    path = results / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
