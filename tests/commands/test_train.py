"""`painter train` refuses what cannot become a style before it loads anything heavy."""

from pathlib import Path

import pytest

from commands import train as command
from pipeline.errors import UsageError


@pytest.mark.parametrize("name", ["Wave", "my style", "../wave", "a:b", "", "x" * 65])
def test_name_that_cannot_be_a_queue_or_file_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a-z, 0-9"):
        command.train(Path("painting.png"), name)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"power-painter\[train\]"):
        command.train(Path("painting.png"), "mine")


@pytest.mark.slow
def test_missing_painting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing"):
        command.train(tmp_path / "nothing.png", "mine")
