"""Videos as people have them, made by Debian's ffmpeg and Pillow in a moment each: one table for all tests of inputs.

A case says how its file is made and when its pictures are shown, where ffprobe does not know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image, ImageDraw

from tests.independent import ffmpeg

FRAMES, RATE = 40, 25
# Smooth, colourful and moving: what coding loses of it stays below 1 of 255.
_PICTURES = f"gradients=size=176x144:rate={RATE}:duration={FRAMES / RATE}:speed=0.05:seed=3"
_STEADY = tuple(Fraction(n, RATE) for n in range(FRAMES))


@dataclass(frozen=True, slots=True)
class Case:
    """`shown`: when each picture is shown in seconds from the first, None where ffprobe tells; `length_s` likewise."""

    suffix: str
    make: Callable[[Path], object]
    shown: Sequence[Fraction] | None = None
    length_s: Fraction | None = None

    def file(self, folder: Path) -> Path:
        """Make the file."""
        path = folder / f"input.{self.suffix}"
        self.make(path)
        return path


def _coded(suffix: str, words: str, *, filters: str = "null", steady: bool = False) -> Case:
    """Return a case of the moving pictures, coded by ffmpeg with these words."""

    def make(path: Path) -> None:
        ffmpeg("-f", "lavfi", "-i", _PICTURES, "-vf", f"format=rgb24,gblur=6,{filters}", *words.split(), path)

    return Case(suffix, make, _STEADY if steady else None)


def _animation(suffix: str, lengths_ms: Sequence[int], **options: object) -> Case:
    """Return a case of Pillow's: a block that moves on each picture, shown for so long each."""

    def make(path: Path) -> None:
        pictures = []
        for number in range(len(lengths_ms)):
            picture = Image.new("RGB", (96, 64), (60, 90, 40 * number))
            ImageDraw.Draw(picture).rectangle([0, 0, number * 16, 63], fill=(90, 80, 40 * number))
            pictures.append(picture)
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=list(lengths_ms), **options)

    starts = [Fraction(sum(lengths_ms[:number]), 1000) for number in range(len(lengths_ms))]
    return Case(suffix, make, starts, Fraction(sum(lengths_ms), 1000))


_BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"


def _two_broadcasts() -> Case:
    """Return a case of two recordings, one behind the other in one file: the clock starts anew in the middle."""

    def make(path: Path) -> None:
        ffmpeg("-f", "lavfi", "-i", _PICTURES, "-vf", "format=rgb24,gblur=6", *f"{_H264} {_B}".split(), path)
        path.write_bytes(path.read_bytes() * 2)

    return Case("ts", make, [Fraction(n, RATE) for n in range(2 * FRAMES)])


_H264 = "-c:v libx264 -crf 2 -preset veryfast -g 12 -pix_fmt yuv420p"
_B = "-bf 2 -x264-params b-adapt=0"
_MPEG2 = "-c:v mpeg2video -q:v 2 -g 12 -bf 2"
# Every third picture twice as long, and the last one long.
_UNEVEN = "setpts='(N+floor(N/3)+if(eq(N,39),20,0))/25/TB'"

CASES: dict[str, Case] = {
    "mp4": _coded("mp4", f"{_H264} {_B}"),
    "mp4, open groups": _coded("mp4", f"{_H264} -bf 2 -x264-params b-adapt=0:open-gop=1"),
    "mov": _coded("mov", f"{_H264} {_B}"),
    "mkv": _coded("mkv", f"{_H264} {_B}"),
    "flv": _coded("flv", f"{_H264} {_B}"),
    "ts": _coded("ts", f"{_H264} {_B}"),
    "m2ts": _coded("m2ts", f"{_H264} {_B} -mpegts_m2ts_mode 1 -f mpegts"),
    "two broadcasts": _two_broadcasts(),
    "avi with B-frames": _coded("avi", f"{_H264} {_B}", steady=True),
    "avi, DivX": _coded("avi", "-c:v mpeg4 -q:v 2 -g 12 -bf 2", steady=True),
    "avi, motion JPEG": _coded("avi", "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p", steady=True),
    "mpeg program": _coded("mpg", _MPEG2, steady=True),
    "vob": _coded("vob", _MPEG2, steady=True),
    "mpeg-2 ts": _coded("ts", _MPEG2),
    "mxf": _coded("mxf", _MPEG2),
    "wmv": _coded("wmv", "-c:v wmv2 -q:v 2 -g 12"),
    "ogv": _coded("ogv", "-c:v libtheora -q:v 10 -g 12"),
    "3gp": _coded("3gp", "-c:v mpeg4 -q:v 2"),
    "webm vp8, hidden frames": _coded(
        "webm", "-c:v libvpx -pix_fmt yuv420p -b:v 4M -crf 4 -auto-alt-ref 1 -lag-in-frames 16 -arnr-maxframes 5 -g 20"
    ),
    "webm vp9": _coded("webm", "-c:v libvpx-vp9 -pix_fmt yuv420p -b:v 0 -crf 4 -lag-in-frames 16 -g 20 -cpu-used 8"),
    "av1 mp4": _coded("mp4", "-c:v libaom-av1 -pix_fmt yuv420p -crf 8 -cpu-used 8 -g 20 -usage realtime"),
    "ivf": _coded("ivf", "-c:v libvpx -pix_fmt yuv420p -b:v 4M -crf 4"),
    "dv": _coded("dv", "-target pal-dv -frames:v 4", filters="scale=720:576"),
    "nut": _coded("nut", "-c:v ffv1"),
    "y4m": _coded("y4m", "-pix_fmt yuv420p"),
    "hevc 10 bit": _coded("mp4", "-c:v libx265 -x265-params crf=4:log-level=none -pix_fmt yuv420p10le -tag:v hvc1"),
    "prores": _coded("mov", "-c:v prores_ks -profile:v 3"),
    "4:4:4": _coded("mkv", f"{_H264.replace('yuv420p', 'yuv444p')}"),
    "rgb": _coded("mkv", "-c:v libx264rgb -crf 2 -pix_fmt rgb24"),
    "grey": _coded("mkv", "-c:v ffv1 -pix_fmt gray"),
    "full range": _coded("mp4", f"{_H264} -color_range pc", filters="scale=out_range=full"),
    "bt709": _coded("mp4", f"{_H264} {_BT709}", filters="scale=out_color_matrix=bt709"),
    "turned": _coded("mp4", f"{_H264} -metadata:s:v rotate=90"),
    "odd size": _coded("mkv", "-c:v ffv1 -pix_fmt yuv444p", filters="crop=101:75"),
    "uneven mp4": _coded("mp4", f"{_H264} {_B} -fps_mode vfr -enc_time_base 1:1000", filters=_UNEVEN),
    "uneven mkv": _coded("mkv", f"{_H264} {_B} -fps_mode vfr -enc_time_base 1:1000", filters=_UNEVEN),
    "starts late": _coded("mkv", f"{_H264} {_B} -output_ts_offset 5"),
    "one picture mp4": _coded("mp4", f"{_H264} -frames:v 1"),
    "one picture mov": _coded("mov", "-c:v prores_ks -frames:v 1"),
    "gif": _animation("gif", (100, 500, 40, 1000)),
    "webp": _animation("webp", (100, 500, 40, 1000), lossless=True),
    "apng": _animation("png", (100, 500, 40, 1000)),
    "avif": _animation("avif", (100, 500, 40, 1000), quality=95),
}  # fmt: skip
