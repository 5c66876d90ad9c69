"""The uptime of servers, beside the traces: how long each was up, at which rent.

A server has one row, which every commit of its trace writer extends, so that the recorded uptime covers every trace
of it. The rent of that time, minus the prices of the requests, is what idle time cost. This module does not know what
a second costs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from miniobserve.cost import CURRENCY, CostMeter
from miniobserve.schema import IS_LIVE
from miniobserve.sql.protocol import Database, Params, StorageError, Transaction
from miniobserve.traces import Trace

BEAT_SECONDS = 5.0
"""How often a server without requests writes that it is up; one that is killed loses at most that much."""
LATE_NS = round(3 * BEAT_SECONDS * 1e9)
"""A server that has not been seen for longer counts as gone: one late beat is no alarm."""
RECENT_NS = 600 * 10**9
"""A server that is not Spine's reports nothing but requests: after so long without one it counts as gone."""
_DAY_NS = 86_400 * 10**9
_STEP_NS = 60 * 10**9
"""A wall clock that disagrees by more with the time that has passed was set: a new row begins."""

UPTIME_SCHEMA = """CREATE TABLE IF NOT EXISTS uptime (
    server TEXT NOT NULL, part INTEGER NOT NULL, began_ns BIGINT NOT NULL, seen_ns BIGINT NOT NULL,
    rate DOUBLE PRECISION, currency TEXT NOT NULL, price_version TEXT NOT NULL, simulated INTEGER NOT NULL,
    PRIMARY KEY (server, part))"""
_UPSERT = (
    "INSERT INTO uptime (server, part, began_ns, seen_ns, rate, currency, price_version, simulated)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (server, part) DO UPDATE SET began_ns = excluded.began_ns, seen_ns = excluded.seen_ns"
)
_SERVERS = "SELECT server, MAX(seen_ns) FROM uptime WHERE simulated = 0 AND began_ns <= ? GROUP BY server"
_NEWEST = f"SELECT MAX(started_ns) FROM requests WHERE started_ns > ? AND started_ns <= ? AND {IS_LIVE}"  # noqa: S608
_READ = (
    "SELECT began_ns, seen_ns, rate, currency, price_version, simulated FROM uptime"
    " WHERE began_ns < ? AND seen_ns > ? ORDER BY began_ns, server, part"
)


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """A span of time during which one server was up, in UTC nanoseconds."""

    began_ns: int
    seen_ns: int
    rate_per_hour: float | None
    """None if no rent was configured."""
    price_version: str
    currency: str = CURRENCY
    simulated: bool = False
    """True for a day of replayed traffic, from its first simulated request to its last."""


def passed_once(uptime: Iterable[Up]) -> list[Up]:
    """Merge spans of replayed traffic that overlap at the same terms.

    A day that several servers replayed, one after the other or at once, passed once, so it has one rent. Spans of real
    time are left as they are: two servers that are up at once are two rents.
    """
    found: list[Up] = []
    merged: dict[tuple[float | None, str, str], int] = {}
    for up in sorted(uptime, key=lambda each: each.began_ns):
        terms = (up.rate_per_hour, up.price_version, up.currency)
        at = merged.get(terms) if up.simulated else None
        if at is not None and up.began_ns <= found[at].seen_ns:
            found[at] = msgspec.structs.replace(found[at], seen_ns=max(found[at].seen_ns, up.seen_ns))
            continue
        if up.simulated:
            merged[terms] = len(found)
        found.append(up)
    return found


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """What servers last reported of themselves, up to a moment."""

    up: int
    """Servers that were seen within ``LATE_NS`` before the moment."""
    seen_ns: int | None
    """When a server was last seen, in UTC nanoseconds and never after the moment; None if none ever was."""
    recorded_ns: int | None = None
    """When the newest request began, if a server that is not Spine's answered it within ``RECENT_NS``: it came after
    the last sign of one of Spine's. None otherwise, and for replayed traffic."""

    @property
    def answering(self) -> int | None:
        """Servers that answer requests; None where they are not Spine's, so that their number is not known."""
        return None if not self.up and self.recorded_ns is not None else self.up


