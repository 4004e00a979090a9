"""What a user sees who gets something wrong: one line that says what, the right exit code, no traceback."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import cli
from tests.media import Clip, make_clip

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str


Painter = Callable[..., Outcome]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Painter]:
    """`painter("paint", "x.mp4")`: run a command in this process."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}

    def run(*words: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["painter", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    yield run
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo that can be painted."""
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.new("RGB", (32, 32), "teal").save(path)
    return path


def assert_refused(outcome: Outcome, *said: str) -> None:
    """Exit code 2 and one line with all of `said`."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert outcome.err.startswith("painter: ")
    assert [word for word in said if word not in outcome.err] == []


@pytest.fixture(autouse=True)
def _stand_in_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")


def test_missing_file_is_named(painter: Painter, tmp_path: Path) -> None:
    assert_refused(painter("paint", tmp_path / "nothing.mp4", "-s", "test-identity"), "nothing.mp4")


def test_folder_without_media_is_refused(painter: Painter, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(painter("paint", tmp_path / "empty", "-s", "test-identity"), "empty")


@pytest.mark.parametrize("content", [b"", b"a letter, not a video"], ids=["empty", "text"])
def test_what_is_no_video_is_refused(painter: Painter, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter.mp4").write_bytes(content)
    assert_refused(painter("paint", tmp_path / "letter.mp4", "-s", "test-identity"), "letter.mp4")


def test_unknown_style_is_refused_naming_the_near_ones(painter: Painter, photo: Path, tmp_path: Path) -> None:
    styles = tmp_path / "data" / "power-painter" / "styles"
    styles.mkdir(parents=True)
    (styles / "marigold.xml").touch()
    assert_refused(painter("paint", photo, "-s", "marigolt"), "marigolt", "marigold")


def test_missing_output_folder_is_refused(painter: Painter, photo: Path, tmp_path: Path) -> None:
    outcome = painter("paint", photo, "-s", "test-identity", "-o", tmp_path / "nowhere" / "x.png")
    assert_refused(outcome, "nowhere")


def test_unreachable_server_is_named_without_its_password(painter: Painter, photo: Path) -> None:
    url = "redis://painter:hunter2@127.0.0.1:1/0"
    outcome = painter("paint", photo, "-s", "test-identity", "--broker", url)
    assert_refused(outcome, "127.0.0.1:1")
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PAINTER_ATTEMPTS", "99"), ("PAINTER_LEASE_S", "soon"), ("PAINTER_DEVICE", "abacus")],
)
def test_bad_setting_is_refused_naming_variable_and_value(
    painter: Painter, photo: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert_refused(painter("paint", photo, "-s", "test-identity"), variable, value)


@pytest.mark.parametrize(
    "words",
    [
        ["paint"],
        ["paint", "{photo}"],
        ["paint", "{photo}", "-s", ","],
        ["paint", "{photo}", "-s", "test-identity", "--strength", "7"],
        ["paint", "{photo}", "-s", "test-identity", "--from", "noon"],
        ["paint", "{photo}", "-s", "test-identity", "--colour", "red"],
        ["flower", "--host", "0.0.0.0"],
        ["flower", "--basic-auth", "only-a-name"],
        ["sculpt"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_refused_in_one_line(painter: Painter, photo: Path, words: list[str]) -> None:
    assert_refused(painter(*(word.format(photo=photo) for word in words)))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["pait", "x"], "no command 'pait'; did you mean paint?"),
        (["xyzzy"], "no command 'xyzzy'; `painter --help` lists them"),
        (["paint", "x.mp4", "--stength", "1"], "--strength"),
        (["paint", "x.mp4", "-s", "wvae"], "did you mean wave"),
    ],
    ids=["a command", "none like it", "an option", "a style"],
)
def test_who_mistypes_is_told_what_was_meant(painter: Painter, words: list[str], hint: str) -> None:
    assert_refused(painter(*words), hint)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "wanted"), [("pa", "paint"), ("paint --sty", "--style"), ("paint x.mp4 -s star", "starry")]
)
def test_shells_complete_commands_options_and_styles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, typed: str, wanted: str
) -> None:
    line = f"painter {typed}"
    for name, value in {
        "_PAINTER_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(typed.split())),
        "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["painter"])
    with pytest.raises(SystemExit) as ended:
        cli.app(prog_name="painter", standalone_mode=False)
    assert ended.value.code == 0
    assert wanted in capsys.readouterr().out


def test_help_of_every_command_opens(painter: Painter) -> None:
    for command in cli.COMMANDS:
        outcome = painter(command, "-h" if command != "celery" else "--help")
        assert outcome.code == 0, outcome.err
        assert command in outcome.out


def test_console_script_is_installed() -> None:
    script = Path(sys.executable).parent / "painter"
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "paint" in done.stdout


@pytest.mark.parametrize(("stop", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_that_was_lost_in_a_finalizer_is_heard_a_second_later(stop: str, code: int) -> None:
    """It meets a `__del__`, where Python drops what is raised; then others come, and cut nothing short."""
    command = f"""
import os, signal, sys, time
import cli
from tests.media import Clip, make_clip

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.{stop})

def app(**_):
    Last()
    print("goes on", flush=True)
    try:
        time.sleep(20)
        print("never heard", flush=True)
    finally:
        for _ in range(3):
            os.kill(os.getpid(), signal.{stop})
            time.sleep(0.5)
        try:
            raise ValueError
        except ValueError:
            os.kill(os.getpid(), signal.{stop})
        print("cleaned up", flush=True)

cli.app = app
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (code, "goes on\ncleaned up\n"), done.stderr
    assert done.stderr.strip() == ("painter: stopped" if stop == "SIGINT" else "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "out.webm", "--encoder", "h264"), ".webm does not hold h264"),
        (("-o", "out.avi"), "a video is written as"),
        (("--crf", "60"), "h264's quality is --crf 0"),
        (("--encoder", "prores"), ".mp4 does not hold prores"),
    ],
)
def test_an_output_no_encoder_writes_is_refused_before_a_server_starts(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", Clip(frames=2))
    assert_refused(painter("paint", "clip.mp4", "-s", "wave", *words), said)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
