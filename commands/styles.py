"""`painter styles`: what there is to paint with, as a list or as a contact sheet of one photo in all of them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.errors import UsageError
from pipeline.process.config import settings
from workers.styles import Style, list_styles

Sheet = Annotated[Path | None, typer.Option(metavar="PHOTO", help="Draw this photo in every style, on one picture.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the sheet goes: .jpg or .png.")]


def styles(sheet: Sheet = None, output: Output = Path("sheet.jpg")) -> None:
    """List the styles, or draw all of them on one photo."""
    found = list_styles()
    console = Console(highlight=False)
    if sheet is None:
        console.print(_table(found) if found else "no styles yet; `painter train` makes one")
        return
    if not found:
        raise UsageError("there are no styles to draw; `painter train` makes one")
    # Only here: the list must not wait for image libraries.
    from commands.sheet import draw_sheet

    draw_sheet(sheet, found, output)
    console.print(f"{len(found)} styles of {sheet.name} in {output}", soft_wrap=True)


def _table(found: list[Style]) -> Table:
    table = Table("style", "painting", "painter", "year", "licence", "size")
    for style in found:
        name = f"{style.name} (own)" if style.is_own else style.name
        table.add_row(
            name, style.painting, style.painter, style.year, style.licence, f"{style.size_bytes / 1e6:.1f} MB"
        )
    if any(style.is_own for style in found):
        table.caption = f"own: in {settings().styles_dir}"
    return table