class Uptime:
    """The uptime of one server, recorded by its trace writer."""

    def __init__(
        self,
        meter: CostMeter,
        *,
        clock: Callable[[], int] = time.time_ns,
        passed: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._meter = meter
        self._clock, self._passed = clock, passed
        self._server = secrets.token_hex(8)
        self._part = 1
        self._began, self._since = clock(), passed()
        self._replayed: dict[int, tuple[int, int]] = {}
        """Simulated day since the epoch → its first request and its last."""

    def record(self, tx: Transaction, traces: Iterable[Trace]) -> None:
        """Extend the server's row to now; and those of its replayed traffic, whose times are simulated."""
        tx.batch(self.statements(traces))

    def statements(self, traces: Iterable[Trace]) -> list[tuple[str, Params]]:
        """Return the statements of ``record``."""
        found: list[tuple[str, Params]] = [(_UPSERT, self._row(self._part, *self._span(), simulated=False))]
        touched = set()
        for trace in traces:
            if trace.source == "replay":
                # A row for each day, so that one request at a stray time does not make years of uptime.
                day, first, last = trace.started_ns // _DAY_NS, trace.started_ns, trace.started_ns + _ns(trace.seconds)
                before = self._replayed.get(day, (first, last))
                self._replayed[day] = min(before[0], first), max(before[1], last)
                touched.add(day)
        found += [(_UPSERT, self._row(-1 - day, *self._replayed[day], simulated=True)) for day in sorted(touched)]
        return found

    def _span(self) -> tuple[int, int]:
        """Return the current row's begin and end, by the time that passed and not by a clock that may be set."""
        now, end = self._clock(), self._began + self._passed() - self._since
        if abs(now - end) > _STEP_NS:
            self._part += 1
            self._began, self._since = now, self._passed()
            return now, now
        return self._began, end

    def _row(self, part: int, began: int, seen: int, *, simulated: bool) -> tuple[int | float | str | None, ...]:
        meter = self._meter
        terms = (meter.rate_per_hour, meter.currency, meter.price_version)
        return (self._server, part, began, seen, *terms, int(simulated))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def uptime_of(database: Database, since_ns: int, until_ns: int) -> tuple[Up, ...]:
    """Return the recorded uptime within a span, cut off at its ends; empty in a store that never recorded any."""
    rows = _rows(database, _READ, (until_ns, since_ns))
    return tuple(
        Up(
            began_ns=max(began, since_ns),
            seen_ns=min(seen, until_ns),
            rate_per_hour=rate,
            currency=currency,
            price_version=version,
            simulated=bool(simulated),
        )
        for began, seen, rate, currency, version, simulated in rows
    )


def servers_of(database: Database, at_ns: int) -> Servers:
    """Return how many servers are up at a moment, when one was last seen, and whether others answer requests.

    Replayed traffic is no server.
    """
    # A server's clock may be a little ahead of the reader's: its row has to be found all the same.
    seen = [int(seen) for _, seen in _rows(database, _SERVERS, (at_ns + LATE_NS,))]
    up = sum(last >= at_ns - LATE_NS for last in seen)
    # A server's own requests begin before it was last seen; a minute is allowed for clocks that differ.
    known_ns = max([at_ns - RECENT_NS, *(last + _STEP_NS for last in seen)])
    newest = [] if up else _rows(database, _NEWEST, (known_ns, at_ns + LATE_NS))
    recorded = next((int(ns) for (ns,) in newest if ns is not None), None)
    return Servers(up=up, seen_ns=min(max(seen), at_ns) if seen else None, recorded_ns=recorded)


def _rows(database: Database, query: str, params: Params) -> list[tuple[Any, ...]]:
    """Read from the table; empty in a store that never recorded any uptime."""
    try:
        return database.read(query, params)
    except StorageError as error:
        if error.kind != "absent" and "no such table: uptime" not in error.message:
            raise
        return []
