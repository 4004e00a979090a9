"""What a source is, and how words on a command line become sources: files, folders, globs.

Invariant: whatever is wrong with an input is said here, in one line, before any work begins.
"""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.formats import Kind, by_suffix, is_readable
from pipeline.protocol.frame import Frame, Landmark, StreamInfo
from producer.animation import AnimationSource
from producer.denoise import DenoisedVideo
from producer.photo_pixels import is_animated, refusal
from producer.photos import PhotoSource
from producer.video import VideoSource

# So many suffixes of files that are left out are named.
_NAMED = 4


class Source(Protocol):
    """An ordered run of frames from one file or one folder of photos."""

    info: StreamInfo

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """Yield frames from number `start` on, `seq` rising by one.

        `landmark`: a frame from `start - 1` on whose time is known: with it a video is sought instead of decoded up to
        `start`. Raises `SourceError` after the last good frame where some cannot be read.
        """
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
    known = by_suffix(path) if path.is_file() else None
    if known is not None and known.refused:
        raise UsageError(f"{path}: {refusal(known)}")
    if not (path.is_dir() or is_photo(path)):
        kind = AnimationSource if known is not None and known.kind is Kind.EITHER else VideoSource
        video = kind(path, start_s=start_s, end_s=end_s, max_pixels=max_pixels)
        return DenoisedVideo(video) if steady else video
    if start_s is not None or end_s is not None:
        raise UsageError(f"{path}: --from and --to cut videos, not photos")
    names = list(photos_below(path)) if path.is_dir() else [path.name]
    return PhotoSource(path if path.is_dir() else path.parent, names, max_pixels=max_pixels)


Test = Callable[[Path], bool]


def expand(
    sources: Sequence[str],
    say: Callable[[str], object] = lambda text: None,
    leave_out: Test = lambda path: False,
    refused: dict[str, str] | None = None,
) -> list[Path]:
    """Return one input for each video, each photo named, and each folder that holds photos; each only once.

    A folder is searched with its subfolders, hidden names left out; its photos together are one input, the folder
    itself. `say` gets one line on what a folder holds besides. Patterns are expanded here when the shell did not.
    `leave_out`: what a folder or a pattern does not stand for. `refused`: gets what is wrong with each word or match
    that cannot be an input; without it, `UsageError` is raised.
    """
    found: dict[Path, None] = {}
    for word in sources:
        for path in _matches(word, leave_out, refused):
            try:
                require_readable(path)
                found.update(dict.fromkeys(_inputs_of_folder(path, say, leave_out) if path.is_dir() else [path]))
            except UsageError as error:
                _refuse(str(path), error, refused)
    if not found and not refused:
        raise UsageError("no source given: name a video, a photo, a folder or a pattern such as 'clips/*.mp4'")
    return list(found)


def photos_below(folder: Path, leave_out: Test = lambda path: False) -> Iterator[str]:
    """Yield the photos of a folder and its subfolders, as sorted paths within it."""
    return (str(path.relative_to(folder)) for path in _files(folder, leave_out) if _is_media(path) and is_photo(path))


def media_below(folder: Path, leave_out: Test = lambda path: False) -> Iterator[Path]:
    """Yield the videos and photos of a folder and its subfolders, sorted."""
    return (path for path in _files(folder, leave_out) if _is_media(path))


def is_photo(path: Path) -> bool:
    """Say whether a path is named like a photo and, where its format knows both, holds one picture only."""
    known = by_suffix(path)
    if known is None or known.kind is Kind.VIDEO:
        return False
    return known.kind is Kind.PHOTO or not is_animated(path)


def require_readable(path: Path) -> None:
    """Raise `UsageError` when a file or folder is missing or may not be read."""
    try:
        is_there = path.exists()
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)[:60]}…: {getattr(error, 'strerror', error)}") from error
    if not is_there:
        raise UsageError(f"{path}: a link to nothing" if path.is_symlink() else f"{path}: no such file or folder")
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path}: neither a file nor a folder")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise UsageError(f"{path}: may not be read (permission denied)")


def _matches(word: str, leave_out: Test, refused: dict[str, str] | None) -> list[Path]:
    path = Path(word).expanduser()
    if not glob.has_magic(word) or path.exists():
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True))
    if not matches:
        _refuse(word, UsageError(f"{word}: nothing matches this pattern"), refused)
    found = [Path(match) for match in matches if not leave_out(Path(match))]
    # A pattern may stand for folders that hold nothing to paint.
    return [path for path in found if path.is_file() or any(_is_media(one) for one in _files(path, leave_out))]


def _refuse(word: str, error: UsageError, refused: dict[str, str] | None) -> None:
    if refused is None:
        raise error
    refused[word] = str(error)


def _inputs_of_folder(folder: Path, say: Callable[[str], object], leave_out: Test) -> Iterable[Path]:
    media: list[Path] = []
    others: list[Path] = []
    for path in _files(folder, leave_out):
        (media if _is_media(path) else others).append(path)
    if not media:
        raise UsageError(
            f"{folder}: no video and no photo in this folder{f', only {_named(others)}' if others else ''}"
        )
    if others:
        say(f"{folder}: left out {_named(others)}")
    videos = [path for path in media if not is_photo(path)]
    return [*videos, folder] if len(videos) < len(media) else videos


def _is_media(path: Path) -> bool:
    return is_readable(path) and path.is_file()


def _named(files: Sequence[Path]) -> str:
    """Return what kinds of files these are, and how many of each: those first that are pictures."""
    kinds = Counter(_kind_name(path) for path in files)
    named = sorted(kinds.items(), key=lambda item: (item[0].startswith("."), -item[1], item[0]))
    words = [f"{count} {kind}" for kind, count in named[:_NAMED]]
    rest = sum(count for _, count in named[_NAMED:])
    return ", ".join([*words, f"{rest} others"] if rest else words)


def _kind_name(path: Path) -> str:
    if not path.exists():
        return "link to nothing"
    known = by_suffix(path)
    return refusal(known) if known is not None and known.refused else path.suffix.lower() or "without a suffix"


def _files(folder: Path, leave_out: Test) -> Iterator[Path]:
    """Yield every file of a folder and its subfolders, hidden ones left out, sorted."""
    for root, folders, files in os.walk(folder):
        # `x.mp4.parts` is the working folder of a video being painted.
        shown = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".parts"))
        folders[:] = [name for name in shown if not leave_out(Path(root, name))]
        paths = (Path(root, name) for name in sorted(files) if not name.startswith("."))
        yield from (path for path in paths if not leave_out(path))
