"""What every process agrees on: the path of a frame, in parts that import strictly downwards.

    server/    connections, transports, scripts, the Celery app, the embedded server
    flow/      rules about frames on their way: windows, order, resends, placement, rates
    protocol/  what crosses between processes: frames, codecs, messages, queue names, records
    process/   settings, logging, child processes, bounded shutdown
    ffmpeg.py  what source and sink share of FFmpeg
    errors.py  open to all

`celery -A pipeline …` finds the app here; it is made when first asked for, so importing this package costs nothing.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery


def __getattr__(name: str) -> Any:
    if name == "celery":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _app() -> "Celery":
    # Found by `celery -A pipeline`, this package may be all of ours that is on the path.
    if (root := str(Path(__file__).resolve().parents[1])) not in sys.path:
        sys.path.insert(0, root)
    from pipeline.server.app import create_app

    app = create_app()
    globals()["celery"] = app
    return app
