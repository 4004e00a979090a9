"""Options of several commands, declared once."""

from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.protocol.frame import LEAST_BRUSH, MOST_BRUSH, Look

BrokerUrl = Annotated[str, typer.Option("--broker", metavar="URL", help="Server. Default: BROKER_URL, else embedded.")]
Styles = Annotated[str, typer.Option(metavar="a,b,…", help="Styles to serve. Default: all.")]
Strength = Annotated[float, typer.Option(min=0.0, max=1.0, help="0 gives the source, 1 the painting.")]
KeepColours = Annotated[bool, typer.Option("--keep-colours", help="Paint the luma, keep the source's colours.")]
Brush = Annotated[
    float,
    typer.Option(
        min=LEAST_BRUSH,
        max=MOST_BRUSH,
        help="How large strokes are in the picture: 2 twice as large, 0.5 half. The same at every size of picture.",
    ),
]


def look_of(strength: float, keep_colours: bool, brush: float) -> Look:
    """Return the look asked for. Raises `UsageError` for NaN, which passes every bound."""
    for option, value in (("--strength", strength), ("--brush", brush)):
        if value != value:
            raise UsageError(f"{option} {value}: a number, such as 1")
    return Look(strength, keep_colours, brush)
