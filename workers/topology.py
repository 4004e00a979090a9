"""How a style's network is built, read off its files without loading it: what is built alike can be mixed."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from safetensors import SafetensorError, safe_open

Layers = tuple[tuple[str, ...], ...]


def are_alike(own: tuple[Path | None, Path | None], other: tuple[Path | None, Path | None]) -> bool:
    """Whether two styles, each as its weights file and its export, are built alike as far as both have files."""
    readers: tuple[Callable[[Path], Layers], ...] = (_of_weights, _of_export)
    pairs = [(read, a, b) for read, a, b in zip(readers, own, other, strict=True) if a is not None and b is not None]
    try:
        return bool(pairs) and all(read(a) == read(b) for read, a, b in pairs)
    except (OSError, ValueError, SafetensorError, ElementTree.ParseError):
        return False


def _of_weights(path: Path) -> Layers:
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name} is no network of ours")
    with safe_open(path, framework="np") as file:
        names = sorted(file.keys())
        return tuple((name, *map(str, file.get_slice(name).get_shape())) for name in names)


def _of_export(path: Path) -> Layers:
    layers = ElementTree.parse(path).getroot().iter("layer")
    return tuple((layer.get("type", ""), _shape(layer)) for layer in layers)


def _shape(layer: ElementTree.Element) -> str:
    found = layer.find("data")
    return "" if found is None or layer.get("type") != "Const" else found.get("shape", "")
