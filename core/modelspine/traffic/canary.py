"""The canary's controller: what an epoch showed, what follows from it, and the one event that makes it so.

Every replica may run it and there is no leader: a decision is a function of the ledger and the traces, its event's
key is (epoch, window) and it names the seq it was decided on, so one append wins and the others find it done.
Nothing is stored between two looks. It does not know how often it is called, nor who serves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
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
"""Windows in a row with the verdict ``fail`` that abort."""
ERRORS = 4
"""Windows in a row with the verdict ``error`` that do."""
_NS = 1_000_000_000


class Window(msgspec.Struct, frozen=True):
    """A stretch of an epoch in which there were requests; what it shows is everything up to its end."""

    number: int
    before_ns: int


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long an epoch has lasted, and its newest windows with requests, the newest first."""

    seconds: float
    windows: tuple[Window, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an epoch so far."""

    action: Literal["hold", "advance", "abort"]
    verdict: Result
    reason: str
    waits_for: tuple[str, ...]
    """What is missing before the next step."""
    epoch: int
    window: int
    judgement: Judgement | None = None
    """None where the traces could not be read."""
    seq: int | None = None
    """The event that was made of it; None where nothing was, or somebody else had moved the ledger."""

    @property
    def key(self) -> str:
        """The idempotency key of its event."""
        return f"canary-{self.epoch}-{self.window}"


def decide(route: Route, judgement: Judgement, history: Sequence[Result], *, seconds: float, window: int) -> Decision:
    """What to do about a canary.

    Args:
        route: the canary's route.
        judgement: on all of the epoch so far.
        history: the verdicts at the ends of the windows before this one, the newest first; empty windows left out.
        seconds: how long the epoch has lasted.
        window: the number of this window.
    """
    ladder = route.ladder
    if ladder is None:
        raise ValueError("only a canary is decided on")
    verdict, reason = judgement.verdict, judgement.reason
    row = 1
    for earlier in history:
        if earlier != verdict:
            break
        row += 1
    limit = {"fail": FAILS, "error": ERRORS}.get(verdict)
    waits = waits_for(ladder, judgement, seconds)
    if limit is not None and row >= limit:
        action: Literal["hold", "advance", "abort"] = "abort"
        reason = f"{reason}; {row} windows in a row"
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
    """What is missing before the next step, in words; empty where nothing is."""
    step = ladder.steps[ladder.at]
    missing = []
    if not ladder.auto:
        missing.append("somebody: its weight was set by hand (`spine route advance`)")
    if seconds < step.min_seconds:
        missing.append(f"{max(1, round(step.min_seconds - seconds)):,} more seconds")
    if judgement.samples < step.min_samples:
        missing.append(f"{step.min_samples - judgement.samples:,} more {WORDS[judgement.measure]}")
    if judgement.verdict != "pass":
        missing.append("the verdict pass")
    return tuple(missing)


def timing(evidence: Evidence, route: Route, since_ns: int, now_ns: int, window_seconds: int) -> Timing:
    """The clock of an epoch, by its traces.

    Replayed requests carry simulated time: where they lie before the epoch or ahead of the clock, their own
    first and last moments are its beginning and its present.
    """
    span = evidence.span(route.epoch)
    if span is None:
        return Timing(seconds=(now_ns - since_ns) / _NS, windows=())
    first, last = span
    simulated = last < since_ns or last > now_ns + _NS
    start, present = (first, last) if simulated else (since_ns, now_ns)
    width = window_seconds * _NS
    windows: list[Window] = []
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
    """The judgement on an epoch's requests that started before a moment."""
    ladder, arm = route.ladder, route.candidate
    if ladder is None or arm is None:
        raise ValueError("only a canary is looked at")
    units = evidence.units(route.epoch, before_ns)
    measure = measure_of(units)
    said = evidence.said(route.epoch, before_ns) if measure == "accepted" else []
    stable, candidate = (side(name, units, said, measure) for name in (route.stable.name, arm.name))
    found = judge(ladder.guard, stable, candidate, measure)
    counts, weights = [stable.units, candidate.units], [each.weight_bp for each in route.learners]
    if found.verdict == "pass" and sum(counts) >= SRM_UNITS and mismatch(counts, weights) > SRM_ALARM:
        reason = f"{counts[1]:,} of {sum(counts):,} learners are on it, and its weight is {arm.weight_bp / 100:g} %"
        return msgspec.structs.replace(found, verdict="inconclusive", reason=f"the split cannot be trusted: {reason}")
    return found


def consider(evidence: Evidence, route: Route, since_ns: int, now: datetime) -> Decision:
    """What follows from an epoch's traces now. Reads, and writes nothing.

    Args:
        evidence: the trace store's.
        route: a canary's route.
        since_ns: when its epoch was opened.
        now: the present.
    """
    if route.ladder is None:
        raise ValueError("only a canary is considered")
    clock = timing(evidence, route, since_ns, nanoseconds(now), route.ladder.guard.window_seconds)
    newest = clock.windows[0] if clock.windows else Window(0, nanoseconds(now))
    judgement = look(evidence, route, newest.before_ns)
    history: list[Result] = []
    for window in clock.windows[1:] if judgement.verdict in ("fail", "error") else ():
        verdict = look(evidence, route, window.before_ns).verdict
        history.append(verdict)
        if verdict != judgement.verdict:
            break
    return decide(route, judgement, history, seconds=clock.seconds, window=newest.number)


def tick(routing: Routing, traces: TraceReader, now: datetime, *, blind: float = 0.0) -> Decision | None:
    """Look at the canary once and do what follows; None where none is under way.

    Losing the race to another replica is no failure: the decision comes back without a seq. Traces that cannot be
    read are the verdict ``error``, without a judgement.

    Args:
        routing: of a registry that is open for writing.
        traces: where every replica's traces are.
        now: the present, aware.
        blind: seconds for which no look before this one could read the traces; a canary that nobody could watch
            for ``ERRORS`` windows is aborted.

    Raises:
        Unavailable, Damaged: the ledger could not be read or written, or a bundle does not verify.
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
    verb = routing.advance if decision.action == "advance" else routing.abort
    try:
        done = verb(reason=f"canary {decision.verdict}: {decision.reason}", expected=state.seq, key=decision.key)
    except (Conflict, Refused):
        return decision
    return msgspec.structs.replace(decision, seq=done.seq) if done.created else decision


def considered(
    opened: Callable[[], TraceReader], route: Route, since: str, now: datetime
) -> tuple[Decision | None, str | None]:
    """What a canary's traces say now, or why they say nothing; neither for a route that is no canary.

    Args:
        opened: gives the trace store; it may fail as a read may.
        route: the route in force.
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
    """What follows from traces that cannot be read."""
    width = route.ladder.guard.window_seconds if route.ladder is not None else 1
    lost = blind >= ERRORS * width
    return Decision(
        action="abort" if lost else "hold",
        verdict="error",
        reason=f"its traces could not be read{f' for {blind:.0f} s' if blind else ''}: {why}"[:200],
        waits_for=("traces that can be read",),
        epoch=route.epoch,
        window=(nanoseconds(now) - since_ns) // (width * _NS),
    )
