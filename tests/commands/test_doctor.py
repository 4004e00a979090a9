"""`painter doctor` finds what is broken, says what to do, and is not itself stopped by it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from commands import doctor
from commands.doctor import Verdict
from pipeline.server.embedded import EmbeddedServer


def test_every_check_ends_in_a_verdict() -> None:
    for check in doctor.CHECKS.values():
        verdict, found, _ = check()
        assert verdict in Verdict
        assert found


def test_missing_libraries_name_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSTEM_LIBRARIES", {"libnowhere.so.7": "libnowhere7", "libc.so.6": "libc6"})
    assert doctor.check_opencv() == (
        Verdict.BROKEN,
        "system libraries are missing",
        "apt-get install libnowhere7",
    )


def test_server_that_does_not_answer_is_broken_and_its_password_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://:hunter2@127.0.0.1:1/0")
    verdict, found, advice = doctor.check_server()
    assert verdict is Verdict.BROKEN
    assert "127.0.0.1:1" in found
    assert "hunter2" not in found + advice


def test_server_that_answers_works(monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer) -> None:
    monkeypatch.setenv("BROKER_URL", server.url)
    assert doctor.check_server()[0] is Verdict.WORKS


def test_damaged_weights_are_broken(tmp_path: Path) -> None:
    styles = tmp_path / "data" / "power-painter" / "styles"
    styles.mkdir(parents=True)
    (styles / "mine.safetensors").write_bytes(b"not weights")
    verdict, found, _ = doctor.check_styles()
    assert verdict is Verdict.BROKEN
    assert "mine" in found


def _raise() -> doctor.Result:
    raise ImportError("libodd.so: cannot open\nsecond line")


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (lambda: (Verdict.WORKS, "fine", ""), 0),
        (lambda: (Verdict.ABSENT, "not here", ""), 0),
        (lambda: (Verdict.BROKEN, "torn", "mend it"), 1),
        (_raise, 1),
    ],
    ids=["works", "absent", "broken", "raises"],
)
def test_exit_code_says_whether_something_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check: Callable[[], doctor.Result], code: int
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"thing": check})
    if code:
        with pytest.raises(typer.Exit) as ended:
            doctor.doctor()
        assert ended.value.exit_code == code
    else:
        doctor.doctor()
    shown = capsys.readouterr().out
    assert "thing" in shown
    assert "second line" not in shown
