"""What reads bytes from outside takes anything, or refuses it with its own error; `make fuzz` does this for longer."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import CORPUS, TARGETS

# Pillow's complaints about damaged photos; the command line hushes them.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

# Reading a file costs milliseconds: fewer of them, so that all targets take seconds.
_SLOW = {
    "style_safetensors",
    "style_pth",
    "style_card",
    "manifest",
    "photo",
    "video",
    "camera_video",
    "settings_value",
    "broker_url",
}
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A good input with some bytes changed, cut, doubled or put in; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=400))
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(1, 4))):
        # Near the front, where headers are, as often as anywhere.
        reach = min(len(data), draw(st.sampled_from((16, 64, 512, 1 << 30))))
        at = draw(st.integers(0, max(0, reach - 1)))
        match draw(st.integers(0, 3)):
            case 0 if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 64))]
            case 2:
                data[at:at] = draw(st.binary(max_size=8))
            case _:
                data[at : at + 4] = draw(st.sampled_from((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0")))
    return bytes(data)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_and_damaged_ones_are_read_or_refused(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)

    @settings(
        max_examples=_EXAMPLES or (60 if name in _SLOW else 400),
        deadline=None,
        derandomize=not _EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(name))
    def take(data: bytes) -> None:
        TARGETS[name](data)

    take()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_broke_does_so_no_more(path: "os.PathLike[str]") -> None:
    with open(path, "rb") as file:
        TARGETS[os.path.basename(os.path.dirname(path))](file.read())
