"""``docs/AUDIT.md`` names only attacks that can be repeated, and leaves no promise and no fault suite out."""

from __future__ import annotations

import ast
import re
import shlex
from datetime import date
from pathlib import Path

import pytest

from modelspine.cli.verbs import parse

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "AUDIT.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| attack or fault")
]
COMMANDS = [command for row in ROWS for command in re.findall(r"`([^`]+)`", row[2])]


def exists(node: str) -> bool:
    """Whether a pytest node id names a file here and, after ``::``, a test function in it."""
    path, _, name = node.partition("::")
    file = ROOT / path
    if not path.startswith("tests/") or not file.is_file():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return name in names if name else any(each.startswith("test_") for each in names)


def test_every_row_has_a_command_and_a_dated_result() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        assert len(row) == 4, row
        assert re.fullmatch(r"(`[^`]+`(, )?)+", row[2]), row
        day, _, result = row[3].partition(": ")
        assert date.fromisoformat(day) >= date(2026, 11, 29), row
        assert result, row


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_every_command_can_be_run(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "pytest":
        assert words[1:]
        assert [node for node in words[1:] if not exists(node)] == []
    else:
        assert words[0] == "spine"
        assert parse(words[1:]).run


def test_a_command_that_names_nothing_would_be_seen() -> None:
    assert exists("tests/fault/test_shadow.py")
    for node in ("tests/fault/test_nothing.py", "tests/fault/test_shadow.py::test_nothing", "tests/conftest.py"):
        assert not exists(node)


def test_the_commands_in_its_text_exist() -> None:
    recipes = re.findall(r"^([a-z-]+)[^:\n]*:(?!=)", (ROOT / "Justfile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in re.findall(r"`((?:spine|just|\./run) [^`]+)`", PAGE):
        words = shlex.split(command)
        if words[0] == "spine":
            assert parse(words[1:]).run
        else:
            assert words[1] in recipes


def test_every_promise_of_the_security_page_was_attacked() -> None:
    promised = re.findall(r"^### (.+)$", SECURITY, re.MULTILINE)
    tables = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
    assert len(promised) == 7
    for name in promised:
        assert "| `pytest tests/" in tables[name], name


def test_every_fault_and_security_suite_has_a_row() -> None:
    named = {node.partition("::")[0] for command in COMMANDS for node in shlex.split(command)[1:]}
    suites = [file for folder in ("fault", "contract/security") for file in (ROOT / "tests" / folder).glob("test_*.py")]
    assert {file.relative_to(ROOT).as_posix() for file in suites} - named == set()
