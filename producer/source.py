"""What a source is, and how words on a command line become sources: files, folders, globs.

Invariant: whatever is wrong with an input is said here, in one line, before any work begins.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.protocol.frame import Frame, StreamInfo
from producer.denoise import DenoisedVideo
from producer.photos import PhotoSource
from producer.video import VideoSource

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
    | {".webm", ".wmv", ".y4m"}
)
PHOTO_SUFFIXES = frozenset({".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Source(Protocol):
    """An ordered run of frames from one file or one folder of photos."""

    info: StreamInfo

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames from number `start` on, `seq` rising by one. Raises `SourceError` after the last good frame."""
        ...

    def close(self) -> None:
        """Let go of the file; an iteration still running ends."""
        ...


def open_source(
    path: Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    max_pixels: int = 1 << 26,
    steady: bool = False,
) -> Source:
    """Open a video file, one photo, or the photos of a folder. Raises `UsageError` in one line.

    `start_s` and `end_s` cut a video, in seconds from its first frame. `steady` takes its noise out (`denoise.py`).
    """
    require_readable(path)
    if not (path.is_dir() or is_photo(path)):
        video = VideoSource(path, start_s=start_s, end_s=end_s, max_pixels=max_pixels)
        return DenoisedVideo(video) if steady else video
    if start_s is not None or end_s is not None:
        raise UsageError(f"{path}: --from and --to cut videos, not photos")
    names = list(photos_below(path)) if path.is_dir() else [path.name]
    return PhotoSource(path if path.is_dir() else path.parent, names, max_pixels=max_pixels)


def expand(sources: Sequence[str]) -> list[Path]:
    """Return one input for each video, each photo named, and each folder that holds photos; each only once.

    A folder is searched with its subfolders, hidden names left out; its photos together are one input, the folder
    itself. Patterns are expanded here when the shell did not. Raises `UsageError`.
    """
    found: dict[Path, None] = {}
    for word in sources:
        for path in _matches(word):
            require_readable(path)
            found.update(dict.fromkeys(_inputs_of_folder(path) if path.is_dir() else [path]))
    if not found:
        raise UsageError("no source given: name a video, a photo, a folder or a pattern such as 'clips/*.mp4'")
    return list(found)


def photos_below(folder: Path) -> Iterator[str]:
    """Yield the photos of a folder and its subfolders, as sorted paths within it."""
    return (str(path.relative_to(folder)) for path in _media(folder) if is_photo(path))


def is_photo(path: Path) -> bool:
    """Say whether a path is named like a photo."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def require_readable(path: Path) -> None:
    """Raise `UsageError` when a file or folder is missing or may not be read."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path}: neither a file nor a folder")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise UsageError(f"{path}: may not be read (permission denied)")


def _matches(word: str) -> list[Path]:
    path = Path(word).expanduser()
    if path.exists() or not glob.has_magic(word):
        return [path]
    if matches := sorted(glob.glob(str(path), recursive=True)):
        return [Path(match) for match in matches]
    raise UsageError(f"{word}: nothing matches this pattern")


def _inputs_of_folder(folder: Path) -> Iterable[Path]:
    media = list(_media(folder))
    if not media:
        raise UsageError(f"{folder}: no video and no photo in this folder")
    videos = [path for path in media if not is_photo(path)]
    return [*videos, folder] if len(videos) < len(media) else videos


def _media(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        # `x.mp4.parts` is the working folder of a video being painted.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".parts"))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and (is_photo(path) or path.suffix.lower() in VIDEO_SUFFIXES):
                yield path
