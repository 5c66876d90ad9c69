"""Decisions about rollouts: from a state to the events that start, reweight, advance or abort one.

Pure. Every change of weights is a new route event and so a new epoch. The rollout keeps its id, which salts the
assignment, so units keep their buckets. ``traffic.commands`` appends events and verifies bundles, and
``traffic.canary`` measures; this module does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelspine.errors import Refused
from modelspine.ledger.route import FULL, SHADOW, Arm, Ladder, Route, ladder_body, single
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft
from modelspine.registry.rules import gate_overridden, may_route, may_shadow
from modelspine.text import short
from modelspine.traffic.ladder import after, at_weight
from modelspine.traffic.most_traffic import HALF, began, check_limits, leads, may_take_over

ARMS = {"ab": "candidate", "canary": "canary", SHADOW: SHADOW}
"""Strategy → the name of the arm beside the stable one."""


def start(
    state: State, strategy: str, sha: str, weight_bp: int, reason: str, ladder: Ladder | None = None
) -> list[Draft]:
    """Start a rollout of an entry beside the stable one; no event where exactly that is active already.

    Raises:
        Refused: there is no route yet, another rollout is in progress, or the entry may not take this traffic.
    """
    route = state.route
    if route is None:
        raise Refused("there is no route yet", "promote a first entry: `spine promote REF --semver v0.1.0`")
    current = route.candidate
    if current is not None and (route.strategy, current.sha, current.weight_bp) == (strategy, sha, weight_bp):
        return []
    # A shadow may be replaced, because no learner sees its answers.
    if route.strategy in ("ab", "canary"):
        raise Refused(
            f"a rollout is in progress: {route.strategy} of {short(route.arms[1].sha)} since #{route.salt}",
            "end it first: `spine route abort`, `advance`, or `single REF`",
        )
    if sha == route.stable.sha:
        raise Refused(f"{short(sha)} is the stable arm already", "choose another entry")
    semver = may_shadow(state, sha) if strategy == SHADOW else may_route(state, sha)
    if strategy != SHADOW and weight_bp > HALF:
        may_take_over(state, sha)
    if ladder is not None and not leads(state, sha):
        check_limits(ladder.guard)  # now, and not when it is to pass half of the traffic and could only wait
    stable = msgspec.structs.replace(route.stable, weight_bp=FULL if strategy == SHADOW else FULL - weight_bp)
    arm = Arm(name=ARMS[strategy], sha=sha, semver=semver, weight_bp=weight_bp)
    return [_route_draft(strategy, (stable, arm), ladder, reason, verb="start", rollout=None)]


def weigh(state: State, weight_bp: int, reason: str, *, judged: int | None = None) -> list[Draft]:
    """Change the candidate's weight; a canary then stays there until it is advanced by hand.

    ``judged`` is the epoch whose verdict is ``pass`` now, if there is one.

    Raises:
        Refused: no rollout is in progress, the weight is 100 %, or the entry may no longer take traffic, or not more.
    """
    route, arm = under_way(state)
    mark: dict[str, Any] = {}
    if weight_bp > arm.weight_bp and (route.strategy == "canary" or (route.strategy == "ab" and weight_bp > HALF)):
        mark = _may_climb(state, arm, judged)
    auto = route.ladder is not None and route.ladder.auto
    # Giving an automatic canary its own weight is a change all the same: it stops the automatic steps.
    if arm.weight_bp == weight_bp and not auto:
        return []
    ladder = at_weight(route.ladder, weight_bp, auto=False) if route.ladder else None
    return marked([_reweighted(state, route, arm, weight_bp, ladder, reason, "weight")], mark)


def advance(state: State, reason: str, *, judged: int | None = None) -> list[Draft]:
    """Advance a canary to its next step; after the last one it takes all traffic and becomes the stable arm.

    ``judged`` is the epoch whose verdict is ``pass`` now, if there is one.

    Raises:
        Refused: no canary is in progress, or its entry may no longer take traffic, or not more.
    """
    route, arm = under_way(state)
    if route.strategy != "canary" or route.ladder is None:
        raise Refused(
            f"{route.strategy} has no steps",
            "give it a weight (`spine route advance --weight BP`), or end it (`spine route single REF`)",
        )
    mark = _may_climb(state, arm, judged)
    ladder = after(route.ladder, arm.weight_bp)
    if ladder is None:
        return marked([single(arm.sha, may_route(state, arm.sha), reason, verb="advance")], mark)
    weight_bp = ladder.steps[ladder.at].weight_bp
    return marked([_reweighted(state, route, arm, weight_bp, ladder, reason, "advance")], mark)


def abort(state: State, reason: str) -> list[Draft]:
    """Abort a rollout: restore the route before it, and hold the candidate.

    Raises:
        Refused: no rollout is in progress.
    """
    route, arm = under_way(state)
    before = state.before_rollout
    # The route before may have been a shadow whose entry was held or tombstoned since; then only the stable arm stays.
    if before is not None and _may_resume(state, before) and before.stable.sha == route.stable.sha:
        rollout = int(before.salt) if before.candidate else None
        drafts = [_route_draft(before.strategy, before.arms, before.ladder, reason, verb="abort", rollout=rollout)]
    else:
        drafts = [single(route.stable.sha, route.stable.semver, reason, verb="abort")]
    if state.entries[arm.sha].held is None:
        drafts.append(Draft(kind="held", body={"sha": arm.sha, "reason": reason}))
    return drafts


def under_way(state: State) -> tuple[Route, Arm]:
    """The active route and its candidate arm.

    Raises:
        Refused: no rollout is in progress.
    """
    route = state.route
    if route is None or route.candidate is None:
        raise Refused("no rollout is in progress", "start one: `spine route shadow|canary|ab REF`")
    return route, route.candidate


def more_traffic(state: State, drafts: Sequence[Draft], env: str, *, override: bool = False) -> dict[str, Any]:
    """What the events of a rollout's next weight record of a gate that failed since the rollout began.

    Raises:
        Refused: it failed, the events give the entry more traffic of learners, and that is not overridden.
    """
    route = state.route
    arm = route.candidate if route is not None else None
    if route is None or arm is None or route.strategy == SHADOW or not drafts:
        return {}
    now = next((each["weight_bp"] for each in drafts[0].body["arms"] if each["sha"] == arm.sha), 0)
    if now <= arm.weight_bp:
        return {}
    return gate_overridden(state, arm.sha, env, override=override, since=began(state, arm.sha))


def marked(drafts: Sequence[Draft], mark: dict[str, Any]) -> list[Draft]:
    """The events of a route with what the first one records about the gate and the canary's verdict."""
    if not mark:
        return list(drafts)
    first, *rest = drafts
    return [msgspec.structs.replace(first, body={**first.body, **mark}), *rest]


