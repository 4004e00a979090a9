"""Why nobody paints a style, in the words of every command that says so. Pure."""

from collections.abc import Sequence

from pipeline.protocol.records import Heartbeat


def why_nobody_paints(style: str, workers: Sequence[Heartbeat]) -> str:
    """Return why a style's frames wait and what to do, "" while somebody serves it."""
    if any(beat.style == style for beat in workers):
        return ""
    if not (away := older_workers(style, workers)):
        return f"no worker for {style}; start one: painter work --styles {style}"
    hosts = ", ".join(sorted({beat.host for beat in away}))
    return f"no worker of {style} can read what waits ({away[0].note}); {_remedy(away[0].note)} on {hosts}"


def _remedy(note: str) -> str:
    return "copy the style" if note.startswith("no style") else "install the newer power-painter"


def older_workers(style: str, workers: Sequence[Heartbeat]) -> list[Heartbeat]:
    """Return the workers of a style that cannot read its tickets and leave them to newer ones."""
    return [beat for beat in workers if beat.away_from == style]
