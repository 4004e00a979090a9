"""How far a film's sound has moved against its pictures, and whether it is the same, as Debian's ffmpeg hears it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.independent import ffmpeg, probe

_RATE = 48000
#: A tone that rises: it fits itself at one place only.
CHIRP = "aevalsrc=0.4*sin(2*PI*(200+400*t)*t):s=48000"


@dataclass(frozen=True, slots=True)
class Moved:
    """`ms`: by how much later the sound is; `alike`: 1 for the same sound."""

    ms: float
    alike: float


def heard(path: Path, track: int = 0) -> NDArray[np.float32]:
    """Return a sound track in mono at 48 kHz, from the moment of the first picture on."""
    answer = probe(path, "-select_streams", f"a:{track}", "-show_frames")
    frames = [frame for frame in answer["frames"] if "pts_time" in frame]
    start_s = float(frames[0]["pts_time"]) - _first_picture_s(path)
    words = ("-map", f"0:a:{track}", "-af", f"aresample={_RATE}", "-ac", "1", "-f", "f32le", "-")
    samples = np.frombuffer(ffmpeg("-i", f"file:{path}", *words), np.float32)
    shift = round(start_s * _RATE)
    return np.concatenate([np.zeros(shift, np.float32), samples]) if shift >= 0 else samples[-shift:]


def moved(before: Path, after: Path, track: int = 0) -> Moved:
    """Compare the sound of two films, each by its own pictures' clock."""
    one, other = heard(before, track), heard(after, track)
    size = 2 * max(len(one), len(other))
    matches = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(other, size), size)
    best = int(np.argmax(matches))
    strength = float(np.linalg.norm(one) * np.linalg.norm(other))
    return Moved((best if best < size // 2 else best - size) * 1000 / _RATE, float(matches[best]) / strength)


def _first_picture_s(path: Path) -> float:
    answer = probe(path, "-select_streams", "v:0", "-show_packets", "-read_intervals", "%+#40")
    shown = [packet for packet in answer["packets"] if "D" not in packet["flags"]]
    return min(float(packet.get("pts_time", packet.get("dts_time"))) for packet in shown)
