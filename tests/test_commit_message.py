"""The commit-msg hook: what it takes, and what it says to the rest."""

import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parent.parent / ".ci" / "commit-msg"
SUBJECT = "Read HDR through planes: every PQ and HLG film came out blue"


def said(message: str, tmp_path: Path) -> list[str]:
    """What the hook says to a message; nothing when it takes it."""
    file = tmp_path / "message"
    file.write_text(message, "utf-8")
    done = subprocess.run([HOOK, file], capture_output=True, text=True, check=False, timeout=20)
    lines = done.stderr.splitlines()
    assert done.returncode == (1 if lines else 0)
    return [line.removeprefix("commit message: ") for line in lines]


@pytest.mark.parametrize(
    "message",
    [
        f"{SUBJECT}\n\nThe decoder took BT.709 for BT.2020.\n# Changes to be committed:\n",
        f"{'x' * 72}\n\nWhy.\n",
        f"{'ü' * 72}\n\nWhy.\n",
        "Merge branch 'main' into house\n",
        f"fixup! {SUBJECT}\n",
    ],
    ids=["usual", "just fits", "characters, not bytes", "merge", "fixup"],
)
def test_good_messages_are_taken(message: str, tmp_path: Path) -> None:
    assert said(message, tmp_path) == []


@pytest.mark.parametrize(
    ("message", "problems"),
    [
        ("", ["it has no subject", "it has no body: say why, with the figures"]),
        (f"{'x' * 73}\n\nWhy.\n", ["its subject has 73 characters, at most 72 fit"]),
        (f"{SUBJECT}\n", ["it has no body: say why, with the figures"]),
        (f"{SUBJECT}\n\n# only a comment\n", ["it has no body: say why, with the figures"]),
        (f"{SUBJECT}\nWhy.\nMore.\n", ["its second line is not empty"]),
        (f"{SUBJECT}.\n\nWhy.\n", ["its subject ends with a full stop"]),
    ],
    ids=["empty", "too long", "no body", "comment for a body", "no empty line", "full stop"],
)
def test_the_hook_says_what_is_wrong(message: str, problems: list[str], tmp_path: Path) -> None:
    assert said(message, tmp_path) == problems
