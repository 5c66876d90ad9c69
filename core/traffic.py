"""Who answers whom: the route as a value and the assignment of one unit to an arm.

Pure: the same route and unit give the same arm on every replica, today and when an incident is walked.
It does not know HTTP, the ledger, or what a model is.
"""

from __future__ import annotations

import hashlib

import msgspec

from miniobserve.traces import Assignment

FULL = 10_000
"""All of the traffic, in basis points."""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One entry's place in a route."""

    name: str
    sha: str
    semver: str
    weight_bp: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How traffic is divided since the ledger event ``epoch``. The first arm is the stable one."""

    strategy: str
    epoch: int
    salt: str
    arms: tuple[Arm, ...]

    @property
    def stable(self) -> Arm:
        """The arm that counts as production."""
        return self.arms[0]

    @property
    def shadow(self) -> Arm | None:
        """The arm that gets copies and answers no learner; its weight is the share copied."""
        return self.arms[1] if self.strategy == "shadow" else None

    @property
    def answering(self) -> tuple[Arm, ...]:
        """The arms whose answers learners see."""
        return self.arms[:1] if self.strategy == "shadow" else self.arms


def place(salt: str, unit: str) -> int:
    """A unit's place on the line 0 … 2^64 - 1, uniform over units and independent between salts."""
    digest = hashlib.sha256(f"{salt}|{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def assign(route: Route, unit: str, *, sticky: bool) -> Assignment:
    """Assign a unit to an arm.

    The arms after the first take the low buckets in their order, the stable arm the rest, so raising
    a weight only adds units to it. ``sticky`` says whether the unit is a learner or the request itself.
    """
    u = place(route.salt, unit)
    bucket = u * FULL >> 64
    edge = 0
    chosen = route.stable
    for arm in route.answering[1:]:
        edge += arm.weight_bp
        if bucket < edge:
            chosen = arm
            break
    return Assignment(
        strategy=route.strategy,
        epoch=route.epoch,
        salt=route.salt,
        arm=chosen.name,
        bucket=bucket,
        sticky=sticky,
        u=f"{u:016x}",
        unit=unit,
    )


def copied(route: Route, assignment: Assignment) -> Arm | None:
    """The shadow arm where this request is copied to it: units of the low buckets are."""
    shadow = route.shadow
    return shadow if shadow is not None and assignment.bucket < shadow.weight_bp else None
