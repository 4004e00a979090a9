"""A minute of the storm, with a seed of its own; `make chaos` raises longer ones."""

from pathlib import Path

import pytest

from tests.faults.chaos import storm


@pytest.mark.system
@pytest.mark.slow  # serial as well, like all faults; this gives it minutes
def test_a_minute_of_storm_loses_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    chaos = storm(tmp_path, seed=1, seconds=60)
    assert sum(chaos.done.values()) > 8
    assert chaos.files > 0
