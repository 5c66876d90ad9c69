"""The baseline file: strict to read, stable to write, and made from a report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gating import BASE_SHA, GO, baseline, raw, report, report_dict
from modelspine.errors import BadInput
from modelspine.gate.baseline import (
    Anchor,
    Baseline,
    Item,
    baseline_bytes,
    baseline_of,
    own_baseline,
    read_baseline,
    with_item,
)
from modelspine.gate.decision import judge
from modelspine.gate.eval_report import Count


def test_a_baseline_of_a_report_reads_back_and_passes_the_same_report() -> None:
    made = read_baseline(baseline({"verb/go": 2}, never_regress=(GO,), anchor=Anchor(entry_sha="9", total=Count(1, 2))))
    assert made.entry_sha == BASE_SHA
    assert made.buckets["verb/go"] == Count(148, 150)
    assert made.tolerance_pp == 2
    assert made.anchor_budget_pp == 5
    assert made.never_regress == (GO,)
    assert made.anchor == Anchor(entry_sha="9", total=Count(1, 2))
    assert (made.reason, made.approved_in) == ("the first one", "#1")
    assert judge(raw(report_dict({"verb/go": 2})), baseline=baseline({"verb/go": 2}), stable=None).result == "pass"


def test_its_bytes_do_not_depend_on_the_order_of_anything() -> None:
    one = report_dict({"verb/go": [3, 1]}, sha=BASE_SHA)
    other = {name: one[name] for name in reversed(one)}
    other["buckets"] = dict(reversed(one["buckets"].items()))
    other["failed"] = one["failed"][::-1]
    items = (GO, Item(id="b", text="she goed", correct_form="went"))
    files = {
        baseline_bytes(baseline_of(read(data), reason="r", approved_in="#1", never_regress=order))
        for data in (one, other)
        for order in (items, items[::-1])
    }
    assert len(files) == 1
    text = files.pop().decode("ascii")
    assert text.endswith("}\n")
    assert json.loads(text)["failed"][0]["id"] == "verb/go#1"
    assert [line for line in text.splitlines() if '"id": "verb/go#3"' in line], "one value a line, to be reviewed"


def read(data: dict[str, Any]) -> Any:
    from modelspine.gate.decision import read_submission

    return read_submission(raw(data)).report


def test_hidden_characters_are_seen_by_a_reviewer() -> None:
    text = with_item(baseline(), Item(id="x", text="he \u202egoed", correct_form="went")).decode("ascii")
    assert "\\u202e" in text


@pytest.mark.parametrize("entry", [None, "f" * 64])
def test_a_baseline_is_of_exactly_one_entry(entry: str | None) -> None:
    with pytest.raises(BadInput, match="one entry"):
        baseline_of(report(sha=None if entry is None else BASE_SHA), reason="", approved_in="", entry_sha=entry)
    made = baseline_of(report(), reason="", approved_in="", entry_sha=BASE_SHA)
    assert made["entry_sha"] == BASE_SHA


def test_unknown_fields_are_ignored_and_kept() -> None:
    data = {**json.loads(baseline()), "note": {"a": 1}}
    assert isinstance(read_baseline(raw(data)), Baseline)
    assert json.loads(with_item(raw(data), GO))["note"] == {"a": 1}


def test_an_item_is_added_once() -> None:
    first = with_item(baseline(), GO)
    assert read_baseline(first).never_regress == (GO,)
    assert with_item(first, GO) == first
    with pytest.raises(BadInput, match="different text"):
        with_item(first, Item(id=GO.id, text="other", correct_form="went"))
    before, after = json.loads(baseline()), json.loads(first)
    assert {k for k in after if after[k] != before[k]} == {"never_regress"}


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "spine.baseline/2"},
        {"schema": None},
        {"entry_sha": None},
        {"entry_sha": 5},
        {"tolerance_pp": "2"},
        {"tolerance_pp": 1.5},
        {"tolerance_pp": -1},
        {"tolerance_pp": 101},
        {"tolerance_pp": True},
        {"tolerance_pp": None},
        {"anchor_budget_pp": -1},
        {"anchor_budget_pp": 1000},
        {"anchor": {"entry_sha": "x"}},
        {"anchor": 5},
        {"never_regress": [{"id": "a"}]},
        {"never_regress": [GO.id]},
        {"never_regress": [{"id": "a", "text": "t", "correct_form": " "}]},
        {"never_regress": [{"id": "a", "text": "t", "correct_form": "x"}] * 2},
        {"never_regress": {}},
        {"eval_set": {}},
        {"total": [1, 2]},
        {"buckets": {"a": [1, 2]}},
        {"failed": ["x"]},
        {"reason": 1},
    ],
)
def test_anything_else_is_refused_with_a_hint(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        read_baseline(raw({**json.loads(baseline()), **change}))
    assert caught.value.hint
    assert caught.value.message


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b'{"schema": 1, "schema": 1}', b"\xff", b"\xef\xbb\xbf{}"])
def test_bytes_that_are_no_baseline_are_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        read_baseline(data)


@pytest.mark.parametrize(
    ("form", "output", "kept"),
    [
        ("went", "Yesterday he went to school.", True),
        ("went", "Went he to school?", True),
        ("went", "Yesterday he goed to school.", False),
        ("went", "underwent", False),
        ("go", "he goed", False),
        ("will go", "She will go home.", True),
        ("a.b", "axb", False),
        ("", "anything", False),
        (" went ", "he went", True),
    ],
)
def test_an_item_is_kept_where_the_output_holds_its_form_as_words(form: str, output: str, kept: bool) -> None:
    assert Item(id="i", text="t", correct_form=form).kept(output) is kept


def test_an_entry_that_is_its_own_baseline_says_what_was_accepted() -> None:
    made = baseline({"verb/go": 79})
    assert own_baseline(made, BASE_SHA) == (
        "it is its own baseline: verb/go 71/150 = 47.3 % was accepted with this reason: the first one"
    )
    assert own_baseline(made, "b" * 64) is None
