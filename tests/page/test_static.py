"""What every file of the page keeps to: small, typed, nothing inline, nothing from elsewhere, one place for colours."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "viewer" / "static"
MAX_LINES = 200
SCRIPTS, SHEETS = sorted(STATIC.glob("*.js")), sorted(STATIC.glob("*.css"))
PAGE = (STATIC / "index.html").read_text("utf-8")


@pytest.mark.parametrize("path", [*SCRIPTS, *SHEETS, STATIC / "index.html"], ids=lambda path: path.name)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_is_checked_and_says_what_it_is_for(path: Path) -> None:
    first, second = path.read_text("utf-8").splitlines()[:2]
    assert first == "// @ts-check"
    assert second.startswith("/**")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_puts_no_markup_from_text_and_no_base64(path: Path) -> None:
    unsafe = r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|toDataURL|\batob|\bbtoa"
    assert re.findall(unsafe, path.read_text("utf-8")) == []


def test_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", PAGE) == []
    linked = re.findall(r"(?:src|href)=\"([^\"#]+)", PAGE)
    assert [link for link in linked if not link.startswith("/static/")] == []
    assert [link for link in linked if not (STATIC / link.removeprefix("/static/")).is_file()] == []


@pytest.mark.parametrize("path", [*SCRIPTS, *SHEETS], ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path: Path) -> None:
    links = re.findall(r"https?://[\w.]+", path.read_text("utf-8"))
    assert [link for link in links if link not in ("http://www.w3.org", "http://localhost")] == []


def test_every_element_a_script_asks_for_is_on_the_page() -> None:
    asked = {name for path in SCRIPTS for name in re.findall(r"\$\(\"([\w-]+)\"\)", path.read_text("utf-8"))}
    assert asked - set(re.findall(r"\sid=\"([\w-]+)\"", PAGE)) == set()


def test_every_icon_is_drawn() -> None:
    drawn = set(re.findall(r"<symbol id=\"(\w+)\"", (STATIC / "icons.svg").read_text("utf-8")))
    named = set(re.findall(r"data-icon=\"(\w+)\"", PAGE))
    named |= {name for path in SCRIPTS for name in re.findall(r"icon\(\"(\w+)\"\)", path.read_text("utf-8"))}
    assert named == drawn


@pytest.mark.parametrize("path", [sheet for sheet in SHEETS if sheet.name != "tokens.css"], ids=lambda path: path.name)
def test_every_variable_is_defined(path: Path) -> None:
    defined = set(re.findall(r"(--[\w-]+):", (STATIC / "tokens.css").read_text("utf-8")))
    # Set by scripts, each with what it falls back on, or set beside its use.
    local = set(re.findall(r"(--[\w-]+):", path.read_text("utf-8"))) | {"--columns", "--columns-tall"}
    used = set(re.findall(r"var\((--[\w-]+)\)", path.read_text("utf-8")))
    assert used - defined - local == set()
