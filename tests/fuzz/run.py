"""`make fuzz MINUTES=10`: atheris looks for inputs that reach new code, each target for its share of the time.

    python -m tests.fuzz.run [--minutes 10] [target …]

A find is written into `tests/fuzz/corpus/<target>/`, where `make test` tries it from then on. Without atheris for this
Python, hypothesis does what it can with many more examples.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS

_ROOT = Path(__file__).parents[2]
# Longer than any input a target reads to its end.
_MAX_BYTES = 1 << 16


def main() -> int:
    """Fuzz the targets named, or all; return how many broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    said = parser.parse_args()
    names = said.targets or list(TARGETS)
    if find_spec("atheris") is None:
        sys.stdout.write("no atheris for this Python: hypothesis instead\n")
        examples = {"FUZZ_EXAMPLES": str(int(said.minutes * 1000))}
        command = [sys.executable, "-m", "pytest", "tests/fuzz/test_targets.py", "-q", "-o", "timeout=0"]
        return subprocess.run(command, cwd=_ROOT, env={**os.environ, **examples}, check=False).returncode
    broken = [name for name in names if not _fuzz(name, said.minutes * 60 / len(names))]
    sys.stdout.write(
        f"{len(names) - len(broken)} of {len(names)} targets clean; broken: {', '.join(broken) or 'none'}\n"
    )
    return len(broken)


def _fuzz(name: str, seconds: float) -> bool:
    """Fuzz one target in a process of its own: a crash ends only that."""
    finds = CORPUS / name
    finds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        command = [sys.executable, "-m", "tests.fuzz.one", name, found, str(finds), f"-artifact_prefix={finds}/"]
        limits = [f"-max_total_time={seconds:.0f}", f"-max_len={_MAX_BYTES}", "-rss_limit_mb=3000", "-timeout=20"]
        done = subprocess.run([*command, *limits], cwd=_ROOT, check=False, capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    sys.stdout.write(f"{name}: {told[-1] if told else done.stderr[-2000:]}\n")
    sys.stdout.flush()
    if not any(finds.iterdir()):
        finds.rmdir()
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
