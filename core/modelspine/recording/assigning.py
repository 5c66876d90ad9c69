"""The arm of a unit in the route in force, for a service that answers itself: ``spine assign`` and ``GET /v1/assign``.

It does not know who asks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from miniobserve.ids import learner_of
from modelspine.errors import BadInput
from modelspine.ledger.route import Route, assign
from modelspine.ledger.state import State
from modelspine.registry.rules import may_answer

MOST_UNIT = 128
"""Characters of a unit's id."""


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """Which entry is to answer a unit, and why."""

    unit: str
    """In the one spelling by which units are compared."""
    entry_sha: str
    semver: str
    arm: str
    epoch: int
    strategy: str
    salt: str
    bucket: int
    attributes: dict[str, str | int]
    """What to set on the span of the request, so that the assignment can be checked."""


def assigned(route: Route, unit: str) -> Assigned:
    """The assignment of a unit: a user, a customer, a device, or the id of one request.

    Raises:
        BadInput: it is no usable id.
    """
    name = unit_of(unit)
    found = assign(route, name, sticky=True)
    arm = next(each for each in route.learners if each.name == found.arm)
    return Assigned(
        unit=name, entry_sha=arm.sha, semver=arm.semver, arm=arm.name, epoch=route.epoch, strategy=route.strategy,
        salt=route.salt, bucket=found.bucket,
        attributes={"spine.arm": arm.name, "spine.epoch": route.epoch, "spine.entry_sha": arm.sha},
    )  # fmt: skip


def unit_of(text: Any) -> str:
    """A unit's id in the one spelling by which units are compared.

    Raises:
        BadInput: it is empty, too long, or has characters that cannot be seen.
    """
    try:
        name = learner_of(text) if isinstance(text, str) and len(text) <= MOST_UNIT else None
    except ValueError as error:
        raise BadInput(f"the unit is not usable: {error}", "give the id of a user, a customer or a device") from error
    if name is None:
        raise BadInput(
            f"a unit is text of 1 to {MOST_UNIT} characters", "give the id of a user, a customer, a device or a request"
        )
    return name


def route_in_force(state: State) -> Route:
    """The route in force, each of whose arms may answer.

    Raises:
        BadInput: there is no route yet.
        Refused: the ledger forbids one of its arms to answer.
    """
    if state.route is None:
        raise BadInput("there is no route yet", "promote an entry: `spine promote REF --semver v0.1.0`")
    for arm in state.route.learners:
        may_answer(state, arm.sha, arm.semver)
    return state.route
