"""The request rate of each arm, now and by minute, and the blast radius of a bad canary.

The per-minute roll-up leaves out shadow copies, so a shadow arm has no rate. It judges nothing and does not know
which weight is appropriate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from miniobserve.daily import DAY_NS, day_range
from miniobserve.reader import Minute, TraceReader
from modelspine.errors import SpineError
from modelspine.ledger.route import FULL, Guard, Route
from modelspine.ledger.store import storage_errors
from modelspine.times import ledger_time, nanoseconds
from modelspine.traffic.canary import FAILS
from modelspine.traffic.epoch_scope import TOLERANCE_NS

MINUTES = 30
"""How many minutes are counted one by one."""
NEWEST = 2
"""Over how many minutes ``per_second`` is taken, including the current one: one minute alone may have just begun."""
_MINUTE = 60_000_000_000
_NS = 1_000_000_000
_HOUR = 3_600 * _NS


class ArmPace(msgspec.Struct, frozen=True, kw_only=True):
    """The request rate of one arm."""

    name: str
    sha: str
    per_second: float
    minutes: tuple[int, ...]
    """Requests in each of the last ``MINUTES`` minutes, oldest first."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The request rates of a route's arms up to a moment."""

    until: str
    """The present; of replayed traffic that is elsewhere in time, the end of the minute of its last request."""
    quiet: bool
    """True where ``until`` is not the present, so that no rate is one of now."""
    arms: tuple[ArmPace, ...]
    last: str | None = None
    """When the epoch's last request started, by the ledger's format; None before the first one."""
    replayed: bool = False
    """Whether that request was replayed, so that its time is simulated."""

    @property
    def per_second(self) -> float:
        """The request rate of all arms."""
        return sum(arm.per_second for arm in self.arms)


def pace(traces: TraceReader, route: Route, now: datetime) -> Pace:
    """Measure the request rate of a route's arms. Reads only per-minute totals, however many traces there are.

    Args:
        traces: the trace store.
        route: the route; where its last request was replayed to a time that is not the present, the counts end there.
            Those of live traffic always end at the present, so that no past rate is shown as one of now.
        now: the present, or the moment of interest.
    """
    present = nanoseconds(now)
    evidence = traces.evidence
    last = evidence.last(route.epoch, present + _MINUTE)
    replayed = last is not None and traces.recent.is_replayed(*last)
    if last is None:  # only replay may put the requests of an epoch behind the present
        ahead = evidence.last(route.epoch)
        replayed = ahead is not None and traces.recent.is_replayed(*ahead)
        last = ahead if replayed else None
    quiet = last is not None and replayed and not -_MINUTE <= present - last[1] < MINUTES * _MINUTE
    end = (last[1] // _MINUTE + 1) * _MINUTE if last is not None and quiet else present
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
    return Pace(
        until=ledger_time(end),
        quiet=quiet,
        arms=arms,
        last=None if last is None else ledger_time(last[1]),
        replayed=replayed,
    )


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """The blast radius of a canary: weight × request rate × window length × windows before an abort."""

    weight_bp: int
    window_seconds: int
    requests_per_second: float | None
    """None where it is unknown; then 1 is assumed."""

    @property
    def answers(self) -> float:
        """How many answers a bad candidate gives before it can be aborted."""
        per_second = 1.0 if self.requests_per_second is None else self.requests_per_second
        return self.weight_bp / FULL * per_second * self.window_seconds * FAILS

    @property
    def summary(self) -> str:
        """The calculation as one line of text."""
        per_second = self.requests_per_second
        rate = "an unknown rate (assumed 1 request/s)"
        if per_second is not None:
            rate = f"the {per_second:.2g} requests/s of the busiest recent hour"
        share = f"{100 * self.weight_bp / FULL:g} %"
        interval = f"{FAILS} windows of {self.window_seconds} s"
        answers = "less than one answer" if self.answers < 1 else f"{self.answers:,.1f} answers"
        return f"{share} of {rate} over {interval} = {answers} before an abort"


def blast_radius(weight_bp: int, guard: Guard, per_second: float | None) -> Exposure:
    """The blast radius of a canary at a weight, under a guard and at a request rate."""
    return Exposure(weight_bp=weight_bp, window_seconds=guard.window_seconds, requests_per_second=per_second)


def rate(traces: TraceReader, now: datetime | None = None) -> float | None:
    """Requests per second in the busiest hour of the last two days up to the last request; None without requests.

    A request dated after ``now`` (by default the present) does not count: one wrong time would hide all others. Those
    days may be long past, as replayed requests carry simulated times and there is no better estimate. The newest hour
    may be incomplete, so its rate is taken from its first minute with a request to its last.
    """
    present = nanoseconds(now or datetime.now(UTC)) + TOLERANCE_NS
    day = traces.requests.last_day(present)
    minutes = _two_days(traces, day, present)
    if day is not None and not minutes:  # only testers asked then, and they are in no rate
        minutes = _two_days(
            traces, next((day for day, _ in reversed(traces.requests.answered(present))), None), present
        )
    if not minutes:
        return None
    hours = Counter[int]()
    for minute in minutes:
        hours[minute.minute_ns // _HOUR] += minute.n
    newest = [minute.minute_ns for minute in minutes if minute.minute_ns // _HOUR == minutes[-1].minute_ns // _HOUR]
    newest_hour = hours[newest[0] // _HOUR] / (newest[-1] + _MINUTE - newest[0])
    return max(newest_hour, max(hours.values()) / _HOUR) * _NS


def _two_days(traces: TraceReader, day: str | None, present: int) -> tuple[Minute, ...]:
    """The minutes of a day and the one before it, up to the present."""
    if day is None:
        return ()
    since, until = day_range(day)
    return traces.minutes(since - DAY_NS, min(until, present))


def known_rate(opened: Callable[[], TraceReader]) -> float | None:
    """The request rate of the trace store that ``opened`` opens; None as well where it cannot be read."""
    try:
        with storage_errors():
            return rate(opened())
    except SpineError:
        return None
