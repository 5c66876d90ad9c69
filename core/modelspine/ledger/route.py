"""The route that divides traffic between entries, and the assignment of a unit (a learner or a request) to an arm.

Assignment is a pure function: the same route and unit give the same arm on every replica, and again when an incident
is investigated later. It does not know HTTP, how events are stored, or what a model is.
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
"""The strategy that sends copies of requests to its second arm, and the name of that arm."""
UNROUTED = "unrouted"
"""The arm of an answer by an entry that its route does not name, where another server chose."""
UNATTRIBUTED = "unattributed"
"""The arm of an answer by a model that means no entry."""
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))? ?%", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{16}", re.ASCII)
_POINTS = re.compile(r"(\d{1,9})(?: ?bp)?", re.ASCII)


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One entry's share of a route. The weight of a shadow arm is the share of traffic that is copied to it."""

    name: str
    sha: str
    semver: str
    """Empty for a shadow that was never promoted."""
    weight_bp: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a canary's ladder, and the minimum time and samples before the next."""

    weight_bp: int
    min_seconds: int
    min_samples: int
    """Minimum judged answers of the canary: graded by the workload or, if it has no oracle, by learners."""


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of what a canary may lose against the stable arm, and how often they are checked."""

    margin_bp: int = 200
    """Share of correct answers it may lose, in basis points; the default is the gate's 2 pp."""
    error_bp: int = 100
    latency_pct: int = 50
    """Increase of the mean latency over the stable arm that is allowed, in percent."""
    window_seconds: int = 30
    horizon: int = 200
    """Number of units (both arms) at which the always-valid interval is narrowest."""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """The steps by which a canary's weight increases."""

    steps: tuple[Step, ...]
    at: int
    """Index of the step in force."""
    auto: bool
    """Whether it advances automatically; a weight set by hand stays until it is advanced by hand."""
    guard: Guard


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The division of traffic in force since the ledger event ``epoch``. The first arm is the stable one."""

    strategy: str
    epoch: int
    salt: str
    """The rollout's id: the seq of its first event. It stays when the weight changes, and so do assignments."""
    arms: tuple[Arm, ...]
    ladder: Ladder | None = None
    """Only a canary has one."""

    @property
    def stable(self) -> Arm:
        """The arm that counts as production."""
        return self.arms[0]

    @property
    def candidate(self) -> Arm | None:
        """The arm under test, if any."""
        return self.arms[1] if len(self.arms) > 1 else None

    @property
    def learners(self) -> tuple[Arm, ...]:
        """The arms whose answers reach learners."""
        return self.arms[:1] if self.strategy == SHADOW else self.arms

    @property
    def shadow(self) -> Arm | None:
        """The arm that receives copies of requests, if any; its answers are discarded."""
        return self.candidate if self.strategy == SHADOW else None


