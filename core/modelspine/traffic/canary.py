"""The canary controller: it judges an epoch's traces and advances or aborts the canary by one ledger event.

Every replica may run it; there is no leader. A decision depends only on the ledger and the traces. Its event has
the idempotency key (epoch, window) and names the seq it is based on, so one replica's append wins and the others
find it done. Nothing is stored between calls. It does not know how often it is called or which server runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Literal

import msgspec

from miniobserve.evidence import Evidence
from miniobserve.reader import TraceReader
from modelspine.errors import Conflict, Refused, SpineError
from modelspine.ledger.route import Ladder, Route
from modelspine.ledger.store import storage_errors
from modelspine.stats import SRM_ALARM, SRM_UNITS, mismatch
from modelspine.times import nanoseconds
from modelspine.traffic.commands import Routing
from modelspine.traffic.noninferiority import WORDS, Judgement, Result, judge, measure_of, side

FAILS = 2
"""Consecutive windows with the verdict ``fail`` after which the canary is aborted."""
ERRORS = 4
"""The same for ``error``: more of them, as a trace store that cannot be read may be back soon."""
_NS = 1_000_000_000


class Window(msgspec.Struct, frozen=True):
    """A fixed-length interval of an epoch with at least one request; it is judged on all requests up to its end."""

    number: int
    before_ns: int
    """Its end, exclusive."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long an epoch has lasted, and its most recent windows with requests, newest first."""

    seconds: float
    windows: tuple[Window, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a canary, and why."""

    action: Literal["hold", "advance", "abort"]
    verdict: Result
    reason: str
    waits_for: tuple[str, ...]
    """The conditions of the next step that are not met yet."""
    epoch: int
    window: int
    judgement: Judgement | None = None
    """None where the traces could not be read."""
    seq: int | None = None
    """The event appended for it; None where there was nothing to append or another process changed the ledger."""

    @property
    def key(self) -> str:
        """The idempotency key of its event."""
        return f"canary-{self.epoch}-{self.window}"


def decide(route: Route, judgement: Judgement, history: Sequence[Result], *, seconds: float, window: int) -> Decision:
    """Decide what to do about a canary.

    Args:
        route: the canary's route.
        judgement: the judgement on the whole epoch so far.
        history: the verdicts at the ends of earlier windows, newest first; windows without requests are left out.
        seconds: how long the epoch has lasted.
        window: the number of this window.

    Raises:
        ValueError: the route is not a canary.
    """
    ladder = route.ladder
    if ladder is None:
        raise ValueError("the route is not a canary")
    verdict, reason = judgement.verdict, judgement.reason
    consecutive = 1 + sum(1 for _ in takewhile(lambda earlier: earlier == verdict, history))
    limit = {"fail": FAILS, "error": ERRORS}.get(verdict)
    waits = waits_for(ladder, judgement, seconds)
    if limit is not None and consecutive >= limit:
        action: Literal["hold", "advance", "abort"] = "abort"
        reason = f"{reason}; {consecutive} consecutive windows"
    else:
        action = "hold" if waits else "advance"
    return Decision(
        action=action,
        verdict=verdict,
        reason=reason,
        waits_for=waits,
        epoch=route.epoch,
        window=window,
        judgement=judgement,
    )


def waits_for(ladder: Ladder, judgement: Judgement, seconds: float) -> tuple[str, ...]:
    """The unmet conditions of the next step as text; empty where the canary may advance."""
    step = ladder.steps[ladder.at]
    missing = []
    if not ladder.auto:
        missing.append("a manual advance, as its weight was set by hand (`spine route advance`)")
    if seconds < step.min_seconds:
        missing.append(f"{max(1, round(step.min_seconds - seconds)):,} more seconds")
    if judgement.samples < step.min_samples:
        missing.append(f"{step.min_samples - judgement.samples:,} more {WORDS[judgement.measure]}")
    if judgement.verdict != "pass":
        missing.append("verdict pass")
    return tuple(missing)


def timing(evidence: Evidence, route: Route, since_ns: int, now_ns: int, window_seconds: int) -> Timing:
    """Measure an epoch's duration and its most recent windows by its traces.

    Replayed requests carry simulated time. Where that lies before the epoch or after the present, the first and the
    last request define the start and the present.

    Args:
        evidence: the trace store's evidence.
        route: the epoch's route.
        since_ns: when the epoch was opened.
        now_ns: the present.
        window_seconds: the length of a window.
    """
    span = evidence.span(route.epoch)
    if span is None:
        return Timing(seconds=(now_ns - since_ns) / _NS, windows=())
    first, last = span
    # One second of tolerance: the clock of another replica may run ahead.
    simulated = last < since_ns or last > now_ns + _NS
    start, present = (first, last) if simulated else (since_ns, now_ns)
    width = window_seconds * _NS
    windows: list[Window] = []
    # No decision looks back further than ``ERRORS`` windows. Jumping from one request back to the latest before its
    # window skips empty windows without a query for each.
    while len(windows) < ERRORS:
        number = (last - start) // width
        end = start + (number + 1) * width
        windows.append(Window(number, end))
        earlier = evidence.span(route.epoch, start + number * width)
        if earlier is None:
            break
        last = earlier[1]
    return Timing(seconds=(present - start) / _NS, windows=tuple(windows))


def look(evidence: Evidence, route: Route, before_ns: int) -> Judgement:
    """Judge an epoch on its requests that started before a moment.

    Raises:
        ValueError: the route is not a canary.
    """
    ladder, arm = route.ladder, route.candidate
    if ladder is None or arm is None:
        raise ValueError("the route is not a canary")
    units = evidence.units(route.epoch, before_ns)
    measure = measure_of(units)
    said = evidence.said(route.epoch, before_ns) if measure == "accepted" else []
    stable, candidate = (side(name, units, said, measure) for name in (route.stable.name, arm.name))
    found = judge(ladder.guard, stable, candidate, measure)
    counts, weights = [stable.units, candidate.units], [each.weight_bp for each in route.learners]
    # A wrong split means that assignment or tracing lost units, and lost units may be the bad ones. So it blocks a
    # pass, but never softens a fail.
    if found.verdict == "pass" and sum(counts) >= SRM_UNITS and mismatch(counts, weights) > SRM_ALARM:
        reason = f"{counts[1]:,} of {sum(counts):,} learners at a weight of {arm.weight_bp / 100:g} %"
        return msgspec.structs.replace(found, verdict="inconclusive", reason=f"sample-ratio mismatch: {reason}")
    return found


def consider(evidence: Evidence, route: Route, since_ns: int, now: datetime) -> Decision:
    """Decide what follows from an epoch's traces now; writes nothing.

    Args:
        evidence: the trace store's evidence.
        route: a canary's route.
        since_ns: when its epoch was opened.
        now: the present.

    Raises:
        ValueError: the route is not a canary.
    """
    if route.ladder is None:
        raise ValueError("the route is not a canary")
    clock = timing(evidence, route, since_ns, nanoseconds(now), route.ladder.guard.window_seconds)
    newest = clock.windows[0] if clock.windows else Window(0, nanoseconds(now))
    judgement = look(evidence, route, newest.before_ns)
    history: list[Result] = []
    # Only ``fail`` and ``error`` are counted over consecutive windows; each earlier judgement reads the traces again.
    for window in clock.windows[1:] if judgement.verdict in ("fail", "error") else ():
        verdict = look(evidence, route, window.before_ns).verdict
        history.append(verdict)
        if verdict != judgement.verdict:
            break
    return decide(route, judgement, history, seconds=clock.seconds, window=newest.number)


def tick(routing: Routing, traces: TraceReader, now: datetime, *, blind: float = 0.0) -> Decision | None:
    """Judge the current canary once and act on it; None where there is no canary.

    Losing the race to another replica is no failure: the decision is returned without a seq. Traces that cannot be
    read give the verdict ``error`` without a judgement.

    Args:
        routing: the routing of a registry that is open for writing.
        traces: the trace store that all replicas share.
        now: the present, timezone-aware.
        blind: for how many seconds the traces could not be read; after ``ERRORS`` windows the canary is aborted.

    Raises:
        Unavailable, Damaged: the ledger could not be read or written, or a bundle does not match its SHA.
    """
    registry = routing.registry
    state = registry.state()
    route = state.route
    if route is None or route.strategy != "canary" or route.ladder is None:
        return None
    since_ns = nanoseconds(registry.events()[route.epoch - 1].at)
    try:
        with storage_errors():
            decision = consider(traces.evidence, route, since_ns, now)
    except SpineError as error:
        decision = _unreadable(route, since_ns, now, blind, error.message)
    if decision.action == "hold":
        return decision
    change = routing.advance if decision.action == "advance" else routing.abort
    try:
        done = change(reason=f"canary {decision.verdict}: {decision.reason}", expected=state.seq, key=decision.key)
    except (Conflict, Refused):  # another replica or a person changed the route first; their event stands
        return decision
    return msgspec.structs.replace(decision, seq=done.seq) if done.created else decision


def consider_or_error(
    opened: Callable[[], TraceReader], route: Route, since: str, now: datetime
) -> tuple[Decision | None, str | None]:
    """A canary's decision now, or the error that prevented it; both None where the route is not a canary.

    Args:
        opened: opens the trace store; may raise what a read raises.
        route: the active route.
        since: when its epoch was opened, as the ledger writes it.
        now: the present.
    """
    if route.ladder is None:
        return None, None
    try:
        with storage_errors():
            return consider(opened().evidence, route, nanoseconds(since), now), None
    except SpineError as error:
        return None, error.message


def _unreadable(route: Route, since_ns: int, now: datetime, blind: float, why: str) -> Decision:
    """Hold while traces cannot be read, and abort once nobody could watch the canary for too long."""
    width = route.ladder.guard.window_seconds if route.ladder is not None else 1
    return Decision(
        action="abort" if blind >= ERRORS * width else "hold",
        verdict="error",
        reason=f"its traces could not be read{f' for {blind:.0f} s' if blind else ''}: {why}"[:200],
        waits_for=("readable traces",),
        epoch=route.epoch,
        window=(nanoseconds(now) - since_ns) // (width * _NS),
    )
