"""Who holds the working folder of an output, and file systems without locks."""

import fcntl
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from viewer.segments import PartsFolder


def test_a_folder_held_by_another_job_is_refused(tmp_path: Path) -> None:
    held = PartsFolder(tmp_path / "out.mp4", "job")
    with pytest.raises(UsageError, match="another job is writing it right now"):
        PartsFolder(tmp_path / "out.mp4", "job")
    held.release()


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: object, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(
        UsageError, match=r"out\.mp4\.parts: this file system gives no locks \(Operation not supported\)"
    ):
        PartsFolder(tmp_path / "out.mp4", "job")