def unit_hash(salt: str, unit: str) -> int:
    """A unit's hash in 0 … 2^64 - 1: uniform over units, independent between salts."""
    # surrogatepass, because a client may send lone surrogates in JSON, and every unit must have a place.
    digest = hashlib.sha256(f"{salt}|{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def assign(route: Route, unit: str, *, sticky: bool) -> Assignment:
    """Assign a unit to one of the arms whose answers reach learners.

    ``sticky`` says whether the unit is a learner or only the request itself.
    """
    return _assigned(route, unit_hash(route.salt, unit), unit, sticky=sticky)


def _assigned(route: Route, u: int, unit: str | None, *, sticky: bool) -> Assignment:
    """The assignment of a unit with this hash."""
    bucket = u * FULL >> 64  # floor(u / 2^64 * 10,000) without the rounding of a division
    # The arms after the first take the lowest buckets in order, the stable arm takes the rest: raising the weight of
    # a canary moves units to it and none away from it.
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


def assign_tester(route: Route, unit: str, *, sticky: bool, tester: str, arm: str | None) -> Assignment:
    """Assign a tester to the arm they chose, or without a choice to the arm of their bucket.

    ``candidate`` stands for the arm under test whatever the strategy calls it.

    Raises:
        BadInput: the route has no such arm.
    """
    plain = assign(route, unit, sticky=sticky)
    names = {each.name: each.name for each in route.arms}
    if route.candidate is not None:
        names["candidate"] = route.candidate.name
    chosen = plain.arm if arm is None else names.get(arm)
    if chosen is None:
        raise BadInput(
            f"the current route has no arm {visible(arm or '', 40)!r}", f"choose one of {', '.join(sorted(names))}"
        )
    return msgspec.structs.replace(plain, arm=chosen, tester=tester)


def shadow_arm_of(route: Route, assignment: Assignment) -> Arm | None:
    """The shadow arm if this request is copied to it, else None; the lowest buckets are copied."""
    arm = route.shadow
    return arm if arm is not None and assignment.bucket < arm.weight_bp else None


def shadow_assignment(assignment: Assignment, arm: Arm) -> Assignment:
    """The assignment in the trace of a copy: that of the original request, but for the shadow arm."""
    # Bucket and unit stay, so that a copy can be matched with its request.
    return msgspec.structs.replace(assignment, arm=arm.name)


def reassigned(route: Route, stored: Assignment) -> Assignment:
    """The assignment computed again for a stored one, to compare with it; also for the assignment of a copy.

    Where the unit was not kept, its hash decides, which the trace has all the same.
    """
    if stored.unit is not None:
        again = assign(route, stored.unit, sticky=stored.sticky)
    else:
        # A hash of another form is no hash that Spine stored: 0 then differs from it.
        u = int(stored.u, 16) if _HASH.fullmatch(stored.u) else 0
        again = _assigned(route, u, None, sticky=stored.sticky)
    if stored.tester is not None:  # the tester's choice cannot be computed; all else can
        return msgspec.structs.replace(again, arm=stored.arm, tester=stored.tester)
    arm = shadow_arm_of(route, again)
    return shadow_assignment(again, arm) if arm is not None and stored.arm == arm.name else again


def weight_of(text: str) -> int:
    """A weight that a person typed, in basis points: ``10%``, ``2.5 %``, ``250`` or ``250 bp``.

    Raises:
        BadInput: the text is neither a percentage nor a whole number of basis points.
    """
    percent, points = _PERCENT.fullmatch(text.strip()), _POINTS.fullmatch(text.strip())
    if percent is not None:
        return int(percent[1]) * 100 + int((percent[2] or "").ljust(2, "0"))
    if points is not None:
        return int(points[1])
    raise BadInput(f"{visible(text, 40)!r} is not a weight", "write it as 10% or as basis points: 1000")


def ladder_body(ladder: Ladder) -> dict[str, Any]:
    """A ladder in the encoding of an event's body; steps are short lists to save space."""
    steps = [[step.weight_bp, step.min_seconds, step.min_samples] for step in ladder.steps]
    return {"steps": steps, "at": ladder.at, "auto": ladder.auto, "guard": msgspec.to_builtins(ladder.guard)}


def ladder_of(body: dict[str, Any]) -> Ladder:
    """Decode the ladder of an event's body."""
    steps = tuple(Step(weight_bp=w, min_seconds=seconds, min_samples=n) for w, seconds, n in body["steps"])
    guard = msgspec.convert(body["guard"], Guard)
    return Ladder(steps=steps, at=body["at"], auto=body["auto"], guard=guard)


def single(sha: str, semver: str, reason: str, *, kind: str = "routed", verb: str | None = None) -> Draft:
    """The draft of an event that routes all traffic to one entry."""
    arm = Arm(name="stable", sha=sha, semver=semver, weight_bp=FULL)
    body = {"sha": sha, "strategy": "single", "arms": [msgspec.to_builtins(arm)], "reason": reason}
    return Draft(kind=kind, body={**body, "verb": verb} if verb else body)
