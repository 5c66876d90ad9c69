"""What a table reads of rows, requests and answers, and the patterns and ranges by which a case is found again."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelspine.described.number_ranges import edges_of, holds, range_of
from modelspine.described.records import (
    as_number,
    as_text,
    cell,
    field_numbers,
    input_of,
    numbers_of,
    output_of,
    right,
    told,
    vector,
)
from modelspine.described.row_patterns import has_cell, has_text, has_words, row_with
from modelspine.described.service import Described
from modelspine.described.table import Feature, WorkloadTable
from modelspine.errors import BadInput
from modelspine.lineage.row_formats import as_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def table(**fields: Any) -> WorkloadTable:
    return msgspec.convert({"kind": "classifier", "input": "body", "label": "queue", **fields}, WorkloadTable)


CHURN = table(
    kind="regressor", input=["plan", "usage"], label="days", tolerance=2, relative_tolerance=0.1,
    features={"plan": {}, "hours": {"column": "usage.hours", "kind": "number"}, "sure": {"of": "answer", "column": "p",
              "kind": "number"}},
)  # fmt: skip


def test_an_object_is_one_text_whatever_the_order_of_its_keys() -> None:
    assert as_text({"b": [1.0, "x"], "a": True}) == as_text({"a": True, "b": [1, "x"]}) == '{"a":true,"b":[1,"x"]}'
    assert as_text(["a", 2.5]) == '["a",2.5]'
    assert (as_text("as it is "), as_text(3.0), as_text(None)) == ("as it is ", "3", "null")
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    for bad in (math.nan, math.inf, 2**60, {1: 2}, {"a": {2}}, deep):
        with pytest.raises(BadInput, match="cannot be kept"):
            as_text(bad)


def test_what_a_table_reads_of_a_request_and_its_answer() -> None:
    request = {"plan": "pro", "usage": {"hours": "3.5"}, "more": 1}
    found = told(CHURN, request, {"prediction": 12.5, "p": 0.75})
    assert input_of(CHURN, request) == '{"plan":"pro","usage":{"hours":"3.5"}}'
    assert (found.output, found.accepted, found.features) == ("12.5", None, {"plan": "pro"})
    assert found.values == {"hours": 3.5, "answer_sure": 0.75, "answer_label": 12.5}
    spam = told(table(accept="fine", features=["lang"]), {"body": "hi", "lang": "de"}, "fine")
    assert (spam.output, spam.accepted) == ("fine", True)
    assert spam.features == {"lang": "de", "answer_label": "fine"}
    with pytest.raises(BadInput, match="no 'usage'"):
        input_of(CHURN, {"plan": "pro"})
    with pytest.raises(BadInput, match=r"which column holds the answer; there are a, b"):
        output_of(CHURN, {"a": 1, "b": 2})
    assert output_of(table(output="scores.0.label"), {"scores": [{"label": "spam"}]}) == "spam"
    assert cell({"a.b": 1, "a": {"b": 2}}, "a.b") == 1


@pytest.mark.parametrize(("answer", "output"), [([1], 1), ([[3.5]], 3.5), ({"output": ["a"]}, "a"), ([], []),
                                                ([1, 2], [1, 2])])  # fmt: skip
def test_a_list_of_one_is_its_element_where_an_answer_is_one_value(answer: Any, output: Any) -> None:
    assert output_of(table(), answer) == output_of(CHURN, answer) == output
    with pytest.raises(BadInput, match="is an object"):
        output_of(table(), [{"a": 1}])
    assert output_of(table(kind="generator"), [1]) == [1]


def test_the_numbers_of_an_answer_are_finite_and_few() -> None:
    fields = {"score": 0.5, "ok": True, "note": "x", "bad": math.nan, "probabilities": {"a": 1, "b": [0.25, {"c": 2}]}}
    assert numbers_of(fields) == {"score": 0.5, "probabilities.a": 1.0, "probabilities.b.0": 0.25,
                                  "probabilities.b.1.c": 2.0}  # fmt: skip
    assert len(numbers_of({"v": list(range(10_000))})) == 64
    assert numbers_of({"huge": 10**4_000}) == {}


def test_numbers_of_fields_are_those_that_no_feature_declares() -> None:
    made = table(features={"score": {"kind": "number"}, "sure": {"kind": "number", "of": "answer"}}, output="said")
    fields = {"score": 0.5, "sure": 0.75, "said": 3, "classes": {"a": 1}}
    assert field_numbers(made, fields) == {"answer_score": 0.5, "classes.a": 1.0}


@pytest.mark.parametrize(
    ("output", "label", "expected"),
    [(10, 12, True), (10, 12.5, False), ("98.5", "100", True), (89, 100, False), (90, 100, True), ("x", 1, None),
     (-110, -100, True), (math.nan, 1, None)],
)  # fmt: skip
def test_a_regressor_is_right_within_the_larger_tolerance(output: Any, label: Any, expected: bool | None) -> None:
    """Two, or 10 % of the label; the limit itself is right, in exact arithmetic."""
    assert right(CHURN, output, label) is expected


def test_a_label_is_compared_as_text() -> None:
    assert right(table(), "Refund", "Refund")
    assert not right(table(), "refund", "Refund")
    assert right(table(compare="casefold"), "STRASSE", "straße")
    assert right(table(), 1, "1")
    assert right(table(), {"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert as_number(True) is None
    assert as_number("1e5") == Fraction(100_000)
    assert as_number("9" * 200) is None


def test_a_vector_is_a_list_of_finite_numbers() -> None:
    made = table(embedding={"column": "e"})
    assert vector(made, {"e": [1, 2.5]}) == (1.0, 2.5)
    for bad in ([], ["1"], [math.nan], [True], "12", None, {"a": 1}):
        assert vector(made, {"e": bad}) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"label": ""}, "needs `label`"), ({"kind": "regressor"}, "needs `tolerance`"),
        ({"tolerance": 1}, "no tolerance"), ({"label": "body"}, "give the"),
        ({"features": ["a/b"]}, "cannot name"), ({"features": ["label"]}, "cannot name"),
        ({"kind": "generator", "accept": "x"}, "no label to accept"), ({"lable": "x"}, "unknown field"),
        ({"features": {"a": {"knd": "number"}}}, "unknown field"), ({"input": []}, "length >= 1"),
    ],
)  # fmt: skip
def test_a_table_that_contradicts_itself_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        table(**fields)


# patterns -------------------------------------------------------------------------------------------


@given(TEXT, TEXT)
def test_a_row_is_found_whatever_wrote_it(value: str, text: str) -> None:
    row = {"body": text, "queue": value}
    pattern = row_with([has_text("body", text), has_cell("queue", value)])
    assert len(pattern) <= 500
    for line in (json.dumps(row), json.dumps(row, ensure_ascii=False), as_json(row), json.dumps(row, indent=None)):
        assert re.search(pattern, line)
    other = json.dumps({"body": value + "x", "queue": text + "y"})
    assert not re.search(has_cell("queue", value), other) or len(value) > 80 or (text + "y").startswith(value)


def test_a_number_is_found_with_and_without_quotation_marks() -> None:
    pattern = has_cell("meta.n", "4")
    assert all(re.search(pattern, line) for line in ('{"n": 4}', '{"n":"4", "x":1}', '{"n":4.0,"x":1}'))
    assert not any(re.search(pattern, line) for line in ('{"n": 41}', '{"n":"4.5"}', '{"n":14}', '{"m":4}'))
    assert all(re.search(has_cell("n", "2.5"), line) for line in ('{"n": 2.5}', '{"n":"2.50","x":1}'))
    assert not any(re.search(has_cell("n", "2.5"), line) for line in ('{"n":"2.51"}', '{"n":"2"}', '{"n":"12.5"}'))


@pytest.mark.parametrize(
    ("given", "written"),
    [(4, ["4", "4.0", "4.00"]), (-3, ["-3", "-3.0"]), (True, ["true", "True", "TRUE"])],
)
def test_a_value_is_found_however_a_table_wrote_it(given: Any, written: list[str]) -> None:
    """pandas writes whole numbers with a point where a column has gaps, and all cells of CSV are texts."""
    churn = Described(table(input=["plan", "note"], label="left", features=["plan"]))
    named = churn.features(as_text({"plan": given, "note": "x"}))
    probe = churn.probe(as_text({"plan": given, "note": "x"}), {**named, "answer": as_text(given)})
    assert probe is not None
    for spelt in written:
        row = {"plan": spelt, "note": "x", "left": spelt}
        assert re.search(probe.same, as_json(row)), row
        assert re.search(probe.pattern, as_json(row)), row
        assert churn.row_features(row) == named
        assert churn.drift_row(row)["answer_label"] == told(churn.table, {}, given).features["answer_label"]
        assert churn.right(as_text(given), spelt)
        assert set(probe.buckets) == {f"label/{named['plan']}", f"plan/{named['plan']}"}
    for spelt in ("40", "2.51", "25", "-30", "truer", "4.01", ""):
        assert not re.search(probe.pattern, as_json({"plan": spelt, "note": "x", "left": spelt}))
        assert not churn.right(as_text(given), spelt)


def test_texts_that_are_no_plain_numbers_are_compared_as_they_are() -> None:
    churn, writer = Described(table()), Described(table(kind="generator"))
    for one, other in (("007", "7"), ("1.10", "1.1"), ("1e3", "1000"), ("True ", "true"), ("v1.0", "v1")):
        assert not churn.right(one, other)
    assert churn.right("-0.0", "0")
    assert not writer.right("1.0", "1"), "a text that was written is compared to the letter"


def test_a_bucket_of_a_label_is_found_whatever_its_case() -> None:
    probe = Described(table(compare="casefold")).probe("x", {"answer": "Refund"})
    assert probe is not None
    assert probe.buckets == ("label/refund",)


def test_a_quoted_row_inside_of_a_text_is_no_cell() -> None:
    assert not re.search(has_cell("queue", "refund"), json.dumps({"body": '{"queue": "refund"}', "queue": "spam"}))


def test_a_list_of_numbers_is_found_as_a_list() -> None:
    made = Described(table(kind="regressor", input="row", label="y", tolerance=1))
    probe = made.probe("[1,2.5,-0.001]", {})
    assert probe is not None
    assert probe.label == "the same numbers"
    assert all(
        re.search(probe.pattern, line)
        for line in ('{"row": [1, 2.5, -0.001], "y": 3}', '{"y":3,"row":[1.0,2.50,-0.001]}')
    )
    assert not re.search(probe.pattern, '{"row": [1, 2.5, -0.0012]}')
    assert made.probe('["a"]', {}) is None
    assert len(Described(made.table).probe(json.dumps(list(range(900))), {}).pattern) < 300  # type: ignore[union-attr]


def test_an_input_kept_by_its_digest_is_looked_for_in_the_column_of_digests() -> None:
    digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    probe = Described(table(input="photo")).probe(f'{{"bytes":5,"sha256":"{digest}"}}', {"answer": "cat"})
    assert probe is not None
    assert probe.same_label == "the same bytes"
    assert re.search(probe.same, json.dumps({"file": "a.png", "sha256": digest, "queue": "dog"}))
    assert not re.search(probe.same, json.dumps({"file": "a.png", "sha256": "0" * 64, "bytes": 5, "queue": "dog"}))


def test_a_case_that_is_too_long_to_look_for_is_not_looked_for_by_half() -> None:
    column = "ラベル" * 30
    found = Described(table(label=column)).probe("x" * 400, {"label": "a", "answer": "b"})
    assert found is not None
    assert (found.pattern, found.against, found.expected) == ("", None, "a")


def test_a_pattern_has_no_character_that_cannot_be_seen() -> None:
    pattern = has_cell("q", "a\u202eb\x1bc")
    assert pattern.isprintable()
    assert "\u202e" not in pattern
    for ascii_ in (True, False):
        assert re.search(pattern, json.dumps({"q": "a\u202eb\x1bc"}, ensure_ascii=ascii_))


def test_words_are_found_in_any_order_and_case() -> None:
    pattern = has_words("I want my MONEY back, an Überweisung!")
    assert pattern is not None
    assert re.search(pattern, json.dumps({"body": "überweisung: back want money"}))
    assert not re.search(pattern, json.dumps({"body": "want money back"}))
    assert has_words("? 1 !") is None


def test_a_probe_of_rows_with_several_columns_asks_for_the_same_cells() -> None:
    probe = Described(CHURN).probe(
        '{"plan":"pro","usage":{"hours":3.5}}', {"plan": "pro", "hours": "3.5", "answer": "9"}
    )
    assert probe is not None
    assert re.search(probe.pattern, '{"days": 3, "plan": "pro", "usage": {"hours": 1}}')
    assert not re.search(probe.pattern, '{"days": 3, "plan": "free"}')
    assert (probe.label, probe.buckets, probe.expected) == ("the same plan", ("plan/pro",), None)
    assert probe.amounts == {"label": 9.0, "hours": 3.5}


def test_the_cells_of_a_probe_leave_declared_numbers_out() -> None:
    """No row has the same temperature to a digit, so that a cell of it would hide each row that is alike."""
    table = WorkloadTable(
        kind="classifier", input=["warmth", "weather"], label="late",
        features={"warmth": Feature(kind="number"), "weather": Feature()},
    )  # fmt: skip
    probe = Described(table).probe('{"warmth":-3.2,"weather":"snow"}', {"weather": "snow", "answer": "no"})
    assert probe is not None
    assert probe.same_label == "the same weather"
    assert re.search(probe.same, '{"warmth": 2, "weather": "snow"}')


# ranges ---------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e9, 1e9) | st.integers(-5, 5).map(float), min_size=1, max_size=80))
def test_a_number_is_in_exactly_the_range_that_was_named_for_it(values: list[float]) -> None:
    edges = edges_of(values)
    names = {range_of(edges, value) for value in values}
    assert len(names) <= 10
    for value in values:
        assert [name for name in names if holds(name, value)] == [range_of(edges, value)]


def test_ranges_are_read_from_their_names_alone() -> None:
    edges = edges_of(range(100))
    assert [range_of(edges, value) for value in (0, 9, 10, 98.5)] == ["≤ 9", "≤ 9", "> 9 to 19", "> 89"]
    assert holds("> 9 to 19", 19)
    assert not holds("> 9 to 19", 9)
    assert not any(holds(name, 1) for name in ("refund", "", "≤", "> x", "≤ 1.2.3", "> 1 to"))
