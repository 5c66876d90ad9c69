"""The page of statistics names tests that exist: a figure that nothing holds must not look as if something did."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "STATISTICS.md").read_text(encoding="utf-8")


def test_every_named_test_and_file_exists() -> None:
    files = {file.name: file for file in (ROOT / "tests").rglob("test_*.py")}
    source = "\n".join(file.read_text(encoding="utf-8") for file in files.values())
    paths, bare = re.findall(r"`(tests/[\w/]+\.py)", PAGE), re.findall(r"`(test_\w+\.py)`", PAGE)
    tests = re.findall(r"`(test_\w+)`", PAGE)
    assert len(paths) > 5
    assert len(tests) > 10
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert [name for name in bare if name not in files] == []
    assert [name for name in tests if f"def {name}(" not in source] == []
