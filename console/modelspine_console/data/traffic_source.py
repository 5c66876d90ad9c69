"""What the Traffic screen reads from core: the route with its epochs and request rate, and the report of an epoch.

Reading the route costs the same however many traces there are; a report, and the verdict on a canary, read the whole
epoch and are therefore read less often. Part of ``data.source``; it does not know the screen.
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
from modelspine.overview.glance import servers as running
from modelspine.release.eligibility import denied, route_denied
from modelspine.text import visible
from modelspine.times import after_ns
from modelspine.traffic.canary import consider_or_error
from modelspine.traffic.epochs import Epoch, epochs
from modelspine.traffic.operator_notes import recent_notes
from modelspine.traffic.request_rate import pace
from modelspine_console.data.jobs import Absent

if TYPE_CHECKING:
    from miniobserve.traces import Found
    from modelspine.spine import Spine
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.request_rate import Pace
    from modelspine.traffic.rollout_report import RouteReport

_REST = 10
"""A report is read again after this many times the time it took, so reading takes at most a tenth of the time."""
_HOW = "`spine serve` writes them from its first answer on; if there were some, restore a backup"
JUDGED = "judged"
_TAIL = 60
"""Requests in the live list."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """A route, and everything about it that is cheap to read."""

    epochs: tuple[Epoch, ...]
    """Newest first; empty before anything is routed."""
    shown: Epoch | None
    """The epoch that was requested, else the newest one."""
    pace: Pace | None
    servers: int | None = None
    """Servers that are running; None for a past moment or epoch, for another server than Spine's, or where
    traces cannot be read."""
    decision: Decision | None = None
    """The decision on the canary. It takes as long as the report, so ``traffic`` leaves it out; the screen adds it."""
    notes: tuple[str, ...] | None = None
    """Those of ``Reading``, which the screen adds too; None where they were not read."""
    problem: str
    """Why there are no figures from traces; empty if there are."""
    hint: str
    untraced: bool
    """True if the problem is only that there are no traces."""
    denied: dict[str, dict[str, str]]
    """SHA of each arm → verb → why it would be refused; verbs of the rollout are under the empty string, and under
    ``JUDGED`` where the canary's verdict is ``pass``."""

    def refused(self, action: str) -> str | None:
        """Why a change of the rollout would be refused; None if it is allowed."""
        passed = self.decision is not None and self.decision.judged is not None
        return self.denied[JUDGED if passed else ""].get(action)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A report, with when it was read and how long that took."""

    report: RouteReport
    decision: Decision | None
    """The decision on the canary, if its epoch is the current one."""
    notes: tuple[str, ...] | None = None
    """Arms of the current route that fail, and heavy units, as ``spine route show`` says; None where a canary is
    judged, or where the report is of the past."""
    moment: str | None = None
    """The moment it describes; None for the present."""
    at: datetime
    took: timedelta

    def rested(self, now: datetime) -> bool:
        """Whether it is due to be read again."""
        return now - self.at >= _REST * self.took


class TrafficSource:
    """Reads for the Traffic screen; a part of ``Source``."""

    _spine: Spine
    at: str | None

    def traffic(self, epoch: int | None, now: datetime) -> Traffic:
        """The route of an epoch, or the current one at the moment that is shown."""
        registry = self._spine.registry
        state = registry.state(self.at)
        found = tuple(epochs(state, registry.events()))
        shown = next((each for each in found if each.number == epoch), found[0] if found else None)
        now_active = found[0].number if found else None
        refused = {"": route_denied(state), JUDGED: route_denied(state, now_active)}
        measured: Pace | None = None
        servers: int | None = None
        problem, hint, untraced = "", "", False
        if shown is not None:
            own = self._spine.settings
            arms = shown.route.arms
            refused |= {arm.sha: denied(state, arm.sha, own.env, service=own.service) for arm in arms}
            ended = shown.until or self.at
            try:
                servers = running(self._spine, now).answering if ended is None else None
                with self.reading():
                    moment = datetime.fromisoformat(ended) if ended is not None else now
                    measured = pace(self._spine.traces, shown.route, moment)
            except SpineError as error:
                problem, hint, untraced = error.message, error.hint, isinstance(error, Absent)
        return Traffic(
            epochs=found, shown=shown, pace=measured, servers=servers, problem=problem, hint=hint, untraced=untraced,
            denied=refused,
        )  # fmt: skip

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Translate errors while traces are read.

        Raises:
            Absent: the settings name a file that does not exist.
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
        """The newest traces, up to the moment that is shown or the end of an epoch."""
        ends = [at for at in (until, self.at) if at is not None]
        before = after_ns(min(ends)) if ends else None
        with self.reading():
            return self._spine.traces.list(limit=_TAIL, before_ns=before)

    def report(self, epoch: Epoch, clock: Callable[[], datetime]) -> Reading:
        """The report of ``spine route report`` on an epoch, and the decision of ``spine route show`` on its canary."""
        from modelspine.traffic.rollout_report import route_report

        began, moment = clock(), self.at
        with self.reading():
            registry = self._spine.registry
            state, events = registry.state(moment), registry.events()
            # A moment of replayed requests may lie before the ledger's events; the epoch itself is known all the same.
            known = epochs(state, events) or [epoch]
            # A past epoch is reported by itself, as `spine route report --epoch` does; the newest one together with its
            # whole rollout.
            alone = epoch.number != known[0].number
            report = route_report(
                self._spine.traces, known, events[: state.seq], epoch, now=began, at=moment, alone=alone
            )
        decision = None
        if epoch.until is None and moment is None:
            decision, _ = consider_or_error(lambda: self._spine.traces, epoch.route, epoch.since, began)
        notes: tuple[str, ...] | None = None
        if epoch.until is None and moment is None and epoch.route.ladder is None:
            with self.reading():
                notes = tuple(recent_notes(self._spine.traces.evidence, epoch.route, began))
        ended = clock()
        return Reading(report=report, decision=decision, notes=notes, moment=moment, at=ended, took=ended - began)
