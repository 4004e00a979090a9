"""`painter celery`: Celery's own commands on our app, from any folder."""

import sys
from typing import Annotated

import typer


def celery(arguments: Annotated[list[str] | None, typer.Argument(help="As `celery` takes them.")] = None) -> None:
    """Pass everything on to Celery, on our app: painter celery inspect ping."""
    # Found already when Celery looks for it, which it does in the current folder first.
    from celery.__main__ import main

    import pipeline  # noqa: F401

    sys.argv = ["celery", "-A", "pipeline", *(arguments or [])]
    main()
