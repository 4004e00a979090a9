"""One target under atheris; `run.py` starts it with libFuzzer's options."""

import logging
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline", "producer", "viewer", "workers", "msgpack", "json", "PIL"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Write the good inputs where libFuzzer starts from, and let it."""
    name, folder = sys.argv[1:3]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for number, seed in enumerate(seeds(name)):
        Path(folder, f"seed{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
