"""The canary controller: it judges an epoch's traces and advances or aborts the canary by one ledger event.

Every replica may run it; there is no leader. A decision depends only on the ledger and the traces. Its event has
the idempotency key (epoch, window) and names the seq it is based on, so one replica's append wins and the others
find it done. Nothing is stored between calls. It does not know how often it is called or which server runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from miniobserve.evidence import Evidence
from miniobserve.reader import TraceReader
from modelspine.errors import Conflict, Refused, SpineError
from modelspine.ledger.route import Ladder, Route
from modelspine.ledger.store import storage_errors
from modelspine.stats import SRM_ALARM, SRM_UNITS, mismatch
from modelspine.times import nanoseconds
from modelspine.traffic.commands import Routing
from modelspine.traffic.epoch_clock import MOST_WINDOWS, Window, timing
from modelspine.traffic.epoch_scope import stray_texts
from modelspine.traffic.epochs import CONTROLLER_KEY
from modelspine.traffic.noninferiority import Judgement, Result, judge_units
from modelspine.traffic.operator_notes import canary_notes, heavy_text
from modelspine.traffic.sides import measure_of
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.registry.registry import Registry

FAILS = 2
"""Consecutive windows with the verdict ``fail`` after which the canary is aborted."""
ERRORS = MOST_WINDOWS
"""The same for ``error``: more of them, as a trace store that cannot be read may be back soon."""
BY_HAND, VERDICT_PASS = "a manual advance", "verdict pass"
"""How two of the conditions of a next step begin; a person who advances a canary fulfils the first one."""
_NS = 1_000_000_000
Watched = Callable[[int, int], float]
"""Epoch and when it was opened, UTC ns → the longest that it can have lasted, in seconds."""


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
    notes: tuple[str, ...] = ()
    """What an operator should know beside the verdict: requests set aside, heavy units, a stable arm that fails."""
    seconds: float | None = None
    """How long the epoch has lasted, by which the minimum time of a step is judged; None where that is unknown."""
    seq: int | None = None
    """The event appended for it; None where there was nothing to append or another process changed the ledger."""

    @property
    def key(self) -> str:
        """The idempotency key of its event."""
        return f"{CONTROLLER_KEY}{self.epoch}-{self.window}"

    @property
    def judged(self) -> int | None:
        """The epoch, where its verdict is ``pass``: then its entry may get more traffic."""
        return self.epoch if self.verdict == "pass" else None


def decide(
    route: Route,
    judgement: Judgement,
    history: Sequence[Result],
    *,
    seconds: float,
    window: int,
    strays: Sequence[str] = (),
) -> Decision:
    """Decide what to do about a canary.

    Args:
        route: the canary's route.
        judgement: the judgement on the whole epoch so far.
        history: the verdicts at the ends of earlier windows, newest first; windows without requests are left out.
        seconds: how long the epoch has lasted.
        window: the number of this window.
        strays: say which requests were set aside because their times lie outside of the epoch.

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
        reason = "; ".join((reason, f"{consecutive} consecutive windows", *map(heavy_text, judgement.heavy[:1])))
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
        notes=(*strays, *canary_notes(route, judgement)),
        seconds=seconds,
    )


def waits_for(ladder: Ladder, judgement: Judgement, seconds: float) -> tuple[str, ...]:
    """The unmet conditions of the next step as text; empty where the canary may advance."""
    step = ladder.steps[ladder.at]
    missing = []
    if not ladder.auto:
        missing.append(f"{BY_HAND}, as its weight was set by hand (`spine route advance`)")
    if seconds < step.min_seconds:
        missing.append(f"{max(1, round(step.min_seconds - seconds)):,} more seconds")
    if judgement.samples < step.min_samples:
        missing.append(f"{step.min_samples - judgement.samples:,} more {judgement.wanted}")
    if judgement.verdict != "pass":
        missing.append(VERDICT_PASS)
    return tuple(missing)


