"""``docs/SETTINGS.md`` names every setting and every variable that the code reads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from modelspine.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8")
# Set by programs for their child processes and by tests, not by users.
INTERNAL = {"SPINE_CONSOLE_QUIT"}


def test_the_page_is_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "settings_page.py")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made == PAGE, "docs/SETTINGS.md is out of date: python docs/settings_page.py > docs/SETTINGS.md"


def test_the_page_names_every_setting() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \| (?:`SPINE_|none)", PAGE, re.MULTILINE))
    assert rows == set(Settings.__struct_fields__) - {"root", "origins"}


def test_the_page_names_every_variable_of_ours_that_is_read() -> None:
    files = [file for folder in ("core", "console", "src") for file in (ROOT / folder).rglob("*.py")]
    read = {name for file in files for name in re.findall(r'"(SPINE_[A-Z_]+)"', file.read_text(encoding="utf-8"))}
    assert {name for name in read - INTERNAL if f"`{name}`" not in PAGE} == set()
