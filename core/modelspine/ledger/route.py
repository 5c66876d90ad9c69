"""Who answers whom: the route as a value and the assignment of one unit to an arm.

Pure: the same route and unit give the same arm on every replica, today and when an incident is walked.
It does not know HTTP, how events are kept, or what a model is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from miniobserve.traces import Assignment
from modelspine.errors import BadInput
from modelspine.ledger.store import Draft
from modelspine.text import visible

FULL = 10_000
"""All of the traffic, in basis points."""
SHADOW = "shadow"
"""The strategy whose second arm gets copies, and that arm's name."""
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))? ?%", re.ASCII)
_POINTS = re.compile(r"(\d{1,9})(?: ?bp)?", re.ASCII)


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One entry's place in a route. A shadow arm's weight is the share of traffic that is copied to it."""

    name: str
    sha: str
    semver: str
    """Empty for a shadow that was never promoted."""
    weight_bp: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of a canary's ladder, and what must have been seen on it before the next."""

    weight_bp: int
    min_seconds: int
    min_samples: int
    """Judged answers of the canary: graded by the workload or, where it grades none, by learners."""


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """What a canary may lose against the stable arm beside it, and how often that is looked at."""

    margin_bp: int = 200
    """Right answers it may lose, in basis points of the answers: the gate's 2 pp."""
    error_bp: int = 100
    latency_pct: int = 50
    """How much longer than the stable arm it may take on average, percent."""
    window_seconds: int = 30
    horizon: int = 200
    """Units (both arms) at which the confidence sequence is narrowest; it holds at every other number too."""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """How a canary grows."""

    steps: tuple[Step, ...]
    at: int
    """Index of the step in force."""
    auto: bool
    """Whether it advances by itself; a weight set by hand stays until somebody advances it."""
    guard: Guard


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How traffic is divided since the ledger event ``epoch``. The first arm is the stable one."""

    strategy: str
    epoch: int
    salt: str
    """The rollout's id: the seq of its first event."""
    arms: tuple[Arm, ...]
    ladder: Ladder | None = None
    """Of a canary."""

    @property
    def stable(self) -> Arm:
        """The arm that counts as production."""
        return self.arms[0]

    @property
    def candidate(self) -> Arm | None:
        """The arm beside the stable one: what is tried out."""
        return self.arms[1] if len(self.arms) > 1 else None

    @property
    def learners(self) -> tuple[Arm, ...]:
        """The arms whose answers learners see."""
        return self.arms[:1] if self.strategy == SHADOW else self.arms

    @property
    def shadow(self) -> Arm | None:
        """The arm that gets copies and answers nobody."""
        return self.candidate if self.strategy == SHADOW else None


def place(salt: str, unit: str) -> int:
    """A unit's place on the line 0 … 2^64 - 1, uniform over units and independent between salts."""
    digest = hashlib.sha256(f"{salt}|{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def assign(route: Route, unit: str, *, sticky: bool) -> Assignment:
    """Assign a unit to an arm whose answers learners see.

    The arms after the first take the low buckets in their order, the stable arm the rest, so raising
    a weight only adds units to it. ``sticky`` says whether the unit is a learner or the request itself.
    """
    u = place(route.salt, unit)
    bucket = u * FULL >> 64
    edge = 0
    chosen = route.stable
    for arm in route.learners[1:]:
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
    """The shadow arm, where this request is copied to it: the low buckets are, as a canary's would be."""
    arm = route.shadow
    return arm if arm is not None and assignment.bucket < arm.weight_bp else None


def of_copy(assignment: Assignment, arm: Arm) -> Assignment:
    """The assignment a copy's own trace carries: its request's, at the shadow arm."""
    return msgspec.structs.replace(assignment, arm=arm.name)


def reassigned(route: Route, stored: Assignment, unit: str) -> Assignment:
    """What ``assign`` says of a stored assignment's unit; of a copy's, where the stored one is of a copy."""
    again = assign(route, unit, sticky=stored.sticky)
    arm = copied(route, again)
    return of_copy(again, arm) if arm is not None and stored.arm == arm.name else again


def weight_of(text: str) -> int:
    """A weight a person typed, in basis points: ``10%``, ``2.5 %``, ``250`` or ``250 bp``.

    Raises:
        BadInput: it is neither a percentage nor a whole number of basis points.
    """
    percent, points = _PERCENT.fullmatch(text.strip()), _POINTS.fullmatch(text.strip())
    if percent is not None:
        return int(percent[1]) * 100 + int((percent[2] or "").ljust(2, "0"))
    if points is not None:
        return int(points[1])
    raise BadInput(f"{visible(text, 40)!r} is not a weight", "write it as 10% or as basis points: 1000")


def ladder_body(ladder: Ladder) -> dict[str, Any]:
    """A ladder as an event's body keeps it: every number in force then, its steps as short lists."""
    steps = [[step.weight_bp, step.min_seconds, step.min_samples] for step in ladder.steps]
    return {"steps": steps, "at": ladder.at, "auto": ladder.auto, "guard": msgspec.to_builtins(ladder.guard)}


def ladder_of(body: dict[str, Any]) -> Ladder:
    """The ladder of an event's body."""
    steps = tuple(Step(weight_bp=w, min_seconds=seconds, min_samples=n) for w, seconds, n in body["steps"])
    guard = msgspec.convert(body["guard"], Guard)
    return Ladder(steps=steps, at=body["at"], auto=body["auto"], guard=guard)


def single(sha: str, semver: str, reason: str, *, kind: str = "routed", verb: str | None = None) -> Draft:
    """All traffic to one entry."""
    arm = Arm(name="stable", sha=sha, semver=semver, weight_bp=FULL)
    body = {"sha": sha, "strategy": "single", "arms": [msgspec.to_builtins(arm)], "reason": reason}
    return Draft(kind=kind, body={**body, "verb": verb} if verb else body)
