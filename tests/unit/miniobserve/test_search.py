"""Searching the whole trace store: window by window, by any field, in any order, on both databases and in files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from miniobserve import search as module
from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.reader import TraceReader
from miniobserve.search import Question, SearchResult
from miniobserve.search_terms import Term, day_span
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter

Make = Callable[..., Trace]
MONDAY_NS = 1_772_409_600_000_000_000
DAY_NS = 86_400_000_000_000
CANARY = Assignment(strategy="canary", epoch=9, salt="9", arm="canary", bucket=3, sticky=False, u="1" * 16)
VERBS = ("go", "goes", "éat", "", "50%_|off")
OUTCOMES = ("accepted", None, "dismissed", None, "revised")


def some_traces(make: Make) -> list[Trace]:
    """Forty traces of three days, many of which share a start time; none has a graded outcome of its own."""
    return [
        make(
            f"Req-{n:02}",
            started_ns=MONDAY_NS + n // 3 * (DAY_NS // 6),
            input=None if n % 11 == 10 else f"Sentence {n} isn't 100%_sure",
            output=f"reply {n % 7}",
            features={"verb": VERBS[n % 5], "tense": "past"} if n % 5 != 3 else {"tense": f"goes{n % 4}"},
            seconds=(n * 37 % 40) / 1000,
            entry_sha=("f" if n % 4 else "e") * 64,
            source="live" if n % 6 else "replay",
            **({"assignment": CANARY} if n % 8 == 1 else {}),
        )
        for n in range(40)
    ]


@pytest.fixture(params=["live", "pruned"])
def stored(
    request: pytest.FixtureRequest, writer: TraceWriter, url: str, trace: Make,
    monkeypatch: pytest.MonkeyPatch, folder: Path,
) -> Iterator[tuple[TraceReader, list[Trace]]]:  # fmt: skip
    """The traces in windows of seven; or with one of the days in a file and no longer in the live store."""
    monkeypatch.setattr(module, "WINDOW", 7)
    traces = some_traces(trace)
    wait([writer.submit(one) for one in traces], 10)
    said = [(one, OUTCOMES[n % 5]) for n, one in enumerate(traces)]
    wait([writer.feedback(one.request_id, outcome) for one, outcome in said if outcome], 10)
    writer.close()
    if request.param == "pruned":
        assert export_day(url, Archive(folder), "2026-03-03", prune=True) is not None
    reader = TraceReader.open(url, folder)
    yield reader, [one if outcome is None else _with(one, outcome) for one, outcome in said]
    reader.close()


def _with(trace: Trace, outcome: str) -> Trace:
    import msgspec

    return msgspec.structs.replace(trace, feedback=outcome)


def text_of(trace: Trace, field: str) -> str:
    """What a term with this field is looked for in."""
    known = {
        "id": trace.request_id, "arm": trace.assignment.arm, "outcome": trace.feedback or "", "sha": trace.entry_sha,
        "text": f"{trace.input or ''}\n{trace.output or ''}",
    }  # fmt: skip
    return known.get(field, trace.features.get(field, "").replace("|", "/")).lower()


def matches(trace: Trace, term: Term) -> bool:
    """Whether a trace matches, decided without SQL."""
    wanted = term.text.lower().replace("|", "/")
    if not term.field:
        found = any(wanted in text_of(trace, field) for field in ("text", "id", "arm", "outcome"))
    else:
        held = text_of(trace, term.field)
        found = held == wanted if term.exact or not wanted else wanted in held
    return found != term.inverted


ASKED: tuple[tuple[Term, ...], ...] = (
    (),
    (Term("reply 3"),),
    (Term("100%_s"),),
    (Term("100__s"),),
    (Term("req-1"), Term("dismissed", inverted=True)),
    (Term("canary"),),
    (Term("go", "verb"),),
    (Term("oes", "verb"),),
    (Term("éa", "verb"),),
    (Term("50%_|", "verb"),),
    (Term("go", "verb", exact=True),),
    (Term("REQ-07", "id", exact=True),),
    (Term("req-0", "id", exact=True),),
    (Term("stable", "arm", inverted=True, exact=True),),
    (Term("", "verb"),),
    (Term("", "verb", inverted=True),),
    (Term("go", "verb", inverted=True),),
    (Term("verb"),),
    (Term("", "outcome"), Term("e" * 64, "sha")),
    (Term("dis", "outcome"),),
    (Term("f", "sha", inverted=True), Term("1", "id")),
    (Term("sentence", "text", inverted=True),),
    (Term("nothing has", "this"),),
    (Term("", "this"),),
)


def test_every_match_is_found_newest_first(stored: tuple[TraceReader, list[Trace]]) -> None:
    reader, traces = stored
    for terms in ASKED:  # in one test, because each store takes half a second to make
        found = reader.search(Question(terms=terms))
        wanted = [one for one in traces if all(matches(one, term) for term in terms)]
        assert list(found.traces) == sorted(wanted, key=lambda one: (-one.started_ns, one.request_id)), terms
        assert (found.matched, found.searched, found.since_ns) == (len(wanted), len(traces), None), terms


def keyed(order: str, feature: str) -> Callable[[Trace], tuple[bool, Any]]:
    def key(trace: Trace) -> tuple[bool, Any]:
        if order == "latency":
            return False, -trace.seconds
        if order == "outcome":
            worst_first = ("dismissed", "revised", "accepted", None)
            return trace.feedback is None, worst_first.index(trace.feedback)
        value = trace.features.get(feature, "").replace("|", "/")
        return not value, value

    return key


def test_the_whole_store_is_sorted(stored: tuple[TraceReader, list[Trace]]) -> None:
    orders: list[tuple[Any, str]] = [("latency", ""), ("outcome", ""), ("feature", "verb"), ("feature", "x")]
    for (order, feature), backwards in product(orders, [False, True]):
        check_order(*stored, order, feature, backwards=backwards)


def check_order(reader: TraceReader, traces: list[Trace], order: Any, feature: str, *, backwards: bool) -> None:
    key = keyed(order, feature)
    newest = sorted(traces, key=lambda one: (-one.started_ns, one.request_id))
    wanted = sorted(newest, key=lambda one: key(one)[1], reverse=backwards)
    wanted.sort(key=lambda one: key(one)[0])
    for limit in (9, 500):
        found = reader.search(Question(order=order, feature=feature, backwards=backwards, limit=limit))
        assert list(found.traces) == wanted[:limit]
        assert (found.matched, found.searched) == (40, 40)


@pytest.mark.parametrize(
    ("name", "features", "orders"),
    [
        ("latency", [{}], ["latency"]),
        ("lang", [{}, {"lang": "en"}], ["feature"]),
        ("score", [{}, {"lang": "en"}], ["feature", "field"]),
        ("score", [], ["feature"]),
    ],
)
def test_a_name_of_an_order_is_that_of_a_feature_if_a_request_has_it_and_else_of_a_field(
    trace: Make, name: str, features: list[dict[str, str]], orders: list[str]
) -> None:
    asked: list[Question] = []

    def search(question: Question) -> SearchResult:
        asked.append(question)
        traces = tuple(trace(f"req-{n:05}", features=each) for n, each in enumerate(features))
        return SearchResult(traces=traces, matched=len(traces), searched=9, since_ns=None)

    question, found = module.search_in_order(name, Question(limit=7), search)
    assert ([each.order for each in asked], question, len(found.traces)) == (orders, asked[-1], len(features))
    assert (question.feature, question.limit) == ("" if name == "latency" else name, 7)


def test_a_sentence_of_which_only_the_hash_was_kept_is_found_whole(writer: TraceWriter, url: str, trace: Make) -> None:
    digest = hashlib.sha256(b"He goed.").hexdigest()
    traces = [trace("hashed", input=None, output=None, input_sha256=digest), trace("other")]
    wait([writer.submit(one) for one in traces], 10)
    reader = TraceReader.open(url)

    def found(term: Term) -> list[str]:
        return [one.request_id for one in reader.search(Question(terms=(term,))).traces]

    assert found(Term("He goed.", "text")) == ["hashed"]
    assert found(Term("goed home", "text")) == ["other"]
    assert found(Term("He goed.", "text", inverted=True)) == ["other"]
    reader.close()


def test_a_feature_may_be_called_as_a_field_of_every_trace(writer: TraceWriter, url: str, trace: Make) -> None:
    traces = [trace("one", features={"arm": "left", "day": "x"}), trace("two", features={"arm": "right"})]
    wait([writer.submit(one) for one in traces], 10)
    reader = TraceReader.open(url)
    for field, text in (("arm", "left"), ("day", "x")):
        found = reader.search(Question(terms=(Term(text, field, exact=True, feature=True),)))
        assert [one.request_id for one in found.traces] == ["one"]
    assert reader.search(Question(terms=(Term("left", "arm"),))).matched == 0
    reader.close()


def test_days_months_and_sources(stored: tuple[TraceReader, list[Trace]]) -> None:
    reader, traces = stored

    def count(text: str, field: str) -> int | None:
        return reader.search(Question(terms=(Term(text, field),))).matched

    by_day = [sum(one.started_ns // DAY_NS == MONDAY_NS // DAY_NS + n for one in traces) for n in range(3)]
    assert [count(f"2026-03-0{2 + n}", "day") for n in range(3)] == by_day
    assert (count("2026-03", "day"), count("2026", "day"), count("2025", "day")) == (40, 40, 0)
    assert count("2026-03-", "day") == 40, "what is no date yet excludes nothing"
    assert count("replay", "source") == 7
    assert count("live", "source") == 33


def test_a_search_stops_where_it_is_told_to_and_says_how_far_it_came(
    stored: tuple[TraceReader, list[Trace]],
) -> None:
    reader, traces = stored
    found = reader.search(Question(terms=(Term("sentence"),), most=10))
    assert 10 <= found.searched < 40
    assert found.since_ns is not None
    looked_at = [one for one in traces if one.started_ns >= found.since_ns]
    assert found.searched == len(looked_at)
    assert len(found.traces) == sum(one.input is not None for one in looked_at)
    before = traces[20].started_ns
    assert all(one.started_ns < before for one in reader.search(Question(before_ns=before)).traces)

    steps: list[int] = []

    def stop(searched: int, so_far: Callable[[], SearchResult]) -> None:
        steps.append(searched)
        found = so_far()
        assert len(found.traces) == found.searched == searched, "everything matches"
        if len(steps) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        reader.search(Question(), stop)
    assert len(steps) == 2
    assert steps[1] < 40


def test_feedback_that_came_after_its_day_was_pruned_is_joined(
    stored: tuple[TraceReader, list[Trace]], url: str, folder: Path
) -> None:
    reader, traces = stored
    late = TraceWriter(url, archive=folder)
    wait([late.feedback(one.request_id, "revised") for one in traces], 10)
    late.close()
    assert {one.feedback for one in reader.search(Question()).traces} == {"revised"}
    assert reader.search(Question(terms=(Term("revised", "outcome", exact=True),))).matched == len(traces)
    assert reader.search(Question(terms=(Term("dismissed", "outcome"),))).matched == 0


def test_matches_beyond_a_bound_are_not_counted_and_end_the_search(
    stored: tuple[TraceReader, list[Trace]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = stored
    monkeypatch.setattr(module, "COUNTED", 12)
    found = reader.search(Question(limit=5))
    assert (len(found.traces), found.matched) == (5, None)
    assert found.searched < 40
    assert found.since_ns is not None


@pytest.mark.parametrize(
    ("text", "days"),
    [("2026-02-28", 1), ("2026-02", 28), ("2024-02", 29), ("2026-12", 31), ("2024", 366), ("2026-13", 0), ("26", 0),
     ("2026-02-30", 0), ("0000", 0), ("٢٠٢٦", 0)],
)  # fmt: skip
def test_a_day_a_month_and_a_year_are_spans(text: str, days: int) -> None:
    span = day_span(text)
    assert (span[1] - span[0]) // DAY_NS == days if span else days == 0
