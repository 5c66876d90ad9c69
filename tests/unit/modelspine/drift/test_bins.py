"""Bins fixed on a reference: what is cut where, and where live values fall."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelspine.drift.bins import OTHER, Bins, Tally, fill, fix


def tally(*rows: Any, keep: bool = False) -> Tally:
    made = Tally(keep_rows=keep)
    made.add(rows)
    return made


def bins(*values: Any) -> Bins:
    return fix(tally(*({"f": value} for value in values), keep=True))["f"]


def filled(reference: Bins, *values: Any) -> list[int]:
    return list(fill(reference, tally(*({"f": value} for value in values)), "f").counts)


def test_categories_keep_the_twenty_most_frequent() -> None:
    made = bins(*[f"c{n:02}" for n in range(30) for _ in range(40 - n)])
    assert made.labels == (*(f"c{n:02}" for n in range(20)), OTHER)
    assert made.counts[:2] == (40, 39)
    assert sum(made.counts) == sum(40 - n for n in range(30))
    assert filled(made, "c00", "c25", "c29", "new", "newer") == [1, *[0] * 19, 2, 2, 0]


def test_numbers_are_cut_at_deciles() -> None:
    made = bins(*[float(n) for n in range(100)])
    assert made.counts == (10,) * 10
    assert (made.labels[0], made.labels[1], made.labels[-1]) == ("≤ 9", "> 9 to 19", "> 89")
    assert filled(made, -5.0, 9.0, 9.5, 1e9, float("nan"), "text") == [2, 1, *[0] * 7, 1, 0, 2]
    assert (bins(7.0, 7.0).labels, bins(7.0, 7.0).counts) == (("< 7", "7", "> 7"), (0, 2, 0))


def test_tokens_fall_in_ten_buckets_of_equal_weight() -> None:
    words = [f"w{n:03}" for n in range(200)]
    made = bins(*[(word,) for word in words for _ in range(5)])
    assert made.counts == (100,) * 10
    assert filled(made, ("w000", "w199", "never"), ()) == [1, *[0] * 8, 1, 1, 1]


def test_one_frequent_token_has_a_bucket_of_its_own() -> None:
    made = bins(*[("the",)] * 60, *[(f"w{n}",) for n in range(40)])
    assert made.labels[0] == "the"
    assert made.counts[0] == 60
    assert sum(made.counts) == 100


@given(st.lists(st.one_of(st.text(max_size=3), st.floats(), st.integers(), st.tuples(st.text(max_size=2))), min_size=1))
def test_every_value_of_its_kind_falls_in_one_bin(values: list[Any]) -> None:
    counted = tally(*({"f": value} for value in values), keep=True)
    for name, made in fix(counted).items():
        if not made.labels:
            continue
        found = fill(made, counted, name)
        assert sum(made.counts) == sum(found.counts[:-1]) == counted.counts[name][made.kind].total()
        assert found.counts[-2] == found.hidden == 0
        assert found.missing == made.missing == counted.n - counted.present(name, made.kind)
        assert len(made.labels) == len(made.counts)


def test_values_of_another_kind_are_missing() -> None:
    assert filled(bins("a", "b"), 1.0, 2.0) == [0, 0, 0, 2]
    assert filled(bins(1.0, 2.0), "a", 2.0, None, float("inf")) == [0, 1, 0, 3]


def test_one_stray_value_hides_no_other() -> None:
    """The first value of a feature used to decide its kind, so that one number hid a day of words."""
    assert filled(bins("a", "b"), 7.0, "a", ("a",), "b", "b") == [1, 2, 0, 2]
    assert bins(7.0, "a", "b", "b").labels == ("b", "a")
    assert filled(bins(("a",), ("b",)), "a", ("a", "a"), ("b",)) == [2, 1, 0, 1]


def test_rows_and_requests_without_a_value_are_one_bin() -> None:
    made = fix(tally({"f": "a"}, {"f": "b"}, {}, {"g": 1.0}))
    assert (made["f"].missing, made["g"].missing) == (2, 3)
    assert fill(made["f"], tally({}, {"f": "b"}, {"f": ""}), "f").counts == (0, 1, 1, 1)
    nothing = fix(tally({"f": None}, {"f": ()}, {"f": float("nan")}))
    assert (nothing["f"].labels, nothing["f"].missing) == ((), 3)


def test_what_only_a_text_tells_is_not_missing_where_no_text_was_kept() -> None:
    made = fix(tally({"word": ("a", "b"), "verb": "go"}, {"word": ("a",), "verb": "be"}, keep=True), {"word"})
    live = tally({"word": ("b",), "verb": "go"}, {})
    live.add([{"verb": "be"}, {}], textless=True)
    word, verb = (fill(made[name], live, name) for name in ("word", "verb"))
    assert (word.missing, word.hidden) == (1, 2)
    assert (verb.missing, verb.hidden) == (2, 0)


def test_pages_add_up_whatever_each_request_has() -> None:
    rows: list[dict[str, Any]] = [{"a": "x"}, {}, {"b": "y", "a": "z"}, {"a": "x", "c": 1.0}]
    whole, parts = tally(*rows), Tally()
    for row in rows:
        parts.add([row])
    parts.add([])
    assert whole.counts == parts.counts
    assert whole.n == parts.n == 4


def test_bins_survive_being_kept() -> None:
    made = bins(("a", "b"), ("a",))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Bins) == made


@pytest.mark.parametrize("name", ["x" * 500, "\x1b[31m"])
def test_labels_have_a_length(name: str) -> None:
    assert len(bins(name).labels[0]) <= 80
