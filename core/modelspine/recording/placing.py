"""The arm of a request that another server answered, checked against the route.

A server that asked for an assignment sends its epoch and arm: both are computed again. Without that the arm is the one
of the entry that answered. Where no unit is known, no arm can be computed; what the server named is then compared with
the route and with the entry that answered. This module does not know where the facts come from.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from miniobserve.traces import Assignment, Trace
from modelspine.ledger.route import FULL, UNATTRIBUTED, UNROUTED, Route, assign, unit_hash
from modelspine.ledger.state import State
from modelspine.text import visible

CONTRADICTS = "contradicts_ledger"
"""The field of a trace that says which arm or epoch its server named against the ledger; only Spine writes it."""


class Told(NamedTuple):
    """What a server says of the assignment it followed; None where it says nothing."""

    arm: str | None = None
    epoch: int | None = None
    by_request: bool = False
    """Whether the assignment was made by the id of the request, because there was no unit."""


class Placed(NamedTuple):
    """An assignment, the entry that the route intended, and what does not fit."""

    assignment: Assignment
    intended_sha: str
    note: str
    """What follows from the entry that answered; empty if it is the one that the route intended."""
    contradiction: str = ""
    """Which arm or epoch the server named that the ledger contradicts; empty for none."""


def place(state: State, sha: str, unit: str, *, sticky: bool, told: Told) -> Placed:
    """Place a request in the route of the epoch that was told, else in the one in force.

    The assignment keeps no unit where none was given and the server did not assign by the id of the request. Its hash
    is then that of the id, because every request without a unit has one vote where arms are compared.

    Args:
        state: the ledger's.
        sha: the entry that answered; empty where it is not known.
        unit: the unit, else the id of the request.
        sticky: whether it is a unit.
        told: what the server says of the assignment.
    """
    route, note, wrong = state.route, "", []
    if told.epoch is not None:
        known = state.route_at(told.epoch)
        if known is None:
            used = "" if route is None else f", so it was placed by the route in force, #{route.epoch}"
            wrong.append(f"epoch {told.epoch} was told, the ledger has no route event #{told.epoch}{used}")
        route = known or route
    by_unit = sticky or told.by_request
    kept = unit if by_unit else None
    if route is None:
        without = _without_route(unit, kept, sticky=sticky)
        return Placed(without, "", "there is no route yet", "; ".join(wrong))
    computed = assign(route, unit, sticky=sticky)
    expected, problem = computed.arm, ""
    if not by_unit:
        expected, problem = _expected(route, computed.arm, sha, told.arm)
    elif told.arm is not None and told.arm != expected:
        problem = f"arm {visible(told.arm, 40)} was told, the route and the unit give {expected}"
    wrong += [problem] if problem else []
    arm = _arm(route, expected, sha)
    if arm != expected and sha:
        note = f"the entry that answered is not that of arm {expected}"
    intended = next(each.sha for each in route.learners if each.name == expected)
    return Placed(msgspec.structs.replace(computed, arm=arm, unit=kept), intended, note, "; ".join(wrong))


def contradiction_of(trace: Trace) -> str:
    """Which arm or epoch the server of a request named that the ledger contradicts; empty for none."""
    found = trace.fields.get(CONTRADICTS)
    return found if isinstance(found, str) else ""


def _expected(route: Route, computed: str, sha: str, named: str | None) -> tuple[str, str]:
    """The arm that a request without a unit should have, and what is wrong with the arm that its server named.

    Args:
        route: the route.
        computed: the arm that the id of the request would have.
        sha: the entry that answered; empty where it is not known.
        named: the arm that the server named; None for none.
    """
    own = [arm.name for arm in route.learners if arm.sha == sha]
    likely = computed if computed in own else next(iter(own), route.stable.name)
    if named is None:
        return likely, ""
    if named not in [arm.name for arm in route.learners]:
        return likely, f"the server named arm {visible(named, 40)}, which route #{route.epoch} does not have"
    if sha and named not in own:
        return named, f"the server named arm {named}, but another entry than that of this arm answered"
    return named, ""


def _arm(route: Route, computed: str, sha: str) -> str:
    """The arm of the entry that answered; the computed one where several arms have it."""
    if not sha:
        return UNATTRIBUTED
    arms = [arm.name for arm in route.learners if arm.sha == sha]
    return computed if computed in arms else arms[0] if arms else UNROUTED


def _without_route(unit: str, kept: str | None, *, sticky: bool) -> Assignment:
    u = unit_hash("", unit)
    return Assignment(
        strategy="none", epoch=0, salt="", arm=UNROUTED, bucket=u * FULL >> 64, sticky=sticky, u=f"{u:016x}", unit=kept
    )
