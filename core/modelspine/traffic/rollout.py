"""Rollouts as decisions: from a state to the events that start, weigh, advance or end one.

Pure. Every change of weights is a new route event, so a new epoch, under the id of its rollout: units keep their
buckets. It does not append, hash or measure; ``traffic.commands`` does the first two, ``traffic.canary`` the third.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.errors import Refused
from modelspine.ledger.route import FULL, SHADOW, Arm, Ladder, Route, ladder_body, single
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft
from modelspine.registry.rules import may_route, may_shadow
from modelspine.text import short
from modelspine.traffic.ladder import after, at_weight

ARMS = {"ab": "candidate", "canary": "canary", SHADOW: SHADOW}
"""Strategy → the name of the arm beside the stable one."""


def start(
    state: State, strategy: str, sha: str, weight_bp: int, reason: str, ladder: Ladder | None = None
) -> list[Draft]:
    """Begin to try an entry out beside the stable one; nothing where that is so already.

    Raises:
        Refused: nothing is stable yet, another rollout is under way, or the entry may not take this traffic.
    """
    route = state.route
    if route is None:
        raise Refused("nothing is routed yet", "the first promotion routes: `spine promote REF --semver v0.1.0`")
    tried = route.candidate
    if tried is not None and (route.strategy, tried.sha, tried.weight_bp) == (strategy, sha, weight_bp):
        return []
    if route.strategy in ("ab", "canary"):
        raise Refused(
            f"a rollout is under way: {route.strategy} of {short(route.arms[1].sha)} since #{route.salt}",
            "end it first: `spine route abort`, `advance`, or `single REF`",
        )
    if sha == route.stable.sha:
        raise Refused(f"{short(sha)} is the stable arm already", "try another entry out")
    semver = may_shadow(state, sha) if strategy == SHADOW else may_route(state, sha)
    stable = msgspec.structs.replace(route.stable, weight_bp=FULL if strategy == SHADOW else FULL - weight_bp)
    arm = Arm(name=ARMS[strategy], sha=sha, semver=semver, weight_bp=weight_bp)
    return [_routed(strategy, (stable, arm), ladder, reason, verb="start", rollout=None)]


def weigh(state: State, weight_bp: int, reason: str) -> list[Draft]:
    """Give the arm that is tried out another weight; a canary then stays there until somebody advances it.

    Raises:
        Refused: nothing is tried out, or the weight is everything.
    """
    route, arm = under_way(state)
    auto = route.ladder is not None and route.ladder.auto
    if arm.weight_bp == weight_bp and not auto:
        return []
    ladder = at_weight(route.ladder, weight_bp, auto=False) if route.ladder else None
    return [_weighed(state, route, arm, weight_bp, ladder, reason, "weight")]


def advance(state: State, reason: str) -> list[Draft]:
    """Take a canary to its next step; behind the last one all traffic goes to it and it is stable.

    Raises:
        Refused: no canary is under way, or its entry may take no traffic any more.
    """
    route, arm = under_way(state)
    if route.strategy != "canary" or route.ladder is None:
        raise Refused(
            f"{route.strategy} has no steps",
            "give it a weight (`spine route advance --weight BP`), or end it (`spine route single REF`)",
        )
    ladder = after(route.ladder, arm.weight_bp)
    if ladder is None:
        return [single(arm.sha, may_route(state, arm.sha), reason, verb="advance")]
    return [_weighed(state, route, arm, ladder.steps[ladder.at].weight_bp, ladder, reason, "advance")]


def abort(state: State, reason: str) -> list[Draft]:
    """End what is tried out: the route is the one before the rollout, and the entry is held.

    Raises:
        Refused: nothing is tried out.
    """
    route, arm = under_way(state)
    back = state.before_rollout
    if back is not None and _stands(state, back) and back.stable.sha == route.stable.sha:
        rollout = int(back.salt) if back.candidate else None
        drafts = [_routed(back.strategy, back.arms, back.ladder, reason, verb="abort", rollout=rollout)]
    else:
        drafts = [single(route.stable.sha, route.stable.semver, reason, verb="abort")]
    if state.entries[arm.sha].held is None:
        drafts.append(Draft(kind="held", body={"sha": arm.sha, "reason": reason}))
    return drafts


def under_way(state: State) -> tuple[Route, Arm]:
    """The route and the arm that is tried out.

    Raises:
        Refused: there is none.
    """
    route = state.route
    if route is None or route.candidate is None:
        raise Refused("nothing is tried out now", "begin with `spine route shadow|canary|ab REF`")
    return route, route.candidate


def _stands(state: State, route: Route) -> bool:
    """Whether a route that was left may be taken up again."""
    try:
        for arm in route.learners:
            may_route(state, arm.sha)
        if route.shadow is not None:
            may_shadow(state, route.shadow.sha)
    except Refused:
        return False
    return True


def _weighed(
    state: State, route: Route, arm: Arm, weight_bp: int, ladder: Ladder | None, reason: str, verb: str
) -> Draft:
    shadow = route.strategy == SHADOW
    if weight_bp >= FULL and not shadow:
        raise Refused(
            "all of the traffic is no weight but an end of the rollout",
            f"`spine route single {arm.semver} --reason TEXT` makes it the stable arm",
        )
    semver = may_shadow(state, arm.sha) if shadow else may_route(state, arm.sha)
    stable = route.stable if shadow else msgspec.structs.replace(route.stable, weight_bp=FULL - weight_bp)
    changed = msgspec.structs.replace(arm, weight_bp=weight_bp, semver=semver)
    return _routed(route.strategy, (stable, changed), ladder, reason, verb=verb, rollout=int(route.salt))


def _routed(
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
