"""Two styles in one network: names, what can be mixed, what lies between, and that nobody waits while it is built."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import StyleError
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame, Look
from pipeline.protocol.wire import Ticket
from tests.conftest import WaitUntil
from tests.media import texture
from tests.workers.tiny import StyleFiles
from workers.mixing import MixingPainter
from workers.openvino_engine import OpenVinoEngine
from workers.painter import Painting
from workers.processing import Processing
from workers.styles import find_style, load_engine, mixed
from workers.torch_engine import load_torch_engine

FRAME = encode(Frame(0, 0, texture(96, 128)), Codec.RAW)


@pytest.mark.parametrize(
    ("name", "label", "share"),
    [
        ("wave+starry:0.4", "wave+starry40", 0.4),
        ("wave+starry", "wave+starry50", 0.5),
        ("cafe+wave:.9", "cafe+wave90", 0.9),
    ],
)
def test_a_mix_is_named_by_both_styles_and_goes_to_the_firsts_workers(name: str, label: str, share: float) -> None:
    style = find_style(name)
    assert (style.name, style.label, style.share) == (name.partition("+")[0], label, share)
    assert style.mixed_look(Look(0.5)).share == share


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wave+starri:0.4", "no style 'starri'; did you mean starry?"),
        ("wave+starry:0.45", "steps of 0.1"),
        ("wave+starry:1", "steps of 0.1"),
        ("wave+starry:x", "steps of 0.1"),
        ("wave+starry:nan", "steps of 0.1"),
        ("wave+wave:0.4", "name two styles"),
        ("wave+", "no style"),
    ],
)
def test_what_is_no_mix_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(StyleError, match=r"^[^\n]*$") as caught:
        find_style(name)
    assert why in str(caught.value)


def test_networks_that_are_built_differently_are_not_mixed(tiny: StyleFiles, tmp_path: Path) -> None:
    shutil.copy(tiny.torch_file, tmp_path / "other.safetensors")
    with pytest.raises(StyleError, match="wave and other cannot be mixed: their networks are built differently"):
        mixed(find_style("wave"), find_style(str(tmp_path / "other.safetensors")), 0.4)


def test_both_engines_paint_what_lies_between() -> None:
    own, other = find_style("wave"), find_style("starry")
    pixels = texture(96, 128)
    style = mixed(own, other, 0.4)
    engine = load_engine(style, "cpu", 1)
    assert isinstance(engine, OpenVinoEngine)
    painted = engine.paint(pixels)
    ends = [load_engine(one, "cpu", 1).paint(pixels) for one in (own, other)]
    # Not a blend of two paintings: another painting, farther from either than nothing, nearer than they are.
    apart = cv2.absdiff(*ends).mean()
    assert all(0.1 * apart < cv2.absdiff(painted, end).mean() < apart for end in ends)
    assert own.torch_file is not None
    torch = load_torch_engine(own.torch_file, device="cpu", threads=1, mix=other.torch_file, share=0.4)
    assert cv2.absdiff(torch.paint(pixels), painted).mean() < 2
    assert torch.processing == engine.processing


def test_what_is_done_around_the_network_lies_between_too() -> None:
    between = Processing(0.2, 0.5).mixed(Processing(1.0, 1.5), 0.25)
    assert (between.contrast, between.sharpen) == pytest.approx((0.4, 0.75))


@dataclass
class Named:
    """A painter that says which one it is, in a frame's name."""

    name: str
    painted: list[int] = field(default_factory=list)

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        self.painted.append(frame.seq)
        return Painting(EncodedFrame(frame.seq, 0, frame.codec, 1, 1, b"", self.name))


class Studio:
    """A mixing painter whose mixes are built once it says so."""

    def __init__(self) -> None:
        self.may_build = threading.Event()
        self.built: list[str] = []
        self.painter = MixingPainter(Named("wave"), self._load)

    def _load(self, other: str, share: float) -> Named:
        self.may_build.wait(10)
        self.built.append(f"{other}{share:g}")
        return Named(self.built[-1])

    def paint(self, mix: str = "", share: float = 0.0, *, live: bool = True) -> str:
        ticket = Ticket("s", 0, 1, live=live, look=Look(mix=mix, share=share))
        return self.painter.paint(FRAME, ticket, lambda: None).frame.name


def test_a_live_stream_goes_on_as_it_was_until_its_mix_is_built(wait_until: WaitUntil) -> None:
    studio = Studio()
    assert [studio.paint(), studio.paint("starry", 0.4), studio.paint("starry", 0.4)] == ["wave"] * 3
    studio.may_build.set()
    wait_until(lambda: studio.paint("starry", 0.4) == "starry0.4")
    assert studio.built == ["starry0.4"]
    assert studio.paint() == "wave"


def test_a_file_waits_for_its_mix() -> None:
    studio = Studio()
    studio.may_build.set()
    assert [studio.paint("starry", 0.4, live=False) for _ in range(3)] == ["starry0.4"] * 3
    assert studio.built == ["starry0.4"]


def test_the_last_four_mixes_are_kept() -> None:
    studio = Studio()
    studio.may_build.set()
    for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.2, 0.1):
        studio.paint("starry", share, live=False)
    assert studio.built == [f"starry{share}" for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.1)]


def test_a_mix_that_cannot_be_built_fails_its_frame_and_is_tried_again() -> None:
    def fail(other: str, share: float) -> Named:
        raise StyleError(f"no style {other!r}")

    painter = MixingPainter(Named("wave"), fail)
    ticket = Ticket("s", 0, 1, look=Look(mix="gone", share=0.4))
    for _ in range(2):
        with pytest.raises(StyleError, match="gone"):
            painter.paint(FRAME, ticket, lambda: None)
    assert np.array_equal(painter.paint(FRAME, Ticket("s", 0, 1), lambda: None).frame.name, "wave")
