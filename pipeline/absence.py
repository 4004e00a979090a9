"""Why nobody paints a style, in the words of every command that says so. Pure."""

from collections.abc import Sequence

from pipeline.records import WorkerBeat


def why_nobody_paints(style: str, workers: Sequence[WorkerBeat]) -> str:
    """Return why a style's frames wait and what to do, "" while somebody serves it."""
    if any(beat.style == style for beat in workers):
        return ""
    away = [beat for beat in workers if beat.away_from == style]
    if not away:
        return f"no worker for {style}; start one: painter work --styles {style}"
    hosts = ", ".join(sorted({beat.host for beat in away}))
    return f"no worker of {style} can read what waits ({away[0].note}); install the newer power-painter on {hosts}"
