"""Other people's programs that check our outputs: Debian's ffmpeg and ffprobe, ImageMagick. Not the FFmpeg in PyAV."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture as ffprobe times it: seconds. `length_s` is None where the container does not say."""

    at_s: Fraction
    length_s: Fraction | None


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, in CI it fails."""
    if path := shutil.which(name):
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


def run(name: str, *words: str | Path, data: bytes | None = None) -> bytes:
    """Run a program to its end; return its standard output. Fails with its standard error."""
    done = subprocess.run([program(name), *map(str, words)], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def ffmpeg(*words: str | Path) -> bytes:
    """Run ffmpeg, overwriting outputs."""
    return run("ffmpeg", "-v", "error", "-nostdin", "-y", *words)


def probe(path: Path, *words: str) -> dict[str, Any]:
    """Return ffprobe's answer about streams and format, and what `words` ask besides."""
    answer = run("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", *words, f"file:{path}")
    return dict(json.loads(answer))


def shown(path: Path) -> list[Shown]:
    """Return the pictures of the first video track in the order of showing, as ffprobe decodes them."""
    answer = probe(path, "-select_streams", "v:0", "-show_frames")
    base = Fraction(answer["streams"][0]["time_base"])
    found = []
    for frame in answer["frames"]:
        ticks = frame.get("pts", frame.get("best_effort_timestamp"))
        length = frame.get("duration", frame.get("pkt_duration"))
        assert ticks is not None, f"ffprobe does not know when picture {len(found)} is shown"
        found.append(Shown(ticks * base, None if length is None else length * base))
    return found


def pictures(path: Path, filters: str = "null") -> NDArray[np.uint8]:
    """Return N×H×W×3 RGB of a video as ffmpeg decodes it, upright, one for each coded picture."""
    exact = "scale=flags=bilinear+accurate_rnd+full_chroma_int,format=rgb24"
    each = ("-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-")
    answer = ffmpeg("-i", f"file:{path}", "-vf", f"{filters},{exact}", *each)
    return np.stack(_ppms(answer))


def magick(path: Path) -> NDArray[np.uint8]:
    """Return H×W×3 RGB of a photo as ImageMagick sees it, upright, in sRGB."""
    words = ("-auto-orient", "-colorspace", "sRGB", "-background", "white", "-alpha", "remove", "-depth", "8", "ppm:-")
    return _ppms(run("convert", f"{path}[0]", *words))[0]


def _ppms(data: bytes) -> list[NDArray[np.uint8]]:
    found, at = [], 0
    while at < len(data):
        kind, size, depth, rest = data[at:].split(b"\n", 3)
        assert (kind, depth) == (b"P6", b"255"), (kind, depth)
        width, height = map(int, size.split())
        length = width * height * 3
        found.append(np.frombuffer(rest[:length], np.uint8).reshape(height, width, 3))
        at = len(data) - len(rest) + length
    return found
