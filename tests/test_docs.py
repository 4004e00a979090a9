"""The documents stay true: settings, options, server keys and folders are described, and what is linked is there."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from pipeline.process.config import Settings
from pipeline.server import transport

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
MAX_README_LINES = 150


def _table(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, its head and rule left out."""
    section = document.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def _variables() -> set[str]:
    return {str(field.validation_alias or f"PAINTER_{name.upper()}") for name, field in Settings.model_fields.items()}


def _options(command: str) -> set[str]:
    """Return the long names of a command's options."""
    group: Any = cli.typer.main.get_command(cli.app)
    parameters = [parameter for parameter in group.get_command(None, command).params if not parameter.hidden]
    return {option for parameter in parameters for option in parameter.opts if option.startswith("--")}


def test_settings_table_names_every_setting_and_no_other() -> None:
    named = {name for row in _table(README, "Settings") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert named == _variables()


def test_settings_table_gives_the_real_defaults() -> None:
    real = {f"PAINTER_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    told = {row[0].strip("`"): row[1].strip("`") for row in _table(README, "Settings")}
    numbers = {name: float(text) for name, text in told.items() if re.fullmatch(r"[\d.]+", text)}
    assert len(numbers) > 5
    assert {name: real[name] for name, number in numbers.items() if real[name] != number} == {}


def test_every_command_has_a_section() -> None:
    sections = set(re.findall(r"^## painter (\w+)", COMMANDS, re.MULTILINE))
    assert sections == set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_is_described_with_its_command_and_no_other(command: str) -> None:
    section = COMMANDS.split(f"\n## painter {command}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `-")]
    told = {option for row in rows for option in re.findall(r"`(--[a-z-]+)`", row.split("|")[1])}
    assert told == _options(command)


def test_server_keys_are_the_same_in_the_code_and_in_the_architecture() -> None:
    assert transport.__doc__
    head = transport.__doc__.split("\n    key ", 1)[1].split("\n\n", 1)[0]
    keys = {re.split(r"\s{2,}", line.strip())[0] for line in head.splitlines()[1:]}
    assert {row[0].strip("`") for row in _table(ARCHITECTURE, "The server's keys")} == keys


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = text.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    wanted = set(re.findall(r'"([a-z0-9-]+)', block))
    told = {name for row in _table(ARCHITECTURE, "Dependencies") for name in re.findall(r"`([a-z0-9-]+)`", row[0])}
    assert wanted
    assert wanted - told == set()


def test_the_glossary_is_short_and_in_order() -> None:
    document = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    terms = re.findall(r"^\| ([a-z ]+) \|", document, re.MULTILINE)[1:]
    assert 20 < len(terms) <= 40
    assert terms == sorted(set(terms))


def test_folder_table_names_folders_that_are_there() -> None:
    named = {row[0].strip("`/") for row in _table(README, "Folders")}
    assert {name for name in named if not (ROOT / name).is_dir()} == set()


def test_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)", document.read_text("utf-8"), re.MULTILINE))
    assert named - targets == set()


def test_every_test_the_threat_model_names_is_there() -> None:
    document = (ROOT / "SECURITY.md").read_text("utf-8")
    written = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    names = re.findall(r"def test_(\w+)", written)
    shown = re.findall(r"\*([a-z]+_[a-z_]+)\*", document)
    assert len(shown) > 15
    assert [part for part in shown if not any(part in name for name in names)] == []
    assert [path for path in re.findall(r"`(tests/[\w/.]+)`", document) if not (ROOT / path).exists()] == []


def test_python_version_is_the_same_everywhere() -> None:
    assert "Python ≥ 3.11" in README
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert sys.version_info >= (3, 11)
