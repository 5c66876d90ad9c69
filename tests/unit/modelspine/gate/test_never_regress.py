"""A sentence on its way into the baseline file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gating import GO, baseline
from modelspine.errors import BadInput, Conflict, Refused, Unavailable
from modelspine.gate.baseline import add_item, read_baseline
from modelspine.incident.walk import item_of


def walk(**more: Any) -> Any:
    given = {"request_id": "req-1", "expected": "He went.", "sentence": "He goed.", **more}
    trace = SimpleNamespace(sentence=given["sentence"])
    return SimpleNamespace(request_id=given["request_id"], expected=given["expected"], trace=trace)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "eval_baseline.json"
    path.write_bytes(baseline())
    path.chmod(0o640)
    return path


def test_the_item_is_added_once_and_all_else_stays(file: Path) -> None:
    before = json.loads(file.read_bytes())
    item = item_of(walk())
    first = add_item(file, item, expected=hashlib.sha256(file.read_bytes()).hexdigest())
    assert (first.changed, first.items) == (True, 1)
    after = file.read_bytes()
    assert read_baseline(after).never_regress == (item,)
    assert json.loads(after) | {"never_regress": []} == before | {"never_regress": []}
    assert file.stat().st_mode & 0o777 == 0o640
    assert not add_item(file, item).changed
    assert file.read_bytes() == after
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_moved_another_text_under_the_id_or_no_baseline_is_left_alone(file: Path) -> None:
    item = item_of(walk())
    with pytest.raises(Conflict, match="changed meanwhile"):
        add_item(file, item, expected="0" * 64)
    add_item(file, item)
    kept = file.read_bytes()
    with pytest.raises(BadInput, match="different text under the id"):
        add_item(file, item_of(walk(expected="He has gone.")))
    assert file.read_bytes() == kept
    file.write_bytes(b"{}")
    with pytest.raises(BadInput):
        add_item(file, GO)
    assert file.read_bytes() == b"{}"
    file.unlink()
    with pytest.raises(Refused, match="no baseline"):
        add_item(file, GO)
    file.mkdir()
    with pytest.raises(Unavailable):
        add_item(file, GO)


@pytest.mark.parametrize("lacking", [{"sentence": None}, {"expected": None}, {"expected": ""}])
def test_what_nobody_knows_is_no_item(lacking: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        item_of(walk(**lacking))
