"""The styles, shipped ones and the user's own: what each was painted after, and how its network is loaded.

A style is `<name>.safetensors` (torch), `<name>.xml` with `<name>.bin` (OpenVINO) and `<name>.json`, its card, side by
side; either network may be missing. Listing reads cards only: no engine is imported before a style is loaded.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from pipeline.errors import StyleError
from pipeline.process.config import settings
from pipeline.protocol.frame import STYLE_NAME, Look, style_label
from workers.engine import Engine
from workers.fake_styles import PREFIX
from workers.topology import are_alike

SHIPPED = Path(__file__).parent / "weights"
# wave+starry:0.4 is 40 % starry; without a number, half.
_MIX = re.compile(r"(?P<own>[^+]+)\+(?P<other>[^+:/]+)(:(?P<share>.*))?")


@dataclass(frozen=True, slots=True)
class Style:
    """One style and its card; what the card does not say is empty, and a network it has not is None."""

    name: str
    painting: str = ""
    painter: str = ""
    year: str = ""
    licence: str = ""
    torch_file: Path | None = None
    export: Path | None = None
    is_own: bool = False
    #: A second style that makes up `share` of the weights; what is painted goes to the first one's workers.
    mix: "Style | None" = None
    share: float = 0.0

    @property
    def label(self) -> str:
        """The style as outputs are named after it, with what is mixed into it: `wave+starry40`."""
        return style_label(self.name, self.mixed_look(Look()))

    def mixed_look(self, look: Look) -> Look:
        """Return `look` with what is mixed into this style, if anything."""
        return replace(look, mix=self.mix.name, share=self.share) if self.mix else look

    @property
    def own_weights(self) -> Path | None:
        """What a worker is to be told to load, since it may not find a style that is none of ours by its name."""
        return (self.torch_file or self.export) if self.is_own else None

    @property
    def size_bytes(self) -> int:
        """Bytes of the weights, without the description of the network around them."""
        chosen = self.torch_file or (self.export and self.export.with_suffix(".bin"))
        return chosen.stat().st_size if chosen and chosen.is_file() else 0


def list_styles() -> list[Style]:
    """Return every style, by name; one of the user's own hides a shipped one of the same name."""
    found = {style.name: style for folder in (SHIPPED, settings().styles_dir) for style in _in_folder(folder)}
    return [found[name] for name in sorted(found)]


def find_style(name: str) -> Style:
    """Return the style called `name`, or that of a weights file. Raises `StyleError` naming the near ones, or all."""
    if Path(name).suffix in (".pth", ".safetensors", ".xml"):
        return _from_file(Path(name))
    if found := _MIX.fullmatch(name):
        return _read_mix(found)
    if name.startswith(PREFIX) and settings().test_styles:
        return Style(name)
    styles = {style.name: style for style in list_styles()}
    if name in styles:
        return styles[name]
    if not name:
        raise StyleError(f"which style? --style takes one of {', '.join(styles) or 'none'}")
    near = get_close_matches(name, styles, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(styles) or 'none'}"
    raise StyleError(f"no style {name!r}; {hint}")


def mixed(style: Style, other: Style, share: float) -> Style:
    """Return `style` with `share` of `other` in it. Raises `StyleError` where they cannot be mixed."""
    if other.name == style.name:
        raise StyleError(f"{style.name} mixed with itself is {style.name}; name two styles")
    if not are_alike((style.torch_file, style.export), (other.torch_file, other.export)):
        raise StyleError(f"{style.name} and {other.name} cannot be mixed: their networks are built differently")
    return replace(style, mix=other, share=share)


def _read_mix(found: re.Match[str]) -> Style:
    text = found["share"] or "0.5"
    try:
        tenths = 10 * float(text)
    except ValueError:
        tenths = math.nan
    if not any(abs(tenths - whole) < 1e-6 for whole in range(1, 10)):
        raise StyleError(
            f"{found[0]}: a share is 0.1 to 0.9 in steps of 0.1, such as {found['own']}+{found['other']}:0.4"
        )
    return mixed(find_style(found["own"]), find_style(found["other"]), round(tenths) / 10)


def find_styles(words: Sequence[str]) -> list[Style]:
    """Return the styles named by `words`, each once: names, several joined by commas, or "all". Raises `StyleError`."""
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    found = [style for name in names for style in (list_styles() if name == "all" else [find_style(name)])]
    return list(dict.fromkeys(found)) or [find_style("")]


def load_engine(style: Style, device: str, threads: int) -> Engine:
    """Load a style's network on `device` (cpu, cuda:0), for `threads` CPU threads. Raises `StyleError`."""
    try:
        if device == "cpu" and style.export is not None:
            from workers.openvino_engine import OpenVinoEngine

            other = style.mix.export if style.mix else None
            if style.mix is None or other is not None:
                return OpenVinoEngine(style.export, threads=threads, mix=other, share=style.share)
        if style.torch_file is not None:
            from workers.torch_engine import load_torch_engine

            second = style.mix.torch_file if style.mix else None
            return load_torch_engine(style.torch_file, device=device, threads=threads, mix=second, share=style.share)
    except ModuleNotFoundError as error:
        needs = f"style {style.name!r} on {device} needs {error.name}"
        raise StyleError(f"{needs}; pip install 'power-painter[gpu]'") from error
    except (OSError, ValueError, RuntimeError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StyleError(f"weights of style {style.name!r} cannot be loaded on {device}: {first_line}") from error
    raise StyleError(f"style {style.name!r} has no weights for {device}")


def _in_folder(folder: Path) -> list[Style]:
    stems = {path.stem for pattern in ("*.safetensors", "*.pth", "*.xml") for path in folder.glob(pattern)}
    return [_read(folder, stem) for stem in sorted(stems) if STYLE_NAME.fullmatch(stem)]


def _from_file(path: Path) -> Style:
    if not path.is_file():
        raise StyleError(f"no weights file {path}")
    if not STYLE_NAME.fullmatch(name := path.stem.lower()):
        raise StyleError(f"{path.name}: a style's name is made of a-z, 0-9, - and _; rename the file")
    style = _read(path.parent, path.stem)
    is_export = path.suffix == ".xml"
    return Style(
        name,
        style.painting,
        style.painter,
        style.year,
        style.licence,
        torch_file=None if is_export else path,
        # A .pth stands for itself; our own two files belong together.
        export=None if path.suffix == ".pth" else style.export,
        is_own=True,
    )


def _read(folder: Path, stem: str) -> Style:
    card = _card(folder / f"{stem}.json")
    torch_files = [path for suffix in (".safetensors", ".pth") if (path := folder / f"{stem}{suffix}").is_file()]
    export = folder / f"{stem}.xml"
    return Style(
        name=stem,
        painting=card.get("painting", ""),
        painter=card.get("painter", ""),
        year=card.get("year", ""),
        licence=card.get("licence", ""),
        torch_file=torch_files[0] if torch_files else None,
        export=export if export.is_file() else None,
        is_own=folder != SHIPPED,
    )


def _card(path: Path) -> Mapping[str, str]:
    # A card is a description: a broken one costs the description, not the style.
    try:
        fields = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: str(value) for key, value in fields.items()} if isinstance(fields, dict) else {}
