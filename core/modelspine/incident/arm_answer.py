"""Answer 6 of a walk: why this arm, with its assignment computed again from the ledger's route.

It knows routes and assignments, and nothing of models or how they are registered.
"""

from __future__ import annotations

import msgspec

from miniobserve.traces import Trace
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.route import FULL, Route, reassigned
from modelspine.lineage.status import Status
from modelspine.recording.placing import contradiction_of
from modelspine.registry.model_names import MOST_NAME
from modelspine.text import argument, visible
from modelspine.times import ledger_time, nanoseconds
from modelspine.traffic.epoch_scope import TOLERANCE_NS
from modelspine.words import words


def arm_answer(trace: Trace, route: Route | None, since: str = "") -> Finding:
    """Compare a trace's assignment, and what its server reported of it, with the route of its epoch.

    The verifier of a pack decides the status by the same rules (``arm`` in ``pack_verifier``).

    Args:
        trace: the request.
        route: the route of its epoch; None where the ledger has no such route.
        since: when that route came into force, in the ledger's format; empty where that is not known.
    """
    stored = trace.assignment
    command = f"spine route show --at {ledger_time(trace.started_ns)}"
    later = route is not None and _is_later(since, trace)
    # Of such a request, another route or none was active at its time.
    if trace.source == "replay" or later:
        command = f"spine route report --epoch {stored.epoch}"
    evidence = msgspec.to_builtins(stored)
    wrong = contradiction_of(trace)
    if route is None:
        none = f"the ledger has no route event #{stored.epoch}" if stored.epoch else "there was no route yet"
        status: Status = "mismatch" if wrong else "missing"
        return finding(6, visible(f"{none}{f' — {wrong}' if wrong else ''}", 400), status, evidence, command)
    # An arm may differ for reasons that follow; salt, hash and bucket never do.
    altered = _difference(trace, route, arm=False)
    if not trace.entry_sha and not wrong and altered is None:
        return _unattributed(trace, route)
    answer = _described(trace, route)
    if wrong or altered is not None:
        return finding(6, f"{answer} — {visible(wrong or str(altered), 300)}", "mismatch", evidence, command)
    if later:
        why = f"assigned by a later route: #{stored.epoch} came into force at {since[:19]}Z, after this request"
        return finding(6, f"{answer}; {why}", "recorded", evidence, command)
    if next((arm.sha for arm in route.arms if arm.name == stored.arm), None) != trace.entry_sha:
        return finding(6, f"{answer} — the route names a different entry", "mismatch", evidence, command)
    difference = _difference(trace, route)
    if difference is not None:
        return finding(6, f"{answer} — {difference}", "mismatch", evidence, command)
    if _without_unit(trace) and len(route.learners) == 1:
        return finding(6, f"{answer}, which the route gives every {words().unit}", "verified", evidence, command)
    if stored.unit is None:
        why = "no unit was given, so its arm cannot be recomputed" if _without_unit(trace) else "the unit was not kept"
        return finding(6, f"{answer}; {why}", "recorded", evidence, command)
    source = "unit" if stored.sticky else "the id of the request, because no unit was given"
    return finding(6, f"{answer}, recomputed from salt and {source}", "verified", evidence, command)


def claim_command(trace: Trace) -> str:
    """The command that says which entry an unattributed request's model is; without a name, the one that shows it."""
    model = trace.fields.get("model")
    if not isinstance(model, str):
        return f"spine traces show {argument(trace.request_id)}"
    return f"spine traces claim {argument(visible(model, MOST_NAME), '--model')} REF --reason TEXT"


def _without_unit(trace: Trace) -> bool:
    """Whether another server answered and gave no unit; the id of a request is kept where it was assigned by that."""
    return trace.assignment.unit is None and not trace.assignment.sticky


def _is_later(since: str, trace: Trace) -> bool:
    """Whether the route came into force after the request, so that it was recorded with a time of the past."""
    # The times of replayed traffic are simulated: they are expected to lie before their route.
    return bool(since) and trace.source != "replay" and trace.started_ns < nanoseconds(since) - TOLERANCE_NS


def _unattributed(trace: Trace, route: Route) -> Finding:
    """Nothing is known of the arm where the entry that answered is not."""
    stored = trace.assignment
    given = "" if stored.unit is None else f"; the route gives this unit {reassigned(route, stored).arm}"
    named = isinstance(trace.fields.get("model"), str)
    way = "claim its model's name (`spine traces claim`)" if named else "its server named no model"
    answer = f"not known, because the entry that answered is not: {way}{given}, epoch {stored.epoch}"
    return finding(6, answer, "missing", msgspec.to_builtins(stored), claim_command(trace))


def _described(trace: Trace, route: Route) -> str:
    """The assignment as it is stored."""
    stored = trace.assignment
    arm = next((arm for arm in route.arms if arm.name == stored.arm), None)
    share = f"{100 * arm.weight_bp / FULL:g} %" if arm else "not in that route"
    share += f" shadow copy, not shown to a {words().unit}" if trace.shadow_of else ""
    if stored.tester is not None:
        share = f"chosen by tester {visible(stored.tester, 40)}, in no comparison"
    # Without a unit, the bucket is that of the request's id, which decided nothing.
    bucket = "" if _without_unit(trace) else f", bucket {stored.bucket:,}"
    return f"{stored.arm}, {share}, epoch {stored.epoch}{bucket}"


def _difference(trace: Trace, route: Route, *, arm: bool = True) -> str | None:
    """What differs between the stored assignment and the one computed again; None where nothing does.

    With ``arm=False``, another arm alone is no difference.
    """
    stored = trace.assignment
    unit, computed = stored.unit, reassigned(route, stored)
    arm = arm and not (_without_unit(trace) and len(route.learners) > 1)
    if computed.bucket != stored.bucket or (arm and computed.arm != stored.arm):
        source = "salt and unit give" if unit is not None else "the hash of the unit gives"
        if not stored.sticky:
            source = "no unit was given, and the id of the request gives"
        return f"{source} arm {visible(computed.arm, 40)}, bucket {computed.bucket:,}"
    computed = msgspec.structs.replace(computed, arm=stored.arm)
    fields = [name for name in stored.__struct_fields__ if getattr(stored, name) != getattr(computed, name)]
    if fields:
        return f"the route and the unit give another {', '.join(fields)}"
    # Without a sticky unit the request is its own unit, so another unit means that the trace was altered.
    if unit is not None and not stored.sticky and unit not in (trace.request_id, trace.shadow_of, trace.retry_of):
        return "the assignment is not sticky, but the unit is not the id of this request"
    return None
