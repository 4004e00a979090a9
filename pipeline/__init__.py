"""What every process agrees on: the path of a frame, in shelves that import strictly downwards.

    wires   transport  app  embedded  spawn      sockets and processes
    rules   wire  codec  window  resend  reorder  placement  queues  metrics  exposition
                                                  pure: no clock, no network, no thread
    facts   frame  config  log                    values
    errors                                        open to all

`celery -A pipeline …` finds the app here; it is made when first asked for, so importing this package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery


def __getattr__(name: str) -> Any:
    if name == "celery":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _app() -> "Celery":
    from pipeline.app import create_app

    app = create_app()
    globals()["celery"] = app
    return app
