"""Answer 6 of a walk: why this arm, with its assignment computed again from the ledger's route.

It knows routes and assignments, and nothing of registries or models.
"""

from __future__ import annotations

import msgspec

from miniobserve.traces import Trace
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.route import FULL, Route, reassigned
from modelspine.text import visible
from modelspine.times import ledger_time


def arm_answer(trace: Trace, route: Route | None) -> Finding:
    """Compare a trace's assignment with the route of its epoch; None where the ledger has no such route."""
    stored = trace.assignment
    command = f"spine route show --at {ledger_time(trace.started_ns)}"
    # A replayed request carries a simulated time, at which another route or none was active.
    if trace.source == "replay":
        command = f"spine route report --epoch {stored.epoch}"
    evidence = msgspec.to_builtins(stored)
    if route is None:
        return finding(6, f"the ledger has no route event #{stored.epoch}", "missing", evidence, command)
    arm = next((arm for arm in route.arms if arm.name == stored.arm), None)
    share = f"{100 * arm.weight_bp / FULL:g} %" if arm else "not in that route"
    share += " shadow copy, not shown to a learner" if trace.shadow_of else ""
    if stored.tester is not None:
        share = f"chosen by tester {visible(stored.tester, 40)}, in no comparison"
    answer = f"{stored.arm}, {share}, epoch {stored.epoch}, bucket {stored.bucket:,}"
    if arm is None or trace.entry_sha != arm.sha:
        return finding(6, f"{answer} — the route names a different entry", "mismatch", evidence, command)
    if stored.unit is None:
        return finding(6, f"{answer}; the unit was not kept", "recorded", evidence, command)
    difference = _difference(trace, route, stored.unit)
    if difference is not None:
        return finding(6, f"{answer} — {difference}", "mismatch", evidence, command)
    return finding(6, f"{answer}, recomputed from salt and unit", "verified", evidence, command)


def _difference(trace: Trace, route: Route, unit: str) -> str | None:
    """What differs between the stored assignment and the one computed again; None where nothing does."""
    stored = trace.assignment
    computed = reassigned(route, stored, unit)
    if (computed.arm, computed.bucket) != (stored.arm, stored.bucket):
        return f"salt and unit give arm {visible(computed.arm, 40)}, bucket {computed.bucket:,}"
    fields = [name for name in stored.__struct_fields__ if getattr(stored, name) != getattr(computed, name)]
    if fields:
        return f"the route and the unit give another {', '.join(fields)}"
    # Without a sticky unit the request is its own unit, so another unit means that the trace was altered.
    if not stored.sticky and unit not in (trace.request_id, trace.shadow_of, trace.retry_of):
        return "the assignment is not sticky, but the unit is not the id of this request"
    return None
