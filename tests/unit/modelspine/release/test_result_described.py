"""Results counted by the table ``[workload]``: no option says which column is which, and no result chooses its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput
from modelspine.release.result_import import Asked, import_result


def described(folder: Path, table: dict[str, Any], result: list[dict[str, Any]], items: list[dict[str, Any]]) -> Any:
    """The report of a result by a table alone."""
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    raw = "".join(json.dumps(row) + "\n" for row in result).encode()
    asked = Asked(eval_set=folder / "items.jsonl", table=msgspec.convert(table, WorkloadTable))
    return import_result(raw, asked, name="result", root=folder).report


PRICES = {
    "kind": "regressor", "input": ["size", "town"], "label": "price", "tolerance": 10, "relative_tolerance": 0.05,
    "features": {"town": {}, "size": {"kind": "number"}},
}  # fmt: skip
HOUSES = [{"id": n, "size": n, "town": "ab"[n % 2], "price": 100 + n} for n in range(100)]


def test_a_regressor_is_counted_within_its_tolerance_and_by_deciles(tmp_path: Path) -> None:
    result = [{"id": n, "prediction": 100 + n + (11 if n < 5 else 20 if n < 15 else 2)} for n in range(100)]
    report = described(tmp_path, PRICES, result, HOUSES)
    assert report["total"] == {"k": 85, "n": 100}
    assert report["buckets"]["label/≤ 109"] == {"k": 0, "n": 10}
    assert report["buckets"]["label/> 109 to 119"] == {"k": 5, "n": 10}
    assert report["buckets"]["size/> 89"] == {"k": 10, "n": 10}
    assert report["buckets"]["town/a"]["n"] == 50
    assert report["scores"]["mae"] == {
        "num": 5 * 11 + 10 * 20 + 85 * 2,
        "den": 100,
        "better": "lower",
        "scale": "value",
    }
    assert report["decoding"] == {"right": "the answer differs from price by at most 10 or 5 % of it"}
    assert "false_accept" not in report
    for answer in (None, "", "about 5", float("inf")):
        with pytest.raises(BadInput):
            described(tmp_path, PRICES, [{"id": n, "prediction": answer} for n in range(100)], HOUSES)


def test_two_results_on_the_same_items_have_the_same_buckets(tmp_path: Path) -> None:
    """Also where a result brings columns of its own: features and labels are those of the eval set."""
    one = described(tmp_path, PRICES, [{"id": n, "prediction": 1} for n in range(100)], HOUSES)
    rows = [{"id": n, "prediction": 100 + n, "town": "elsewhere", "size": -1} for n in range(100)]
    other = described(tmp_path, PRICES, rows, HOUSES)
    assert one["buckets"].keys() == other["buckets"].keys()
    assert [count["n"] for count in one["buckets"].values()] == [count["n"] for count in other["buckets"].values()]


def test_a_generator_is_compared_as_text_in_whatever_case(tmp_path: Path) -> None:
    table = {"kind": "generator", "input": "q", "label": "a", "compare": "casefold", "output": "said.text"}
    items = [{"id": n, "q": f"q{n}", "a": "Paris"} for n in range(4)]
    rows = [{"id": n, "said": {"text": text}} for n, text in enumerate(("PARIS", "paris", "Rome", ""))]
    report = described(tmp_path, table, rows, items)
    assert (report["total"], report["buckets"]) == ({"k": 2, "n": 4}, {"all": {"k": 2, "n": 4}})
    assert [item["id"] for item in report["failed"]] == ["2", "3"]
    assert "views" not in report


def test_false_accepts_are_counted_where_a_label_means_passing(tmp_path: Path) -> None:
    table = {"kind": "classifier", "input": "t", "label": "y", "accept": "fine"}
    items = [{"id": n, "t": "x", "y": "fine" if n < 5 else "fraud"} for n in range(9)]
    report = described(tmp_path, table, [{"id": n, "answer": "fine"} for n in range(9)], items)
    assert report["false_accept"] == {"k": 4, "n": 4}
    assert report["views"] == {"right_of_answered": {"fine": {"k": 5, "n": 9}}}
    without = {key: value for key, value in table.items() if key != "accept"}
    assert "false_accept" not in described(tmp_path, without, [{"id": n, "answer": "fine"} for n in range(9)], items)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": 1}, "as an item before it"), ({"prediction": None, "said": "x"}, "which column of item 1"),
        ({"y": "ham"}, "the eval set says 'fine'"), ({"id": 77, "y": "fine"}, "has no result for 0"),
    ],
)  # fmt: skip
def test_what_a_described_result_is_refused_for(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    table = {"kind": "classifier", "input": "t", "label": "y"}
    rows: list[dict[str, Any]] = [{"id": n, "prediction": "fine"} for n in range(3)]
    rows[0] = {name: value for name, value in {**rows[0], **change}.items() if value is not None}
    with pytest.raises(BadInput, match=re.escape(why)):
        described(tmp_path, table, rows, [{"id": n, "t": "x", "y": "fine"} for n in range(3)])


def test_an_identifier_is_no_feature(tmp_path: Path) -> None:
    table = {"kind": "classifier", "input": "t", "label": "y", "features": ["user"]}
    items = [{"id": n, "t": "x", "y": "a", "user": f"u{n}"} for n in range(1_001)]
    with pytest.raises(BadInput, match="1,001 values"):
        described(tmp_path, table, [{"id": n, "prediction": "a"} for n in range(1_001)], items)


def test_labels_of_the_result_count_only_where_the_set_has_none_and_are_said_to(tmp_path: Path) -> None:
    table = {"kind": "classifier", "input": "t", "label": "y"}
    rows = [{"id": n, "prediction": "a", "y": "a"} for n in range(3)]
    own = described(tmp_path, table, rows, [{"id": n, "t": "x"} for n in range(3)])
    assert own["decoding"]["labels"] == "of the result"
    assert (
        "labels" not in described(tmp_path, table, rows, [{"id": n, "t": "x", "y": "a"} for n in range(3)])["decoding"]
    )
    with pytest.raises(BadInput, match="no column “id”"):
        described(tmp_path, table, rows, [{"key": n, "t": "x", "y": "b"} for n in range(3)])