def _may_climb(state: State, arm: Arm, judged: int | None) -> dict[str, int]:
    """What the event of a rollout's next weight records of how its entry was compared with production.

    Raises:
        Refused: it may not answer learners, or in a prod ledger was not compared.
    """
    may_route(state, arm.sha)
    return may_take_over(state, arm.sha, judged)


def _may_resume(state: State, route: Route) -> bool:
    """Whether the rules allow an earlier route to be active again."""
    try:
        for arm in route.learners:
            may_route(state, arm.sha)
        if route.shadow is not None:
            may_shadow(state, route.shadow.sha)
    except Refused:
        return False
    return True


def _reweighted(
    state: State, route: Route, arm: Arm, weight_bp: int, ladder: Ladder | None, reason: str, verb: str
) -> Draft:
    shadow = route.strategy == SHADOW
    if weight_bp >= FULL and not shadow:
        raise Refused(
            "100 % ends the rollout and cannot be set as a weight",
            f"`spine route single {arm.semver} --reason TEXT` makes the entry stable",
        )
    semver = may_shadow(state, arm.sha) if shadow else may_route(state, arm.sha)
    stable = route.stable if shadow else msgspec.structs.replace(route.stable, weight_bp=FULL - weight_bp)
    changed = msgspec.structs.replace(arm, weight_bp=weight_bp, semver=semver)
    return _route_draft(route.strategy, (stable, changed), ladder, reason, verb=verb, rollout=int(route.salt))


def _route_draft(
    strategy: str, arms: tuple[Arm, ...], ladder: Ladder | None, reason: str, *, verb: str, rollout: int | None
) -> Draft:
    body: dict[str, Any] = {
        "sha": arms[-1].sha,
        "strategy": strategy,
        "verb": verb,
        "weight_bp": arms[-1].weight_bp,
        "arms": [msgspec.to_builtins(arm) for arm in arms],
        "reason": reason,
        **({"ladder": ladder_body(ladder)} if ladder else {}),
        **({"rollout": rollout} if rollout is not None else {}),
    }
    return Draft(kind="routed", body=body)
