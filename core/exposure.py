"""The worst exposure of a canary: how many answers even a plainly broken one gives before it can be aborted.

It does not know which weight is a good one, and stops nobody.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core.canary import FAILS
from core.errors import SpineError
from core.ledger import storage_errors
from core.traffic import FULL, Guard
from miniobserve.daily import DAY_NS, day_range
from miniobserve.reader import TraceReader

_NS = 1_000_000_000


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
        return f"{share} of {of} over {interval} = {self.answers:,.1f} answers before an abort"


def worst(weight_bp: int, guard: Guard, per_second: float | None) -> Exposure:
    """The exposure of a weight under a guard, at a rate of requests."""
    return Exposure(weight_bp=weight_bp, window_seconds=guard.window_seconds, requests_per_second=per_second)


def rate(traces: TraceReader) -> float | None:
    """Requests a second in the last hour that had any; None where there was none.

    However long ago that is: replayed requests carry simulated times, and nobody knows a better figure.
    """
    day = traces.requests.last_day()
    if day is None:
        return None
    since, until = day_range(day)
    minutes = traces.minutes(since - DAY_NS, until)
    if not minutes:
        return None
    newest = minutes[-1].minute_ns
    hour = [minute for minute in minutes if minute.minute_ns > newest - 3_600 * _NS]
    return sum(minute.n for minute in hour) / (newest + 60 * _NS - hour[0].minute_ns) * _NS


def known_rate(opened: Callable[[], TraceReader]) -> float | None:
    """The rate, or None as well where the trace store (which ``opened`` gives) cannot be read."""
    try:
        with storage_errors():
            return rate(opened())
    except SpineError:
        return None
