"""Checking what promotions and routes rest on beside a signed verdict: recorded gate runs, and judged canaries.

Both are computed again from what is kept: the reports that a gate run names, and the requests of an epoch. It does not
know signatures, or how the rules use these results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from miniobserve.evidence import Evidence
from modelspine.errors import SpineError
from modelspine.gate.baseline import read_baseline
from modelspine.gate.decision import judge
from modelspine.ledger.state import State, fold, route_of
from modelspine.ledger.store import Event, storage_errors
from modelspine.maintenance.verify_ledger import Check
from modelspine.text import counted, visible
from modelspine.traffic.epochs import CONTROLLER_KEY
from modelspine.traffic.most_traffic import rests_on_old_step

Read = Callable[[str], bytes]
"""Digest → the bytes with that digest."""


def gate_runs(events: Sequence[Event], read: Read) -> Check | None:
    """Check that the counts of every gate run that is recorded as a pass in a prod ledger pass; None in a dev ledger.

    The newest run of an entry decides whether it may answer learners, and a row can be written past the gate. What the
    never-regress items gave is not kept, so they count as answered.
    """
    if fold(events[:1]).env == "dev":
        return None
    state = State()
    problems: list[str] = []
    unread: list[str] = []
    checked = 0
    for event in events:
        if event.kind == "gated" and event.body.get("result") == "pass":
            try:
                problem = _gate_fault(state, event, read)
            except SpineError as error:
                unread.append(f"#{event.seq}: {error.message}")
            else:
                checked += 1
                problems += [f"#{event.seq}: {problem}"] if problem is not None else []
        fold((event,), state)
    return Check(name="gates", checked=checked, problems=tuple(problems), not_checked=tuple(unread))


def _gate_fault(state: State, event: Event, read: Read) -> str | None:
    """Why a gate run in a state is no pass; None where it is one."""
    body, sha = event.body, str(event.body.get("sha"))
    # The route may have changed while the gate ran, so the entry that was stable just before is accepted too.
    if body.get("stable") not in [route.stable.sha for route in state.routes[-2:]] and state.routes:
        return "it compares with another entry than the one that was in production"
    rivals: list[bytes | None] = []
    for other in (body.get("stable"), body.get("floor")):
        known = state.entries.get(str(other)) if other != sha else None
        rivals.append(read(known.report) if known is not None and known.report is not None else None)
    baseline = read(str(body.get("baseline")))
    items = read_baseline(baseline).never_regress
    decision = judge(
        read(str(body.get("report"))),
        baseline=baseline,
        stable=rivals[0],
        floor=rivals[1],
        never_regress={item.id: True for item in items},
    )
    if decision.result == "pass":
        return None
    why = f" ({visible(decision.reasons[0], 160)})" if decision.reasons else ""
    return f"it is recorded as a pass, but the report that it names gives {decision.result}{why}"


def _judged(state: State, event: Event) -> int | None:
    """The epoch whose verdict an event rests on, also where its key alone says so; None where there is none."""
    if event.kind != "routed":
        return None
    judged = event.body.get("judged")
    new = route_of(event)
    if all(arm.sha in state.entries for arm in new.learners) and rests_on_old_step(state, new, event):
        return state.route.epoch if state.route is not None else None
    return judged if isinstance(judged, int) else None


def judged_canaries(events: Sequence[Event], evidence: Callable[[], Evidence]) -> Check | None:
    """Check that requests reached each canary whose verdict a step rests on; None where no step rests on one.

    The verdict itself is not computed again: answers are graded and spoken about later too.

    Args:
        events: the ledger's.
        evidence: opens the trace store; raises why it cannot.
    """
    if not any("judged" in event.body or CONTROLLER_KEY in str(event.body.get("key")) for event in events):
        return None
    state = State()
    problems: list[str] = []
    unread: list[str] = []
    steps = 0
    for event in events:
        route = state.route
        if route is not None and route.candidate is not None and (judged := route.epoch) == _judged(state, event):
            steps += 1
            try:
                with storage_errors():
                    reached = any(unit.arm == route.candidate.name for unit in evidence().units(judged))
                    earlier = reached or any(evidence().last(each.epoch) for each in reversed(state.routes[:-1]))
                if not reached:
                    where = f"#{event.seq} rests on a verdict on epoch #{judged}, "
                    problems += [f"{where}in which no request reached the canary"] if earlier else []
                    unread += [] if earlier else [f"{where}whose traces are not here"]
            except SpineError as error:
                unread.append(f"#{event.seq}: {error.message}")
        fold((event,), state)
    if not steps:
        return None
    shown = (f"{counted(len(unread), 'step')}: {visible(unread[0], 160)}",) if unread else ()
    return Check(name="canaries", checked=steps - len(unread), problems=tuple(problems), not_checked=shown)
