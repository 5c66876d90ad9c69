"""What the arms of an epoch did: each query against counting by hand, and stores from before the table was there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import msgspec
import pytest

from miniobserve.evidence import Unit, quantile
from miniobserve.reader import TraceReader
from miniobserve.schema import latency_slot, slot_seconds
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter

Make = Callable[..., Trace]

only_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""A store from before there were roll-ups is one file on this machine."""


def at(number: int) -> Assignment:
    arm = "canary" if number % 3 == 0 else "stable"
    return Assignment(
        strategy="canary",
        epoch=9 if number % 5 else 8,
        salt="8",
        arm=arm,
        bucket=1,
        sticky=True,
        u=f"{number % 7:016x}",
    )


def some(trace: Make) -> list[Trace]:
    made = [
        trace(
            f"request-{n:03d}", started_ns=1_000 + n, assignment=at(n), graded=(None, True, False)[n % 3],
            seconds=0.001 * (n + 1), status=500 if n % 11 == 0 else 200, features={"verb": "go" if n % 2 else "be"},
        )
        for n in range(100)
    ]  # fmt: skip
    copies = [
        msgspec.structs.replace(
            live,
            request_id=f"copy-{live.request_id}",
            shadow_of=live.request_id,
            graded=True,
            assignment=msgspec.structs.replace(live.assignment, arm="shadow"),
        )
        for live in made[:30]
    ]
    return made + copies


@pytest.fixture
def kept(writer: TraceWriter, trace: Make) -> list[Trace]:
    traces = some(trace)
    futures: list[Any] = [writer.submit(each) for each in traces]
    futures += [writer.feedback(f"request-{n:03d}", "accepted" if n % 4 else "revised") for n in range(0, 100, 2)]
    wait(futures, 10)
    for future in futures:
        future.result()
    return traces


def rounded(units: list[Unit]) -> list[Unit]:
    """In order, their sums of seconds without what the order of adding leaves."""
    return sorted(unit._replace(seconds=round(unit.seconds, 9)) for unit in units)


def test_units(kept: list[Trace], url: str) -> None:
    found = TraceReader.open(url).evidence
    for copies in (False, True):
        own = [t for t in kept if t.assignment.epoch == 9 and (t.shadow_of is not None) == copies]
        rows = found.units(9, copies=copies)
        assert sum(row.n for row in rows) == len(own)
        assert {(row.arm, row.u) for row in rows} == {(t.assignment.arm, t.assignment.u) for t in own}
        for row in rows:
            mine = [t for t in own if (t.assignment.arm, t.assignment.u) == (row.arm, row.u)]
            assert row[2:] == (
                len(mine),
                sum(t.status >= 500 for t in mine),
                pytest.approx(sum(t.seconds for t in mine if t.status < 500)),
                sum(t.graded is not None for t in mine),
                sum(t.graded is True for t in mine),
            )
    assert sum(row.n for row in found.units(9, 1_050)) == sum(n % 5 != 0 for n in range(50))
    assert found.units(7) == []


def test_feedback_latencies_and_span(kept: list[Trace], url: str) -> None:
    found = TraceReader.open(url).evidence
    expected = Counter(
        (at(n).arm, at(n).u, "accepted" if n % 4 else "revised") for n in range(0, 100, 2) if at(n).epoch == 9
    )
    assert {row[:3]: row.n for row in found.said(9)} == expected
    times = found.latencies(9)
    canary = [t for t in kept if t.assignment.epoch == 9 and t.assignment.arm == "canary"]
    answered = [t for t in canary if t.status < 500]
    assert sum(n for _, n in times["canary"]) == len(answered) < len(canary), "a failure is not a fast answer"
    until = found.latencies(9, 1_050)
    assert sum(n for _, n in until["canary"]) == sum(t.started_ns < 1_050 for t in answered)
    assert [value for value, _ in times["stable"]] == sorted(value for value, _ in times["stable"])
    assert found.span(9) == (1_001, 1_099)
    assert found.span(9, 1_050) == (1_001, 1_049)
    assert found.span(9, 1_001) is None
    assert found.span(7) is None


def test_what_is_said_of_a_copy_is_no_learners_word(kept: list[Trace], url: str, writer: TraceWriter) -> None:
    before = TraceReader.open(url).evidence.said(9)
    assert writer.feedback(f"copy-{kept[1].request_id}", "accepted").result(5)
    assert TraceReader.open(url).evidence.said(9) == before


def test_pairs(kept: list[Trace], url: str) -> None:
    expected: Counter[Any] = Counter()
    for live in kept[:30]:
        if live.assignment.epoch == 9 and live.graded is not None:
            expected[live.assignment.u, f"|verb={live.features['verb']}|", live.graded, True] += 1
    assert {row[:4]: row.n for row in TraceReader.open(url).evidence.pairs(9)} == expected
    copies = [t for t in kept if t.shadow_of is not None and t.assignment.epoch == 9]
    middle = sorted(t.started_ns for t in copies)[len(copies) // 2]
    until = TraceReader.open(url).evidence.pairs(9, middle)
    assert 0 < sum(row.n for row in until) < sum(expected.values())


def test_slots_are_right_to_within_a_fortieth() -> None:
    for micros in (1, 7, 100, 12_345, 999_999, 60_000_000):
        seconds = micros / 1e6
        assert slot_seconds(latency_slot(seconds)) == pytest.approx(seconds, rel=0.023)
    assert latency_slot(0.0) == latency_slot(1e-6)


def test_quantiles() -> None:
    counts = [(1.0, 50), (2.0, 45), (3.0, 4), (9.0, 1)]
    assert [quantile(counts, share) for share in (0.5, 0.51, 0.95, 0.99, 1.0)] == [1.0, 2.0, 2.0, 3.0, 9.0]
    assert quantile([], 0.5) is None
