"""A change in the ledger held against the rules again, on the state it was made on.

The registry appends nothing that ``core.rules`` refuses, so an event they refuse was written past it. It does not
know signatures, bundles or where events are kept.
"""

from __future__ import annotations

from core.errors import Damaged, Refused
from core.ledger import Event
from core.rules import may_promote, may_roll_back, may_route, may_shadow
from core.standing import standing
from core.state import State, route_of
from core.text import short, visible
from core.traffic import FULL

MOVES = ("promoted", "routed", "rolled_back")
"""Kinds of event that move a pointer."""


def replay(state: State, event: Event) -> None:
    """Check that an event which moves a pointer was allowed on the state before it.

    Raises:
        Refused: the rules do not allow it, with the reason.
        Damaged: it names an entry nobody registered, or traffic that does not add up.
    """
    route = route_of(event) if event.kind != "promoted" else None
    named = [event.body["sha"]] if route is None else [arm.sha for arm in route.arms]
    unknown = next((str(sha) for sha in named if sha not in state.entries), None)
    if unknown is not None:
        raise Damaged(f"{short(unknown)} was never registered", "")
    if route is None:
        semver, signed = str(event.body["semver"]), standing(event) == "signed"
        override = event.body.get("override") is True
        may_promote(state, event.body["sha"], semver, "dev", signed=signed, override=override)
        return
    may_answer = may_roll_back if event.kind == "rolled_back" else may_route
    for arm in route.learners:
        may_answer(state, arm.sha)
        if arm.semver not in state.entries[arm.sha].semvers:
            raise Refused(f"{short(arm.sha)} was not promoted as {visible(arm.semver, 40)}", "")
    if route.shadow is not None:
        may_shadow(state, route.shadow.sha)
    if sum(arm.weight_bp for arm in route.learners) != FULL:
        raise Damaged("the arms do not add up to all of the traffic", "")
