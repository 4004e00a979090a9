"""Logging set-up: called once by the command line and by a worker at its start, nowhere else."""

import logging
import warnings

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up(*, verbose: bool = False) -> None:
    """Send our log to standard error: warnings, or every state change when `verbose`."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format=_FORMAT)
    # libav repeats each complaint about a damaged file; sources say it once, with the second it broke at.
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    # Pillow likewise of a damaged photo, as Python warnings.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
