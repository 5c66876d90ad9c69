"""Who may get most of the traffic, or become the stable arm: what a change is held to, and what ``verify`` asks again.

An entry leads if its promotion compared it with production, or if the canary in force was judged and passed. The
operations of ``traffic.rollout`` and the reader of the ledger ask the same functions. Pure; it measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from modelspine.errors import Refused
from modelspine.ledger.event import Event
from modelspine.ledger.route import FULL, SHADOW, Arm, Guard, Route
from modelspine.ledger.state import State
from modelspine.registry.rules import gate_overridden, may_lead
from modelspine.text import short
from modelspine.traffic.epochs import CONTROLLER_KEY
from modelspine.traffic.ladder import after

HALF = FULL // 2
"""The largest share that an entry may get without being compared with production, in basis points."""


def share_of(route: Route | None, sha: str) -> int:
    """The share of learners that a route gives to an entry, in basis points."""
    return sum(arm.weight_bp for arm in route.learners if arm.sha == sha) if route is not None else 0


def taking_over(state: State, route: Route) -> Iterator[Arm]:
    """The arms that a new route makes the stable one, or gives more than half of the traffic and more than before."""
    for arm in route.learners:
        if arm.sha == state.production:
            continue
        share = share_of(route, arm.sha)
        if arm is route.stable or (share > HALF and share > share_of(state.route, arm.sha)):
            yield arm


def may_take_over(state: State, sha: str, judged: int | None = None) -> dict[str, int]:
    """What the event of a step to most of the traffic records: the epoch that was judged, where it rests on that.

    Args:
        state: the state that is decided on.
        sha: the entry that gets the traffic.
        judged: the epoch whose verdict is ``pass``, if there is one.

    Raises:
        Refused: in a prod ledger, neither the entry's promotion nor a verdict on this canary compared it with
            production, that verdict has wider limits than the gate, or its newest gate run failed.
    """
    if state.env != "dev":  # in a dev ledger a failed gate may have been overridden when the rollout began
        gate_overridden(state, sha, state.env, override=False)
    try:
        may_lead(state, sha)
    except Refused as error:
        epoch = _epoch_of_canary(state, sha)
        if judged is not None and judged == epoch:
            route = state.route
            check_limits(route.ladder.guard if route is not None and route.ladder is not None else Guard())
            return {"judged": judged}
        lacks = "no canary of it is in force" if epoch is None else "its canary has no passing verdict"
        way = "start a canary" if epoch is None else "wait for the verdict (`spine route show`)"
        raise Refused(
            f"{error.message}, and {lacks}",
            f"without that it gets {HALF // 100} % at most: {way}, or gate it again and promote it under a new semver",
        ) from error
    return {}


def check_limits(guard: Guard) -> None:
    """Check that a canary's verdict may stand for the comparison with production that no gate made.

    Raises:
        Refused: its limits are wider than those of a canary without a file of steps, which are the gate's.
    """
    limits = Guard()
    for name, found, most in (
        ("correct answers", guard.margin_bp, limits.margin_bp),
        ("answered requests", guard.error_bp, limits.error_bp),
    ):
        if found > most:
            raise Refused(
                f"this canary may lose {found / 100:g} pp of its {name}; its entry was not compared with production, "
                f"and only a verdict that allows {most / 100:g} pp stands for that",
                "give its steps no wider limits, or gate the entry again and promote it under a new semver",
            )


def leads(state: State, sha: str) -> bool:
    """Whether an entry may be given all traffic without a verdict on a canary."""
    try:
        may_lead(state, sha)
    except Refused:
        return False
    return True


def takeover_faults(state: State, route: Route, event: Event) -> Iterator[str]:
    """Why an entry may not get the traffic that an event of the ledger gives it; ``state`` is the one before it."""
    judged = event.body.get("judged")
    found: list[str] = []
    if not rests_on_old_step(state, route, event):
        for arm in taking_over(state, route):
            found += _refusal(partial(may_take_over, state, arm.sha, judged if isinstance(judged, int) else None))
    if (rollout := event.body.get("rollout")) is not None and not _continues(state, route):
        found.append(f"it claims to continue the rollout #{rollout}, which is none of these entries")
    if isinstance(judged, int) and judged != (state.route.epoch if state.route is not None else None):
        found.append(f"it names epoch #{judged} as judged, which was not in force")
    for arm in route.learners:
        # A dev ledger records an override; in one of prod there is none, and a failed gate is the end of it.
        if state.env != "dev" and share_of(route, arm.sha) > share_of(state.route, arm.sha):
            asked = partial(gate_overridden, override=False, since=began(state, arm.sha))
            found += _refusal(partial(asked, state, arm.sha, state.env))
    yield from dict.fromkeys(found)


def _refusal(rule: Callable[[], object]) -> list[str]:
    """The message of a rule that refuses; empty where it does not."""
    try:
        rule()
    except Refused as error:
        return [error.message]
    return []


def rests_on_old_step(state: State, route: Route, event: Event) -> bool:
    """Whether an event is an automatic step of a version that did not record what it was judged on.

    Its key names the epoch, and it goes to the next step of the ladder. Whether the epoch had a passing verdict is no
    longer known.
    """
    before, arm = state.route, route.arms[-1]
    epoch = _epoch_of_canary(state, arm.sha)
    if before is None or before.ladder is None or epoch is None or "judged" in event.body:
        return False
    if not str(event.body.get("key", "")).startswith(f"{CONTROLLER_KEY}{epoch}-"):
        return False
    ladder = after(before.ladder, share_of(before, arm.sha))
    expected = ladder.steps[ladder.at].weight_bp if ladder is not None else FULL
    if share_of(route, arm.sha) != expected or route.stable.sha not in (arm.sha, state.production):
        return False
    return not leads(state, arm.sha) and any(True for _ in taking_over(state, route))


def old_step_text(state: State, route: Route) -> str:
    """What was not checked of such a step."""
    epoch = state.route.epoch if state.route is not None else 0
    return f"whether epoch #{epoch} of {short(route.arms[-1].sha)} had a passing verdict; its event does not record it"


def _epoch_of_canary(state: State, sha: str) -> int | None:
    """The epoch of the canary in force if it is this entry's."""
    route = state.route
    arm = route.candidate if route is not None and route.strategy == "canary" else None
    return route.epoch if route is not None and arm is not None and arm.sha == sha else None


def _continues(state: State, route: Route) -> bool:
    """Whether a route belongs to a rollout of the same entry that was in force before."""
    own = (route.salt, route.strategy, route.arms[-1].sha)
    return any((each.salt, each.strategy, each.arms[-1].sha) == own for each in reversed(state.routes))


def began(state: State, sha: str) -> int:
    """The seq at which the rollout of an entry began, when its gate was asked; 0 if none of it is under way."""
    # Not what the newest event says of its rollout: one that was written past the registry can name any event.
    found = 0
    for route in reversed(state.routes):
        if route.strategy == SHADOW or route.candidate is None or route.candidate.sha != sha:
            break
        found = route.epoch
    return found
