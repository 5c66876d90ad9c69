"""What the Traffic screen asks of core: the route with its epochs and pace at each look, and an epoch's report.

A look costs the same however many traces and learners there are; a report, and the verdict on a canary, read the
whole epoch and are asked for less often where that takes long.
Part of ``data.source``; it does not know a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelspine.errors import SpineError
from modelspine.ledger.store import storage_errors
from modelspine.release.eligibility import denied, route_denied
from modelspine.text import visible
from modelspine.times import after_ns
from modelspine.traffic.canary import consider_or_error
from modelspine.traffic.epochs import Epoch, epochs
from modelspine.traffic.request_rate import pace
from modelspine_console.data.jobs import Absent

if TYPE_CHECKING:
    from miniobserve.traces import Found
    from modelspine.spine import Spine
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.report import RouteReport
    from modelspine.traffic.request_rate import Pace

_REST = 10
"""A report rests this many times as long as it took to read."""
_HOW = "`spine serve` writes them from its first answer on; where there were some, restore a backup"
_TAIL = 60
"""Requests in a live list."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """A route, and everything about it that is cheap to know."""

    epochs: tuple[Epoch, ...]
    """Newest first; none before anything was routed."""
    shown: Epoch | None
    """The epoch that was asked for, else the newest one."""
    pace: Pace | None
    decision: Decision | None = None
    """What was decided on the canary when its report was read; a look leaves it open."""
    problem: str
    """Why the traces say nothing; empty where they do."""
    hint: str
    untraced: bool
    """True where that is because there are none."""
    denied: dict[str, dict[str, str]]
    """SHA of each arm → verb → why it would be refused; the route's own verbs stand under nothing."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A report, when it was read and how long that took."""

    report: RouteReport
    decision: Decision | None
    """On the canary, where its epoch is in force now."""
    moment: str | None = None
    """The moment it is as of; None for now."""
    at: datetime
    took: timedelta

    def rested(self, now: datetime) -> bool:
        """Whether it may be read again: where reading takes long, that is seldom."""
        return now - self.at >= _REST * self.took


class TrafficSource:
    """The reads; mixed into the source."""

    _spine: Spine
    at: str | None

    def traffic(self, epoch: int | None, now: datetime) -> Traffic:
        """The route in force at the moment shown, or the one an epoch had."""
        registry = self._spine.registry
        state = registry.state(self.at)
        found = tuple(epochs(state, registry.events()))
        shown = next((each for each in found if each.number == epoch), found[0] if found else None)
        refused = {"": route_denied(state)}
        measured = None
        problem, hint, untraced = "", "", False
        if shown is not None:
            refused |= {arm.sha: denied(state, arm.sha, self._spine.settings.env) for arm in shown.route.arms}
            ended = shown.until or self.at
            try:
                with self.reading():
                    moment = datetime.fromisoformat(ended) if ended is not None else now
                    measured = pace(self._spine.traces, shown.route, moment)
            except SpineError as error:
                problem, hint, untraced = error.message, error.hint, isinstance(error, Absent)
        return Traffic(
            epochs=found,
            shown=shown,
            pace=measured,
            problem=problem,
            hint=hint,
            untraced=untraced,
            denied=refused,
        )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the traces.

        Raises:
            Absent: there are none where the settings say they are.
            Unavailable, Damaged: they cannot be read.
        """
        try:
            with storage_errors():
                yield
        except SpineError as error:
            url: str = self._spine.settings.traces
            file = Path(url.removeprefix("sqlite:///"))
            if not url.startswith("sqlite:///") or file.exists():
                raise
            raise Absent(f"there are no traces at {visible(str(file))}", _HOW) from error

    def newest(self, until: str | None) -> Found:
        """The newest traces, up to the moment shown or the end of an epoch."""
        ends = [at for at in (until, self.at) if at is not None]
        before = after_ns(min(ends)) if ends else None
        with self.reading():
            return self._spine.traces.list(limit=_TAIL, before_ns=before)

    def report(self, epoch: Epoch, clock: Callable[[], datetime]) -> Reading:
        """What the arms of an epoch did, as ``spine route report`` tells it, and what ``spine route show`` decides."""
        from modelspine.traffic.report import route_report

        began, moment = clock(), self.at
        with self.reading():
            report = route_report(self._spine.traces.evidence, epoch.route, epoch.since, at=moment)
        decision = None
        if epoch.until is None and moment is None:
            decision, _ = consider_or_error(lambda: self._spine.traces, epoch.route, epoch.since, began)
        ended = clock()
        return Reading(report=report, decision=decision, moment=moment, at=ended, took=ended - began)