def look(evidence: Evidence, route: Route, before_ns: int, from_ns: int = 0) -> Judgement:
    """Judge an epoch on its requests that started within a time range.

    Raises:
        ValueError: the route is not a canary.
    """
    ladder, arm = route.ladder, route.candidate
    if ladder is None or arm is None:
        raise ValueError("the route is not a canary")
    units = evidence.units(route.epoch, before_ns, from_ns)
    measure = measure_of(units)
    said = evidence.said(route.epoch, before_ns, from_ns) if measure == "accepted" else []
    arms, labels = (route.stable.name, arm.name), evidence.has_labels
    found = judge_units(ladder.guard, units, said, measure, arms=arms, labels=labels)
    weights = [each.weight_bp for each in route.learners]
    counts = [sum(unit.arm == each.name for unit in units) for each in (route.stable, arm)]
    # A wrong split means that assignment or tracing lost units, and lost units may be the bad ones. So it blocks a
    # pass, but never softens a fail.
    if found.verdict == "pass" and sum(counts) >= SRM_UNITS and mismatch(counts, weights) > SRM_ALARM:
        reason = f"{counts[1]:,} of {words().count_units(sum(counts))} at a weight of {arm.weight_bp / 100:g} %"
        return msgspec.structs.replace(found, verdict="inconclusive", reason=f"sample-ratio mismatch: {reason}")
    return found


def consider(evidence: Evidence, route: Route, since_ns: int, now: datetime, watched: float | None = None) -> Decision:
    """Decide what follows from an epoch's traces now; writes nothing.

    Args:
        evidence: the trace store's evidence.
        route: a canary's route.
        since_ns: when its epoch was opened.
        now: the present.
        watched: see ``timing``.

    Raises:
        ValueError: the route is not a canary.
    """
    if route.ladder is None:
        raise ValueError("the route is not a canary")
    clock = timing(evidence, route, since_ns, nanoseconds(now), route.ladder.guard.window_seconds, watched)
    from_ns, newest = clock.scope.from_ns, clock.windows[0] if clock.windows else Window(0, nanoseconds(now))
    judgement = look(evidence, route, newest.before_ns, from_ns)
    history: list[Result] = []
    # Only ``fail`` and ``error`` are counted over consecutive windows; each earlier judgement reads the traces again.
    for window in clock.windows[1:] if judgement.verdict in ("fail", "error") else ():
        verdict = look(evidence, route, window.before_ns, from_ns).verdict
        history.append(verdict)
        if verdict != judgement.verdict:
            break
    strays = stray_texts(clock.scope, since_ns, nanoseconds(now))
    return decide(route, judgement, history, seconds=clock.seconds, window=newest.number, strays=strays)


def tick(
    routing: Routing, traces: TraceReader, now: datetime, *, blind: float = 0.0, watched: Watched | None = None
) -> Decision | None:
    """Judge the current canary once and act on it; None where there is no canary.

    Losing the race to another replica is no failure: the decision is returned without a seq. Traces that cannot be
    read give the verdict ``error`` without a judgement.

    Args:
        routing: the routing of a registry that is open for writing.
        traces: the trace store that all replicas share.
        now: the present, timezone-aware.
        blind: for how many seconds the traces could not be read; after ``ERRORS`` windows the canary is aborted.
        watched: gives the longest that an epoch opened at a time (UTC ns) can have lasted, in seconds; see ``timing``.

    Raises:
        Unavailable, Damaged: the ledger could not be read or written, or a bundle does not match its SHA.
    """
    registry = routing.registry
    state = registry.state()
    route = state.route
    if route is None or route.strategy != "canary" or route.ladder is None:
        return None
    since_ns = nanoseconds(registry.events()[route.epoch - 1].time)
    try:
        with storage_errors():
            longest = watched(route.epoch, since_ns) if watched is not None else None
            decision = consider(traces.evidence, route, since_ns, now, longest)
    except SpineError as error:
        decision = _unreadable(route, since_ns, now, blind, error.message)
    if decision.action == "hold":
        return decision
    asked: dict[str, Any] = {"expected": state.seq, "key": decision.key}
    reason = f"canary {decision.verdict}: {decision.reason}"
    try:
        if decision.action == "advance":
            done = routing.advance(reason=reason, judged=decision.judged, **asked)
        else:
            done = routing.abort(reason=reason, **asked)
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


def decision_now(
    registry: Registry, opened: Callable[[], TraceReader], now: datetime
) -> tuple[Decision | None, str | None]:
    """The decision on the canary in progress, or the error that prevented it; both None where there is no canary."""
    route = registry.route()
    if route is None:
        return None, None
    return consider_or_error(opened, route, registry.events()[route.epoch - 1].at, now)


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
