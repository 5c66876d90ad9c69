"""Searching by the fields of answers: the same requests from SQLite, from PostgreSQL and from closed days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from miniobserve import search as module
from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.field_tests import FieldTest, names_of, parse_test, value_of
from miniobserve.reader import TraceReader
from miniobserve.search import Question, SearchResult
from miniobserve.search_terms import Term
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import DAY_NS, MONDAY_NS

LONG = "n" * 200
HOSTILE = 'it\'s "quoted" $x\0|%_!? ]}\x1b[2J'
FIELDS: list[dict[str, Any]] = [
    {"score": 0.2, "label": "dog", "sure": True, "probabilities": {"dog": 0.2, "a.b": 0.7}},
    {"score": 0.6, "label": "Cat", "sure": False, "probabilities": {"dog": 0.6}},
    {"score": 1, "label": "1", "probabilities": {"dog": 1.0}, "probabilities.dog": 0.0},
    {"score": "0.3", "label": HOSTILE, HOSTILE: 3, LONG: LONG},
    {"score": float("nan"), "label": "nan", "vector": [0.5, 0.1]},
    {"score": 2**70, "label": ""},
    {"score": -1e300, "sure": True},
    {},
]
ASKED: dict[str, set[int]] = {
    "score<0.6": {0, 6},
    "score <= 0.6": {0, 1, 6},
    "score>.6": {2, 5},
    "score>=0.6": {1, 2, 5},
    "score=1": {2},
    "score==1.0": {2},
    "score!=1": {0, 1, 3, 5, 6},
    "score=0.3": {3},
    f"score={2**70}": {5},
    f"score>{2**70 - 1}": {5},
    "score>=-1e300": {0, 1, 2, 5, 6},
    "score=nan": set(),
    "score=1e400": set(),
    "label=DOG": {0},
    "label=1.0": set(),
    "label=1": {2},
    "label=": {5},
    "label!=dog": {1, 2, 3, 4, 5},
    f"label={HOSTILE}": {3},
    f"{LONG}={LONG}": {3},
    "sure=true": {0, 6},
    "sure!=TRUE": {1},
    "sure=1": set(),
    "sure>0": set(),
    "probabilities.dog>0.5": {1},
    "probabilities.dog<0.1": {2},
    "probabilities.a.b=0.7": {0},
    "vector.1<0.2": {4},
}
Stored = tuple[TraceReader, list[Trace]]


@pytest.fixture(params=["live", "pruned"])
def stored(
    request: pytest.FixtureRequest, writer: TraceWriter, url: str, trace: Callable[..., Trace],
    monkeypatch: pytest.MonkeyPatch, folder: Path,
) -> Iterator[Stored]:  # fmt: skip
    """Requests of two days; or with one of the days in a file, read in pieces, and no longer in the live store."""
    monkeypatch.setattr(module, "WINDOW", 3)
    monkeypatch.setattr(module, "_PIECE", 2)
    traces = [
        trace(f"req-{n}-{day}", fields=fields, started_ns=MONDAY_NS + day * DAY_NS + n * DAY_NS // 8,
              features={"day": str(day)}, **({"entry_sha": ""} if n == 1 else {}))
        for n, fields in enumerate(FIELDS) for day in range(2)
    ]  # fmt: skip
    wait([writer.submit(one) for one in traces], 10)
    writer.close()
    if request.param == "pruned":
        assert export_day(url, Archive(folder), "2026-03-02", prune=True) is not None
    reader = TraceReader.open(url, folder)
    yield reader, sorted(traces, key=lambda one: -one.started_ns)
    reader.close()


def asked(reader: TraceReader, *tests: str, **more: Any) -> SearchResult:
    return reader.search(Question(fields=tuple(map(parse_test, tests)), **more))


def numbers(found: SearchResult) -> list[int]:
    return [int(one.request_id.split("-")[1]) for one in found.traces]


@pytest.mark.long
def test_every_store_gives_the_requests_whose_fields_meet_what_is_asked(stored: Stored) -> None:
    reader, traces = stored
    for test, wanted in ASKED.items():  # in one test, because each store takes half a second to make
        found = asked(reader, test)
        assert set(numbers(found)) == wanted, test
        assert [one.request_id for one in found.traces] == [
            one.request_id for one in traces if int(one.request_id.split("-")[1]) in wanted
        ], test
        assert (found.matched, found.searched, found.unknown_fields) == (2 * len(wanted), 16, ()), test


def test_all_tests_and_terms_must_hold_and_only_the_days_asked_for_are_searched(stored: Stored) -> None:
    reader, _ = stored
    assert numbers(asked(reader, "score<0.7", "label=cat")) == [1, 1]
    for day, date in enumerate(("2026-03-02", "2026-03-03")):
        found = asked(reader, "sure=true", terms=(Term(date, "day", exact=True),))
        assert [one.request_id for one in found.traces] == [f"req-6-{day}", f"req-0-{day}"]
        assert (found.matched, found.searched, found.since_ns) == (2, 8, None)
        found = asked(reader, "sure=true", terms=(Term(str(day), "day", feature=True),), limit=1)
        assert ([one.request_id for one in found.traces], found.matched) == ([f"req-6-{day}"], 2)


def test_a_field_that_no_answer_has_is_named_with_those_that_were_seen(stored: Stored) -> None:
    reader, _ = stored
    found = asked(reader, "sure=true", "scor<1", HOSTILE * 2 + "=x")
    assert (found.traces, found.unknown_fields) == ((), ("scor", HOSTILE * 2))
    assert {"score", "probabilities.dog", "probabilities.a.b", "vector.0", LONG} <= set(found.seen_fields)
    nothing = asked(reader, "scor<1", terms=(Term("2020", "day"),))
    assert (nothing.searched, nothing.unknown_fields) == (0, ()), "where nothing was read, nothing is known"


def test_numbers_of_a_field_sort_the_whole_store(stored: Stored) -> None:
    reader, _ = stored
    without = [7, 7, 4, 4, 3, 3]
    for backwards, wanted in ((False, [6, 6, 0, 0, 1, 1, 2, 2, 5, 5]), (True, [5, 5, 2, 2, 1, 1, 0, 0, 6, 6])):
        found = asked(reader, order="field", feature="score", backwards=backwards)
        assert numbers(found)[:10] == wanted
        assert sorted(numbers(found)[10:], reverse=True) == without, "traces without a number come last"


@pytest.mark.parametrize("text", ["", "score", "<1", " =1", "score<", "score<x", "score>=nan", "score<1e400", "a<true"])
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is not a name|compares numbers"):
        parse_test(text)


def test_the_name_ends_at_the_first_sign() -> None:
    assert parse_test("a = b<=c ") == FieldTest("a", "=", "b<=c")
    assert parse_test("a.b!=") == FieldTest("a.b", "!=", "")


def test_each_name_that_is_listed_finds_its_value() -> None:
    fields = {"a": {"b": {"c": 1}, "b.c": 2}, "x.y": 3, "x": {"y": 4}, "none": None, "l": [[5], {"k": False}]}
    names = dict.fromkeys(names_of(fields))
    assert list(names) == ["a.b.c", "x.y", "l.0.0", "l.1.k"]
    assert [value_of(fields, name) for name in names] == [2, 3, 5, False]
    assert value_of(fields, "." * 200) is None


def test_a_count_is_of_all_requests_and_may_be_by_exact_text(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _ = stored
    monkeypatch.setattr(module, "COUNTED", 1)
    looked_at: list[int] = []
    for text, exact, wanted in (("Cat", True, 2), ("cat", True, 0), ("cat", False, 2), ("1", True, 2)):
        question = Question(fields=(FieldTest("label", "=", text, exact=exact),), limit=0)
        assert reader.count(question, lambda searched, _: looked_at.append(searched)) == wanted, text
    assert reader.count(Question(fields=(FieldTest("score", "=", "1", exact=True),), limit=0)) == 0, (
        "a number is no text"
    )
    for label, without_entry in (("Cat", 2), ("dog", 0)):
        fields = (FieldTest("label", "=", label),)
        assert reader.count(Question(terms=(Term("", "sha"),), fields=fields, limit=0)) == without_entry
    assert looked_at[-1] == 16
