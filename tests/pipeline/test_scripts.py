"""The server's scripts are read by name: each names its keys and arguments once, on its first lines of code."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "pipeline" / "server" / "scripts"
SCRIPTS = sorted(path for path in FOLDER.glob("*.lua") if path.name != "common.lua")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_keys_and_arguments_have_names(script: Path) -> None:
    code = [line for line in script.read_text("utf-8").splitlines() if not line.startswith("--")]
    head = [line for line in code[: code.index("")] if "KEYS" in line or "ARGV" in line]
    assert all(re.fullmatch(r"local [a-z_, ]+ = unpack\((KEYS|ARGV)(, \d+)?\)", line) for line in head)
    assert {line.split("unpack(")[1][:4] for line in head} == {"KEYS", "ARGV"}
    body = "\n".join(code[code.index("") :])
    assert not re.search(r"(KEYS|ARGV)\[", body)
