"""How often a frame may fail, and by whom, before its job ends."""

import pytest

from producer.frame_copy import FrameCopy

ATTEMPTS = 3


@pytest.mark.parametrize(
    ("failures", "painters", "hopeless_after"),
    [
        pytest.param(["bad"] * 9, {"bad", "good"}, None, id="one worker again and again, another is there"),
        pytest.param(["a", "b", "c"], {"a", "b", "c", "d"}, 3, id="three workers"),
        pytest.param(["a", "a", "a"], {"a"}, 3, id="the only worker, three times"),
        pytest.param(["a", "b", "a"], {"a", "b"}, 3, id="both workers, three times together"),
        pytest.param(["bad", "bad", "bad"], set(), None, id="nobody known to be there: others may come"),
        pytest.param(["", "", ""], {"a", "b"}, 3, id="three deaths, by whomever"),
        pytest.param(["a", "", "a", "b"], {"a", "b", "c"}, 4, id="a death and two workers"),
    ],
)
def test_an_attempt_counts_once_a_worker(failures: list[str], painters: set[str], hopeless_after: int | None) -> None:
    copy = FrameCopy(b"", 1, 0.0)
    said: set[str] = set()
    for number, worker in enumerate(failures, 1):
        said |= {worker} - {""}
        copy.note_failure(said, handed_back=bool(worker))
        assert copy.is_hopeless(ATTEMPTS, frozenset(painters)) is (number == hopeless_after), number
