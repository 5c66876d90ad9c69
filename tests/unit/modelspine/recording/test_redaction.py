"""Which fields of an answer a trace keeps, and what it says of the others."""

from __future__ import annotations

from typing import Any

import pytest

from modelspine.recording.redaction import kept_fields, unkept_fields

WHY = "x: a field is a number, a text of up to 64 characters, a list of 1 to 64 numbers or an object of numbers"


@pytest.mark.parametrize(
    "value",
    [
        True, 1, 0.5, "t" * 64, [0.5] * 64, {"spam": 0.5},
        {f"class-{n}": n / 1000 for n in range(1000)},  # the probabilities of a model of many classes
    ],
)  # fmt: skip
def test_what_the_sentence_names_is_kept(value: Any) -> None:
    assert kept_fields({"x": value}, texts=True) == {"x": value}
    assert unkept_fields({"x": value}, texts=True) == []


@pytest.mark.parametrize("value", ["t" * 65, [0.5] * 65, [], ["a"], {}, {"spam": "likely"}])
def test_what_it_does_not_name_is_left_out_and_said(value: Any) -> None:
    assert kept_fields({"x": value}, texts=True) == {}
    assert unkept_fields({"x": value}, texts=True) == [WHY]
