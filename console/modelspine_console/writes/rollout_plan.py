"""What the changes of a rollout would do, for their plans: the route afterwards, the fields, the affected traffic.

Pure: the route afterwards is taken from the events that core would append. It reads no store and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelspine.ledger.route import FULL, SHADOW
from modelspine.text import short
from modelspine.traffic import rollout
from modelspine.traffic.ladder import after as next_step
from modelspine.traffic.ladder import default_ladder
from modelspine_console.writes.plan import Ask, Step, Touched

if TYPE_CHECKING:
    from modelspine.ledger.route import Arm, Route
    from modelspine.ledger.state import State
    from modelspine.ledger.store import Draft

VERBS = frozenset({"canary", SHADOW, "weight", "advance", "abort"})
NAMED = frozenset({"canary", "advance"})
"""Verbs that give users to a less proven entry without a typed weight; the name of the entry has to be typed."""
PAST = {"canary": "canary started", SHADOW: "shadow started", "weight": "weight set", "advance": "advanced",
        "abort": "aborted"}  # fmt: skip
_STAYS = "stays at this weight until it is advanced (N)"
_CLIMBS = "auto-advances while not worse; aborts otherwise"
_HINT = "10% or 1000 (basis points)"


def shares(arms: Sequence[dict[str, Any]]) -> str:
    """The arms of an event with their shares, as text."""
    return ", ".join(
        f"{arm['name']} {arm['semver'] or short(arm['sha'])} {100 * arm['weight_bp'] / FULL:g} %" for arm in arms
    )


def after(verb: str, state: State, name: str, judged: int | None = None) -> str:
    """The route after the change, and the entries put on hold; ``WEIGHT`` stands for what is typed.

    ``judged`` is the epoch whose verdict is ``pass`` now, if there is one.
    """
    if verb == "abort":
        return _outcome(state, rollout.abort(state, "?"))
    if verb == "advance":
        return _outcome(state, rollout.advance(state, "?", judged=judged))
    if verb == SHADOW:
        return f"WEIGHT of requests mirrored to {name}; responses discarded"
    arm = "canary" if verb == "canary" else _candidate(state).name
    return f"WEIGHT {arm} {name}" + ("" if arm == SHADOW else ", the rest stable")


def _outcome(state: State, drafts: Sequence[Draft]) -> str:
    routes = [shares(draft.body["arms"]) for draft in drafts if "arms" in draft.body]
    held = [state.entries[draft.body["sha"]] for draft in drafts if draft.kind == "held"]
    names = [entry.semvers[-1] if entry.semvers else short(entry.sha) for entry in held]
    return "; ".join([*routes, *(f"{name} put on hold" for name in names)])


def asks(verb: str, state: State) -> tuple[Ask, ...]:
    """The fields besides the reason."""
    if verb == "canary":
        steps = ", ".join(f"{step.weight_bp / 100:g} %" for step in default_ladder().steps)
        return (Ask(id="weight", label="weight", hint=f"empty: {steps}", least=1, most=FULL - 1, optional=True),)
    if verb == SHADOW:
        return (Ask(id="weight", label="share", hint="empty: all", flag="--share", least=1, optional=True),)
    if verb == "weight":
        most = FULL if _candidate(state).name == SHADOW else FULL - 1
        return (Ask(id="weight", label="weight", hint=_HINT, most=most),)
    return ()


def touches(verb: str, state: State) -> Touched:
    """The arms between which users move; none if requests are only mirrored."""
    route = state.route
    arms = route.learners if route is not None else ()
    unseen = verb == SHADOW or (route is not None and route.shadow is not None and verb != "canary")
    return Touched() if unseen else Touched(arms=tuple(f"{arm.name} {arm.semver}" for arm in arms))


def step(
    verb: str, state: State, an_hour: int | None, per_second: float | None, skips: tuple[str, ...] = ()
) -> Step | None:
    """The change of weight, with the guard that limits its harm; ``skips`` are the conditions that it does not meet."""
    route = state.route
    if route is None:
        return None
    if verb == "canary":
        chosen = default_ladder()
        return Step(before_bp=0, after_bp=chosen.steps[0].weight_bp, guard=chosen.guard, then=(_CLIMBS, _STAYS),
                    an_hour=an_hour, per_second=per_second)  # fmt: skip
    if verb == SHADOW:
        return Step(before_bp=0, after_bp=FULL, seen=False)
    return _moved(verb, route, an_hour, per_second, skips)


def _moved(
    verb: str, route: Route, an_hour: int | None, per_second: float | None, skips: tuple[str, ...]
) -> Step | None:
    candidate, ladder = route.candidate, route.ladder
    if candidate is None:
        return None
    to: int | None = None if verb == "weight" else 0
    guard = ladder.guard if ladder is not None and verb != "abort" else None
    if verb == "advance":
        further = next_step(ladder, candidate.weight_bp) if ladder is not None else None
        to = further.steps[further.at].weight_bp if further is not None else FULL
        guard = guard if further is not None else None
    then = ("", _STAYS if verb == "weight" and ladder is not None else "")
    return Step(before_bp=candidate.weight_bp, after_bp=to, seen=route.shadow is None, guard=guard, then=then,
                an_hour=an_hour, per_second=per_second, skips=skips)  # fmt: skip


def _candidate(state: State) -> Arm:
    return rollout.under_way(state)[1]
