"""How fast requests come to each arm, now and by minute, and how many a plainly bad canary would answer.

Copies for a shadow are in no roll-up of minutes, so a shadow has no pace. It judges nothing, and does not know
which weight is a good one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec

from miniobserve.daily import DAY_NS, day_range
from miniobserve.reader import TraceReader
from modelspine.errors import SpineError
from modelspine.ledger.route import FULL, Guard, Route
from modelspine.ledger.store import storage_errors
from modelspine.times import ledger_time, nanoseconds
from modelspine.traffic.canary import FAILS

MINUTES = 30
"""Minutes that are counted one by one."""
NEWEST = 2
"""Minutes that ``per_second`` is taken over, the one that has begun included."""
_MINUTE = 60_000_000_000
_NS = 1_000_000_000
_HOUR = 3_600 * _NS


class ArmPace(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of one arm."""

    name: str
    sha: str
    per_second: float
    minutes: tuple[int, ...]
    """Requests in each of the last ``MINUTES`` minutes, oldest first."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The arms of a route, up to a moment."""

    until: str
    """Now; or, where nothing came in the last ``MINUTES`` minutes, the end of the minute of the last request."""
    quiet: bool
    """True where that is not now."""
    arms: tuple[ArmPace, ...]


def pace(traces: TraceReader, route: Route, now: datetime) -> Pace:
    """How fast requests come to the arms of a route. Reads a few roll-ups, however many traces there are.

    Args:
        traces: the trace store.
        route: its epoch says when the last request came; replayed ones may lie far from the clock.
        now: the present, or the moment that is asked about.
    """
    present = nanoseconds(now)
    evidence = traces.evidence
    span = evidence.span(route.epoch, present + _MINUTE) or evidence.span(route.epoch)
    quiet = span is not None and not -_MINUTE <= present - span[1] < MINUTES * _MINUTE
    end = (span[1] // _MINUTE + 1) * _MINUTE if span is not None and quiet else present
    newest = (end - 1) // _MINUTE
    first = newest - MINUTES + 1
    counts = {arm.name: [0] * MINUTES for arm in route.learners}
    shas = {arm.name: arm.sha for arm in route.learners}
    for minute in traces.minutes(first * _MINUTE, end):
        if shas.get(minute.arm) == minute.sha:
            counts[minute.arm][minute.minute_ns // _MINUTE - first] += minute.n
    seconds = (end - (newest - NEWEST + 1) * _MINUTE) / 1e9
    arms = tuple(
        ArmPace(name=name, sha=shas[name], per_second=sum(found[-NEWEST:]) / seconds, minutes=tuple(found))
        for name, found in counts.items()
    )
    return Pace(until=ledger_time(end), quiet=quiet, arms=arms)


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Weight x rate x interval x limit."""

    weight_bp: int
    window_seconds: int
    requests_per_second: float | None
    """None where nobody knows it; it counts as 1."""

    @property
    def answers(self) -> float:
        """Answers a bad candidate gives at the least before it can be aborted."""
        seen = 1.0 if self.requests_per_second is None else self.requests_per_second
        return self.weight_bp / FULL * seen * self.window_seconds * FAILS

    @property
    def told(self) -> str:
        """It in words."""
        seen = self.requests_per_second
        of = "a rate nobody knows yet (counted as 1/s)" if seen is None else f"{seen:.2g} requests/s"
        share = f"{100 * self.weight_bp / FULL:g} %"
        interval = f"{FAILS} windows of {self.window_seconds} s"
        answers = "less than one answer" if self.answers < 1 else f"{self.answers:,.1f} answers"
        return f"{share} of {of} over {interval} = {answers} before an abort"


def worst(weight_bp: int, guard: Guard, per_second: float | None) -> Exposure:
    """The exposure of a weight under a guard, at a rate of requests."""
    return Exposure(weight_bp=weight_bp, window_seconds=guard.window_seconds, requests_per_second=per_second)


def rate(traces: TraceReader) -> float | None:
    """Requests a second in the busiest hour of the last day that had any, and the day before; None: there is none.

    However long ago that is: replayed requests carry simulated times, and nobody knows a better figure. The newest
    hour need not be over, and counts from its first request to its last.
    """
    day = traces.requests.last_day()
    if day is None:
        return None
    since, until = day_range(day)
    minutes = traces.minutes(since - DAY_NS, until)
    if not minutes:
        return None
    hours = Counter[int]()
    for minute in minutes:
        hours[minute.minute_ns // _HOUR] += minute.n
    newest = [minute.minute_ns for minute in minutes if minute.minute_ns // _HOUR == minutes[-1].minute_ns // _HOUR]
    lately = hours[newest[0] // _HOUR] / (newest[-1] + 60 * _NS - newest[0])
    return max(lately, max(hours.values()) / _HOUR) * _NS


def known_rate(opened: Callable[[], TraceReader]) -> float | None:
    """The rate, or None as well where the trace store (which ``opened`` gives) cannot be read."""
    try:
        with storage_errors():
            return rate(opened())
    except SpineError:
        return None
