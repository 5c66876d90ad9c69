"""Sums over the last hours, and which servers run: copies and testers are in none, and what was pruned is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from miniobserve.archive import Archive
from miniobserve.cost import CostMeter
from miniobserve.export import export_day
from miniobserve.reader import TraceReader
from miniobserve.recent import Grades, Totals
from miniobserve.traces import Assignment, Trace
from miniobserve.uptime import LATE_NS, RECENT_NS, Servers, Uptime
from miniobserve.writer import TraceWriter
from observed import ASSIGNMENT, MONDAY_NS

HOUR = 3_600 * 10**9
OTHER = Assignment(strategy="single", epoch=4, salt="3", arm="stable", bucket=1, sticky=True, u="1" * 16, unit="x")


def test_the_sums_of_a_span(url: str, trace: Callable[..., Trace]) -> None:
    writer = TraceWriter(url)
    at = {"started_ns": MONDAY_NS}
    for made in (
        trace("right-request", graded=True, **at),
        trace("caught-request", graded=False, accepted=False, **at),
        trace("false-accept", graded=False, accepted=True, assignment=OTHER, **at),
        trace("ungraded-one", cost=None, **at),
        trace("failed-request", entry_sha="", status=500, cost=None, **at),
        trace("shadow-copy", graded=False, accepted=True, shadow_of="right-request", **at),
        trace("hour-before", graded=False, accepted=True, started_ns=MONDAY_NS - HOUR),
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
    assert reader.recent.grades([3, 4], *span) == Grades(entries={"e" * 64: (1, 3)}, false_accepts=1)
    assert reader.recent.grades([3], *span) == Grades(entries={"e" * 64: (1, 2)}, false_accepts=0)
    assert reader.recent.grades([], *span) == Grades(entries={}, false_accepts=0)
    assert reader.recent.dismissed(*span) == 1
    last = reader.evidence.last(ASSIGNMENT.epoch)
    assert last is not None
    assert last[1] == MONDAY_NS
    assert reader.evidence.last(3, MONDAY_NS) == ("hour-before", MONDAY_NS - HOUR)
    assert reader.evidence.last(9) is None
    reader.close()


def test_false_accepts_of_a_pruned_day_are_unknown(url: str, trace: Callable[..., Trace], folder: Path) -> None:
    writer = TraceWriter(url)
    for name, started in (("false-accept", MONDAY_NS), ("day-before-it", MONDAY_NS - HOUR)):
        writer.submit(trace(name, graded=False, accepted=True, started_ns=started)).result(5)
    writer.close()
    assert export_day(url, Archive(folder), "2026-03-02", prune=True) is not None
    reader = TraceReader.open(url, folder)
    grades = reader.recent.grades([3, 4], MONDAY_NS, MONDAY_NS + HOUR)
    assert grades == Grades(entries={"e" * 64: (0, 1)}, false_accepts=None), "its grades are in the file"
    assert reader.recent.grades([3], MONDAY_NS - HOUR, MONDAY_NS).false_accepts == 1, "the day before was not pruned"
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


def test_requests_that_another_server_answered_count_as_a_server(url: str, trace: Callable[..., Trace]) -> None:
    """A batch or a collector writes no uptime; a server of Spine that was stopped before it is not the one."""
    writer = TraceWriter(url)
    writer.submit(trace("recorded-one", started_ns=MONDAY_NS + HOUR)).result(5)
    writer.close()
    reader = TraceReader.open(url)
    now = MONDAY_NS + HOUR
    found = reader.requests.servers(now + RECENT_NS - 1)
    assert found == Servers(up=0, seen_ns=None, recorded_ns=now)
    assert found.answering is None
    assert reader.requests.servers(now + RECENT_NS).answering == 0, "too long ago"
    assert reader.requests.servers(now - HOUR).answering == 0, "not yet"

    def a_server(began: int) -> Servers:
        TraceWriter(url, uptime=Uptime(CostMeter(None, "p1"), clock=lambda: began, passed=lambda: 0)).close()
        return reader.requests.servers(now + 2 * LATE_NS)

    assert a_server(now - HOUR).recorded_ns == now
    assert a_server(now + 1).recorded_ns is None, "it may be the server that answered"
    writer = TraceWriter(url)
    writer.submit(trace("replayed-one", started_ns=now + 120 * 10**9, source="replay")).result(5)
    writer.close()
    assert reader.requests.servers(now + 130 * 10**9) == Servers(up=0, seen_ns=now + 1)
    writer = TraceWriter(url)
    writer.submit(trace("recorded-two", started_ns=now + 110 * 10**9)).result(5)
    writer.close()
    assert reader.requests.servers(now + 130 * 10**9).recorded_ns == now + 110 * 10**9, "the newest is a replayed one"
    reader.close()


def test_a_store_without_uptime_has_no_servers(url: str) -> None:
    TraceWriter(url).close()
    reader = TraceReader.open(url)
    assert reader.requests.servers(MONDAY_NS) == Servers(up=0, seen_ns=None)
    reader.close()
