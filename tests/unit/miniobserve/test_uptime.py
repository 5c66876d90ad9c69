"""The uptime of servers: it covers every trace, survives a clock that is set, and is unknown in older stores."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from miniobserve.cost import CostMeter
from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from miniobserve.uptime import Up, Uptime, passed_once
from miniobserve.writer import TraceWriter

SECOND = 10**9
END = 2**63 - 1


class Clocks:
    """A wall clock and the time that has passed; a test moves both, or the first alone."""

    def __init__(self, start_ns: int = 1_000 * SECOND) -> None:
        self.wall, self.passed = start_ns, 0

    def go(self, seconds: float, *, stepped: float = 0.0) -> None:
        self.passed += int(seconds * SECOND)
        self.wall += int((seconds + stepped) * SECOND)

    def uptime(self, rate: float | None = 0.05) -> Uptime:
        return Uptime(CostMeter(rate, "p1"), clock=lambda: self.wall, passed=lambda: self.passed)


def recorded(url: str, since: int = 0, until: int = END) -> tuple[Up, ...]:
    reader = TraceReader.open(url)
    found = reader.requests.uptime(since, until)
    reader.close()
    return found


def test_every_commit_extends_the_servers_uptime(url: str, trace: Callable[..., Trace]) -> None:
    clocks = Clocks()
    writer = TraceWriter(url, uptime=clocks.uptime())
    clocks.go(10)
    writer.submit(trace("request-1")).result(5)
    assert recorded(url) == (
        Up(began_ns=1_000 * SECOND, seen_ns=1_010 * SECOND, rate_per_hour=0.05, price_version="p1"),
    )
    clocks.go(20)
    writer.close()
    (whole,) = recorded(url)
    assert (whole.began_ns, whole.seen_ns) == (1_000 * SECOND, 1_030 * SECOND), "until it was stopped"
    (part,) = recorded(url, 1_005 * SECOND, 1_015 * SECOND)
    assert (part.began_ns, part.seen_ns) == (1_005 * SECOND, 1_015 * SECOND)
    assert recorded(url, 2_000 * SECOND) == ()


def test_a_server_without_requests_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniobserve.writer.BEAT_SECONDS", 0.02)
    url = f"sqlite:///{tmp_path / 'traces.db'}"
    writer = TraceWriter(url, uptime=Uptime(CostMeter(None, "p1")))
    deadline = time.monotonic() + 30
    while not (found := recorded(url)) and time.monotonic() < deadline:
        time.sleep(0.02)
    writer.close()
    assert found[0].rate_per_hour is None


def test_a_clock_that_is_set_makes_no_uptime(tmp_path: Path) -> None:
    """A day ahead and back again: the hours in between were never rented."""
    url = f"sqlite:///{tmp_path / 'traces.db'}"
    clocks = Clocks()
    writer = TraceWriter(url, uptime=clocks.uptime())
    for stepped in (0, 86_400, 0, -86_400):
        clocks.go(30, stepped=stepped)
        writer.probe().result(5)
    writer.close()
    rows = recorded(url)
    assert sum(up.seen_ns - up.began_ns for up in rows) <= 120 * SECOND
    assert len(rows) == 3


def test_replayed_traffic_has_the_uptime_of_its_simulated_times(url: str, trace: Callable[..., Trace]) -> None:
    clocks = Clocks()
    writer = TraceWriter(url, uptime=clocks.uptime())
    for number, at in enumerate((5_000, 9_000, 7_000, 3_000_000_000)):
        made = trace(f"request-{number}", source="replay", started_ns=at * SECOND, seconds=1.0)
        writer.submit(made).result(5)
    writer.close()
    simulated = [(up.began_ns // SECOND, up.seen_ns // SECOND) for up in recorded(url) if up.simulated]
    assert simulated == [(5_000, 9_001), (3_000_000_000, 3_000_000_001)], "a stray time makes no years of uptime"


def test_a_day_that_several_servers_replayed_passed_once() -> None:
    """Overlapping spans of replayed traffic are one; spans at another rate, and those of real time, are left."""

    def up(began: int, seen: int, rate: float = 0.05, *, simulated: bool = True) -> Up:
        return Up(began_ns=began, seen_ns=seen, rate_per_hour=rate, price_version="p1", simulated=simulated)

    spans = [up(0, 10), up(2, 5), up(8, 20), up(30, 40), up(3, 9, 0.1), up(0, 10, simulated=False)]
    again = [up(0, 10, simulated=False)]
    found = passed_once([*reversed(spans), *again])
    assert sorted((u.began_ns, u.seen_ns, u.rate_per_hour) for u in found if u.simulated) == [
        (0, 20, 0.05), (3, 9, 0.1), (30, 40, 0.05)
    ]  # fmt: skip
    assert [u for u in found if not u.simulated] == [up(0, 10, simulated=False)] * 2


def test_a_store_from_before_has_none(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    TraceWriter(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE uptime")
    connection.close()
    assert recorded(f"sqlite:///{file}") == ()
