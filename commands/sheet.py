"""The contact sheet: one photo large, beside it the same photo in every style, each with its painting's name."""

import unicodedata
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import SinkError, UsageError
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from producer.source import is_photo, open_source
from workers.devices import cores
from workers.styles import Style, load_engine
from workers.stylize import stylize

# Strokes were learnt at video size: a larger photo would come out with smaller strokes than a film does.
_PAINTED_PX = 960
_CELL_PX, _GAP_PX, _LABEL_PX = 480, 20, 64
_PAPER, _INK, _PALE = (250, 248, 244), (34, 32, 30), (122, 116, 108)
_QUALITY = 92


@dataclass(frozen=True, slots=True)
class _Cell:
    """One picture of the sheet and what stands below it."""

    picture: Image.Image
    title: str
    subtitle: str


def draw_sheet(photo: Path, styles: Sequence[Style], output: Path) -> None:
    """Draw `photo` in all `styles` into `output`, .jpg or .png. `UsageError` before painting, `SinkError` after."""
    if output.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UsageError(f"{output}: a sheet is a .jpg or .png file")
    if not output.parent.is_dir():
        raise UsageError(f"{output.parent} is no folder; make it, or name another with -o")
    source = _read(photo)
    conf = settings()
    cells = []
    for style in styles:
        engine = load_engine(style, conf.device, conf.threads or cores())
        pixels = np.ascontiguousarray(np.asarray(source)[:, :, ::-1])
        painted = stylize(engine, pixels, Look(), tile_pixels=(conf.tile_mb << 20) // engine.bytes_per_px)
        cells.append(_Cell(_image(painted), style.name, _credit(style)))
    _write(_compose(_Cell(source, photo.name, "the source"), cells), output)


def _read(photo: Path) -> Image.Image:
    if photo.exists() and (photo.is_dir() or not is_photo(photo)):
        raise UsageError(f"{photo} is not a photo")
    with closing(open_source(photo, max_pixels=settings().max_pixels)) as source:
        image = _image(next(iter(source.frames())).pixels)
    image.thumbnail((_PAINTED_PX, _PAINTED_PX), Image.Resampling.LANCZOS)
    return image


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))


def _credit(style: Style) -> str:
    parts = [part for part in (style.painting, style.painter, style.year) if part]
    return ", ".join(parts) or "a style of your own"


def _compose(source: _Cell, cells: Sequence[_Cell]) -> Image.Image:
    """Lay the source out two rows high at the left, the styles in two rows beside it (in one row if they are few)."""
    rows = 1 if len(cells) <= 2 else 2
    columns = -(-len(cells) // rows)
    width, height = source.picture.size
    scale = _CELL_PX / max(width, height)
    cell = (round(width * scale), round(height * scale))
    step = (cell[0] + _GAP_PX, cell[1] + _LABEL_PX + _GAP_PX)
    # The large picture ends where the lower row's pictures do.
    large = (round((step[1] * (rows - 1) + cell[1]) * width / height), step[1] * (rows - 1) + cell[1])
    left = _GAP_PX + large[0] + _GAP_PX
    sheet = Image.new("RGB", (left + columns * step[0], _GAP_PX + rows * step[1]), _PAPER)
    _place(sheet, source, (_GAP_PX, _GAP_PX), large)
    for at, one in enumerate(cells):
        row, column = divmod(at, columns)
        _place(sheet, one, (left + column * step[0], _GAP_PX + row * step[1]), cell)
    return sheet


def _place(sheet: Image.Image, cell: _Cell, at: tuple[int, int], size: tuple[int, int]) -> None:
    sheet.paste(cell.picture.resize(size, Image.Resampling.LANCZOS), at)
    draw = ImageDraw.Draw(sheet)
    below = at[1] + size[1]
    draw.text((at[0], below + 8), cell.title, _INK, ImageFont.load_default(24))
    font = ImageFont.load_default(16)
    draw.text((at[0], below + 38), _shortened(_plain(cell.subtitle), font, size[0]), _PALE, font)


def _plain(text: str) -> str:
    """Return `text` without accents: the font that comes with Pillow draws é as an empty box."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip(' ,')}…"


def _write(sheet: Image.Image, output: Path) -> None:
    part = output.with_name(f".{output.stem}.part{output.suffix}")
    try:
        sheet.save(part, quality=_QUALITY)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"{output} cannot be written: {error.strerror or error}") from error
