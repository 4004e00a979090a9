"""What the page takes is what `painter paint` takes: each container made by ffmpeg is known by its first bytes."""

from pathlib import Path

import pytest

from pipeline import formats
from pipeline.errors import UsageError
from tests.independent import ffmpeg
from viewer.web.uploads import suffix_of

VIDEOS = {
    "mp4": "-c:v mpeg4", "mov": "-c:v mpeg4", "3gp": "-c:v mpeg4", "mkv": "-c:v mpeg4", "webm": "-c:v libvpx",
    "avi": "-c:v mpeg4", "ts": "-c:v mpeg2video", "m2ts": "-c:v mpeg2video -mpegts_m2ts_mode 1 -f mpegts",
    "mpg": "-c:v mpeg2video", "vob": "-c:v mpeg2video", "wmv": "-c:v wmv2", "asf": "-c:v wmv2", "flv": "-c:v flv",
    "ogv": "-c:v libtheora", "mxf": "-c:v mpeg2video", "dv": "-target pal-dv", "y4m": "", "nut": "-c:v mpeg4",
    "ivf": "-c:v libvpx", "gif": "", "m4v": "-c:v mpeg4 -f mp4", "m2v": "-c:v mpeg2video",
}  # fmt: skip


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_video_is_known_by_its_name_and_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    video = tmp_path / f"clip.{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=176x144:rate=25:duration=0.4", *VIDEOS[suffix].split(), video)
    by_head = formats.by_head(video.read_bytes()[: formats.HEAD_BYTES])
    assert by_head is not None
    assert by_head is formats.by_suffix(video)
    assert suffix_of(video.read_bytes()[: formats.HEAD_BYTES]) == by_head.suffixes[0]
    assert formats.is_readable(video)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\xff\x0a" + bytes(60), "JPEG XL cannot be painted; save it as JPEG, PNG or TIFF first"),
        (b"II*\0\x10\0\0\0CR\x02" + bytes(60), "camera raw cannot be painted; develop it"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no video or photo that can be painted"),
        (b"", "no video or photo that can be painted"),
    ],
)
def test_what_is_not_read_is_refused_by_its_name(head: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        suffix_of(head)


def test_the_page_offers_the_formats_it_takes() -> None:
    page = (Path(__file__).parents[2] / "viewer" / "static" / "index.html").read_text("utf-8")
    offered = page.split('<input id="file"', 1)[1].split('accept="', 1)[1].split('"', 1)[0].split(",")
    assert {"video/*", "image/*"} <= set(offered)
    assert {suffix for suffix in offered if suffix.startswith(".")} <= {
        suffix for known in formats.FORMATS if not known.refused for suffix in known.suffixes
    }
