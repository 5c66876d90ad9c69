"""A sentence on its way into the baseline."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gating import GO, baseline
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import read_baseline, with_item
from modelspine.incident.walk import item_of


def walk(**more: Any) -> Any:
    given = {"request_id": "req-1", "expected": "He went.", "input": "He goed.", **more}
    trace = SimpleNamespace(input=given["input"])
    return SimpleNamespace(request_id=given["request_id"], expected=given["expected"], trace=trace)


def test_the_item_is_added_once_and_all_else_stays() -> None:
    before = baseline()
    item = item_of(walk())
    after = with_item(before, item)
    assert read_baseline(after).never_regress == (item,)
    assert json.loads(after) | {"never_regress": []} == json.loads(before) | {"never_regress": []}
    assert with_item(after, item) == after


def test_another_text_under_the_id_and_bytes_that_are_no_baseline_are_refused() -> None:
    item = item_of(walk())
    with pytest.raises(BadInput, match="different text under the id"):
        with_item(with_item(baseline(), item), item_of(walk(expected="He has gone.")))
    with pytest.raises(BadInput):
        with_item(b"{}", GO)


@pytest.mark.parametrize("lacking", [{"input": None}, {"expected": None}, {"expected": ""}])
def test_what_nobody_knows_is_no_item(lacking: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        item_of(walk(**lacking))
