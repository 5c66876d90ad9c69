"""Sums over the last hours, and which servers run: copies and testers are in none, and what was pruned is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from miniobserve.archive import Archive
from miniobserve.cost import CostMeter
from miniobserve.reader import TraceReader
from miniobserve.recent import Grades, Recent, Totals
from miniobserve.traces import Assignment, Trace
from miniobserve.uptime import LATE_NS, Servers, Uptime
from miniobserve.writer import TraceWriter
from observed import ASSIGNMENT, MONDAY_NS

HOUR = 3_600 * 10**9
OTHER = Assignment(strategy="single", epoch=4, salt="3", arm="stable", bucket=1, sticky=True, u="1" * 16, unit="x")


def test_the_sums_of_a_span(url: str, trace: Callable[..., Trace]) -> None:
    writer = TraceWriter(url)
    at = {"started_ns": MONDAY_NS}
    for made in (
        trace("right-request", graded=True, **at),
        trace("caught-request", graded=False, is_correct=False, **at),
        trace("false-accept", graded=False, is_correct=True, assignment=OTHER, **at),
        trace("ungraded-one", cost=None, **at),
        trace("failed-request", entry_sha="", status=500, cost=None, **at),
        trace("shadow-copy", graded=False, is_correct=True, shadow_of="right-request", **at),
        trace("hour-before", graded=False, is_correct=True, started_ns=MONDAY_NS - HOUR),
    ):
        writer.submit(made).result(5)
    for request_id in ("right-request", "hour-before", "shadow-copy"):
        writer.feedback(request_id, "dismissed").result(5)
    writer.feedback("caught-request", "accepted").result(5)
    writer.close()
    reader = TraceReader.open(url)
    span = (MONDAY_NS, MONDAY_NS + HOUR)
    totals = [msgspec.structs.replace(each, cost=round(each.cost, 12)) for each in reader.recent.totals(*span)]
    assert totals == [
        Totals(sha="", answered=0, failed=1, priced=0, cost=0.0),
        Totals(sha="e" * 64, answered=4, failed=0, priced=3, cost=1.2e-7),
    ]
    assert reader.recent.grades([3, 4], *span) == Grades(right=1, graded=3, false_accepts=1)
    assert reader.recent.grades([3], *span) == Grades(right=1, graded=2, false_accepts=0)
    assert reader.recent.grades([], *span) == Grades(right=0, graded=0, false_accepts=0)
    assert reader.recent.dismissed(*span) == 1
    last = reader.evidence.last(ASSIGNMENT.epoch)
    assert last is not None
    assert last[1] == MONDAY_NS
    assert reader.evidence.last(3, MONDAY_NS) == ("hour-before", MONDAY_NS - HOUR)
    assert reader.evidence.last(9) is None
    reader.close()


def test_false_accepts_of_a_pruned_day_are_unknown(url: str, trace: Callable[..., Trace], tmp_path: Path) -> None:
    writer = TraceWriter(url)
    writer.submit(trace("false-accept", graded=False, is_correct=True)).result(5)
    writer.close()
    reader = TraceReader.open(url)

    class Pruned(Archive):
        def days(self, *, pruned: bool = False) -> list[str]:
            return ["2026-03-02"] if pruned else []

    recent = Recent(reader._database, Pruned(tmp_path))
    assert recent.grades([3], MONDAY_NS, MONDAY_NS + HOUR).false_accepts is None
    assert recent.grades([3], MONDAY_NS - HOUR, MONDAY_NS).false_accepts == 0, "the day before it was not pruned"
    reader.close()


def test_a_replayed_request_is_known_from_its_trace_or_from_the_uptime_of_its_day(
    url: str, trace: Callable[..., Trace]
) -> None:
    writer = TraceWriter(url, uptime=Uptime(CostMeter(0.05, "p1")))
    for name, source in (("replayed-one", "replay"), ("live-request", "live")):
        writer.submit(trace(name, source=source)).result(5)
    writer.close()
    reader = TraceReader.open(url)
    assert reader.recent.is_replayed("replayed-one", MONDAY_NS)
    assert not reader.recent.is_replayed("live-request", MONDAY_NS)
    assert reader.recent.is_replayed("pruned-request", MONDAY_NS)
    assert not reader.recent.is_replayed("pruned-request", MONDAY_NS + HOUR)
    reader.close()


def test_a_server_runs_while_its_uptime_is_extended(url: str, trace: Callable[..., Trace]) -> None:
    began = MONDAY_NS + 30 * HOUR
    uptime = Uptime(CostMeter(0.05, "p1"), clock=lambda: began, passed=lambda: 0)
    writer = TraceWriter(url, uptime=uptime)
    writer.submit(trace("replayed-one", source="replay")).result(5)
    writer.close()
    TraceWriter(url, uptime=Uptime(CostMeter(None, "p1"), clock=lambda: began + HOUR, passed=lambda: 0)).close()
    reader = TraceReader.open(url)

    def servers(at_ns: int) -> Servers:
        return reader.requests.servers(at_ns)

    assert servers(MONDAY_NS + HOUR) == Servers(up=0, seen_ns=None), "replayed traffic is no server"
    assert servers(began + LATE_NS) == Servers(up=1, seen_ns=began)
    assert servers(began + LATE_NS + 1) == Servers(up=0, seen_ns=began)
    assert servers(began - LATE_NS) == Servers(up=1, seen_ns=began - LATE_NS), "a clock that is a little ahead"
    assert servers(began + HOUR) == Servers(up=1, seen_ns=began + HOUR), "the first one is long gone"
    reader.close()


def test_a_store_without_uptime_has_no_servers(url: str) -> None:
    TraceWriter(url).close()
    reader = TraceReader.open(url)
    assert reader.requests.servers(MONDAY_NS) == Servers(up=0, seen_ns=None)
    reader.close()
