"""A day's requests counted by DuckDB are those counted one by one, however they are divided."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from graded import GradedKey, graded_answers
from miniobserve.daily import Request
from miniobserve.fold import Bucket
from miniobserve.traces import Assignment, Trace
from modelspine.drift.bins import Tally, four_digits
from modelspine.drift.counting import Counted, Span, count_requests
from modelspine.drift.grades import Failing
from modelspine.drift.partial import _NUMBER
from modelspine.drift.reference import Values
from modelspine.drift.vectors import Sample
from modelspine.workload import Probe

EVER = (0, 2**62)
VERBS = ("go", "be", "it's", "a|b=c", 'say "so"')


class Verbs:
    """A workload with a category, a number and tokens."""

    name = "verbs"

    def drift_values(self, text: str | None, features: Any, _accepted: bool | None) -> dict[str, Any]:
        found: dict[str, Any] = dict(features)
        return found | ({"token": tuple(text.split()), "length": float(len(text))} if text is not None else {})

    def probe(self, _text: str | None, features: Any) -> Probe:
        return Probe(label="", pattern="", expected=None, buckets=(f"verb/{features['verb']}",), mark="")


VALUES = Values(Verbs())  # type: ignore[arg-type]  # only what drift asks of a workload


def traces(n: int, draw: random.Random) -> list[Trace]:
    """Requests of every kind that a store has."""
    found = []
    for number in range(n):
        text = None if draw.random() < 0.2 else " ".join(draw.choices(("he", "goed", "home"), k=draw.randint(0, 4)))
        features = {"verb": draw.choice(VERBS)} if draw.random() < 0.9 else {}
        in_scope = draw.random() < 0.9
        values = VALUES._of_request(text, features, None) if in_scope else {}
        unit = draw.choice((None, *"abcd"))
        given = Assignment(strategy="single", epoch=1, salt="s", arm="stable", bucket=1, sticky=True, u="u",
                           tester=draw.choice((None,) * 9 + ("eva",)))  # fmt: skip
        found.append(Trace(
            request_id=f"request-{number}", trace_id="", span_id="", started_ns=draw.choice((5, 10**18)),
            entry_sha=draw.choice(("", "a" * 64, "b" * 64)), intended_sha="", semver="", assignment=given,
            unit_hash=unit, retry_of=draw.choice((None, "request-0")) if unit is None else None, input=text,
            features=features, in_scope=in_scope, graded=draw.choice((None, True, False)),
            status=draw.choice((200, 200, 200, 499, 503)), source=draw.choice(("live", "replay")),
            shadow_of=draw.choice((None, None, "request-1")),
            values={name: list(one) if isinstance(one, tuple) else one for name, one in values.items()},
            values_by=draw.choice((VALUES.code, VALUES.code, "", "0" * 16)),
        ))  # fmt: skip
    return found


def count(*buckets: list[Trace], **more: Any) -> Counted:
    made = [Bucket(live=tuple(each), rows=len(each)) for each in buckets]
    return count_requests(made, Span(*EVER), VALUES, lambda _done, _total: None, **more)


def test_counts_are_those_of_the_requests_one_by_one() -> None:
    every = traces(600, random.Random(7))
    found = count(every)
    inside = [t for t in every if t.started_ns < EVER[1] and t.assignment.tester is None]
    answered = [t for t in inside if t.shadow_of is None and t.status < 500 and t.entry_sha]
    learners = Counter(t.unit_hash for t in answered if t.unit_hash)
    assert (found.n, found.copies) == (len(answered), sum(t.shadow_of is not None for t in inside))
    failed = [t for t in inside if t.shadow_of is None and t.status >= 500 and t.entry_sha]
    assert found.failed == Counter(t.entry_sha for t in failed)
    assert found.unassigned == len(inside) - found.copies - found.n - len(failed) > 0
    testers = [t for t in every if t.started_ns < EVER[1] and t.assignment.tester is not None]
    assert found.testers == sum(t.shadow_of is None for t in testers)
    assert found.entries == Counter(t.entry_sha for t in answered)
    assert (found.learners, found.heaviest) == (len(learners), max(learners.values()))
    assert found.replayed == sum(t.source == "replay" for t in answered)
    assert found.outside == sum(not t.features or not t.in_scope for t in answered)
    by_hand = Tally()
    for textless in (False, True):
        some = [msgspec.convert(msgspec.to_builtins(t), Request) for t in answered if (t.input is None) == textless]
        by_hand.add(VALUES.of_requests(some), textless=textless)
    tally = found.live.tally
    assert (tally.n, tally.textless, tally.counts) == (by_hand.n, by_hand.textless, by_hand.counts)
    assert {name: tally.present(name, kind) for name in tally.counts for kind in tally.counts[name]} == {
        name: by_hand.present(name, kind) for name in by_hand.counts for kind in by_hand.counts[name]
    }
    keys = Counter(
        GradedKey(t.entry_sha, t.unit_hash or t.retry_of or t.request_id, VALUES.buckets(t.features), t.graded)
        for t in answered if t.graded is not None
    )  # fmt: skip
    rates = {VALUES.buckets({"verb": verb}): 0.1 * number for number, verb in enumerate(VERBS)}
    for sha, own in found.live.graded.items():
        units = Counter(t.unit_hash or t.retry_of or t.request_id for t in failed if t.entry_sha == sha)
        ungraded = sum(t.graded is None for t in answered if t.entry_sha == sha)
        expected = graded_answers(keys, sha, ungraded=ungraded, failed=units)
        assert own.cells == expected.cells
        assert (own.answered, own.failed) == (expected.answered, expected.failed)
        failing = Failing(0.5, 0.3)
        both = (own.residuals(rates, failing), expected.residuals(rates, failing))
        for sized, one_by_one in (both, *((own.sized(w), expected.sized(w)) for w in (0.0, 0.5, 1.0))):
            assert moments(sized) == pytest.approx(moments(one_by_one))


def moments(sized: Any) -> list[float]:
    sums = [sum(e.units for e in sized), sum(e.n * e.units for e in sized), sum(e.n * e.n * e.units for e in sized)]
    return [*sums, sum(e.y for e in sized), sum(e.squares for e in sized), sum(e.n * e.y for e in sized)]


def test_counts_do_not_depend_on_how_requests_are_divided() -> None:
    every = traces(300, random.Random(3))
    whole, parts = count(every, keep_rows=True), {}
    for trace in every:  # a unit is whole within one bucket
        parts.setdefault(hash(trace.unit_hash or trace.retry_of or trace.request_id) % 3, []).append(trace)
    divided = count(*parts.values(), keep_rows=True)
    assert divided.live.tally.counts == whole.live.tally.counts
    assert sorted(divided.live.tally.rows["token"]) == sorted(whole.live.tally.rows["token"])
    assert divided.live.mixes == whole.live.mixes
    assert divided[1:] == whole[1:]
    rates = {VALUES.buckets({"verb": verb}): 0.1 * number for number, verb in enumerate(VERBS)}
    for sha, own in whole.live.graded.items():
        other = divided.live.graded[sha]
        assert (other.cells, other.answered, other.failed) == (own.cells, own.answered, own.failed)
        assert moments(other.sized(0.5)) == pytest.approx(moments(own.sized(0.5)))
        assert moments(other.residuals(rates, Failing(0.5, 0.3))) == pytest.approx(
            moments(own.residuals(rates, Failing(0.5, 0.3)))
        )


class Embeds(Verbs):
    """A workload that makes the vector of a text."""

    def embed(self, text: str) -> list[float]:
        return [float(len(text)), float(text.count("o"))]


@pytest.mark.parametrize("workload", [Verbs(), Embeds()], ids=["told", "made"])
def test_the_sample_of_vectors_is_the_same_however_requests_are_divided(
    workload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelspine.drift.counting.MOST", 60)
    values, draw = Values(workload), random.Random(4)
    made = hasattr(workload, "embed")
    every = [
        msgspec.structs.replace(t, embedding=[float(n), 1.0] if t.input is not None and draw.random() < 0.8 else None)
        for n, t in enumerate(traces(900, draw))
    ]
    answered = [t for t in every if t.started_ns < EVER[1] and t.assignment.tester is None and t.shadow_of is None
                and t.status < 500 and t.entry_sha]  # fmt: skip

    def sample(*buckets: list[Trace]) -> Sample:
        some = [Bucket(live=tuple(each), rows=len(each)) for each in buckets]
        found = count_requests(some, Span(*EVER), values, lambda _done, _total: None).live.sample
        assert found is not None
        return found()

    whole = sample(every)
    assert 40 < len(whole.vectors) + whole.hidden < 80 < len(answered)
    assert whole == sample(every[0::3], every[1::3], every[2::3])
    known = {
        tuple(workload.embed(t.input)) if made else tuple(t.embedding or ()) for t in answered if t.input is not None
    }
    assert {tuple(vector) for vector in whole.vectors if vector is not None} <= known
    assert any(vector is None for vector in whole.vectors), "what is out of scope has none"
    assert whole.hidden > 0


def test_a_day_without_vectors_has_no_sample() -> None:
    assert count(traces(50, random.Random(2))).live.sample is None


def test_a_score_keeps_four_digits() -> None:
    one = traces(1, random.Random(1))[0]
    kept = {"status": 200, "shadow_of": None, "entry_sha": "a" * 64, "started_ns": 5, "values_by": VALUES.code,
            "assignment": msgspec.structs.replace(one.assignment, tester=None)}  # fmt: skip
    scores = (0.123456, -0.00012344, 98765.4, 12345.0, 0.0, float("nan"))
    made = [msgspec.structs.replace(one, request_id=f"r{n}", values={"score": score}, **kept)
            for n, score in enumerate(scores)]  # fmt: skip
    assert count(made).live.tally.counts == {"score": {"number": Counter([0.1235, -0.0001234, 98770.0, 12345.0, 0.0])}}


@pytest.mark.parametrize("most", [-300, 3], ids=["very small and large", "ordinary"])
def test_a_reference_rounds_a_number_as_the_query_does(most: int) -> None:
    import duckdb

    draw = random.Random(most)
    given = [draw.uniform(-1, 1) * 10.0 ** draw.randint(*sorted((-3, most))) for _ in range(4_000)]
    given += [0.5 * number * 10.0**power for number in range(-1_000, 1_000) for power in (-6, -1, 0, 3)]
    given += [0.0, 999_999.5, 99_995.0001, 1.7e308, 5e-324]
    sql = f"SELECT value, {_NUMBER} FROM (SELECT unnest(?::DOUBLE[]) AS value)"
    with duckdb.connect() as connection:
        found = connection.execute(sql, [given]).fetchall()
    assert [four_digits(value) for value, _ in found] == [rounded for _, rounded in found]
