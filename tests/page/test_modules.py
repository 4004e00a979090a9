"""The page's modules under node's own test runner; their promises stand in the `.test.mjs` files here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="node is not installed")
@pytest.mark.timeout(60)
def test_page_modules_keep_their_promises() -> None:
    assert NODE is not None, "CI needs node: apt-get install nodejs"
    files = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=spec", *files], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
