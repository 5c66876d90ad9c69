"""How fast requests come to each arm: requests a second now, and by minute, from the roll-up of minutes.

Copies for a shadow are in no roll-up of minutes, so a shadow has no pace. It judges nothing.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from miniobserve.reader import TraceReader
from modelspine.ledger.route import Route
from modelspine.times import nanoseconds, of_ns

MINUTES = 30
"""Minutes that are counted one by one."""
NEWEST = 2
"""Minutes that ``per_second`` is taken over, the one that has begun included."""
_MINUTE = 60_000_000_000


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
    return Pace(until=of_ns(end), quiet=quiet, arms=arms)
