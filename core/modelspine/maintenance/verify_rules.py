"""Checking ledger events against the rules again, each on the state in which it was appended.

The registry appends nothing that ``registry.rules`` refuses, so an event they refuse was written around it. It does not
know signatures, bundles or how events are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from modelspine.errors import Refused
from modelspine.ledger.route import FULL
from modelspine.ledger.state import State, route_of
from modelspine.ledger.store import Event
from modelspine.registry.promotion_record import verdict_kind
from modelspine.registry.rules import may_answer, may_promote, may_roll_back, may_route, may_shadow
from modelspine.text import short
from modelspine.traffic.most_traffic import old_step_text, rests_on_old_step, takeover_faults

MOVES = ("promoted", "routed", "rolled_back")
"""Kinds of event that change which entry is promoted or routed."""


def breaches(state: State, event: Event) -> Iterator[str]:
    """The reasons why the rules refuse an event in the state before it; none where they allow it."""
    if event.kind == "promoted":
        yield from _refusal(state, event.body["sha"], lambda sha: _promote(state, sha, event))
        return
    route = route_of(event)
    back = event.kind == "rolled_back"
    may_move = may_roll_back if back else may_route
    for arm in route.learners:
        yield from _refusal(state, arm.sha, partial(_answers, state, arm.semver, may_move))
    # What an event calls itself decides nothing: the share that it gives is held to the rule.
    if not back and all(arm.sha in state.entries for arm in route.learners):
        yield from takeover_faults(state, route, event)
    if route.shadow is not None:
        yield from _refusal(state, route.shadow.sha, lambda sha: may_shadow(state, sha))
    if sum(arm.weight_bp for arm in route.learners) != FULL:
        yield "the weights of its arms do not add up to 100 %"


def not_checked(state: State, event: Event) -> str | None:
    """What the rules cannot decide about an event, because it does not record it; None where they can."""
    if event.kind != "routed":
        return None
    route = route_of(event)
    known = all(arm.sha in state.entries for arm in route.learners)
    return old_step_text(state, route) if known and rests_on_old_step(state, route, event) else None


def _promote(state: State, sha: str, event: Event) -> None:
    signed, override = verdict_kind(event) == "signed", event.body.get("override") is True
    may_promote(state, sha, str(event.body["semver"]), "dev", signed=signed, override=override)


def _answers(state: State, semver: str, may_move: Callable[[State, str], str], sha: str) -> None:
    may_move(state, sha)
    may_answer(state, sha, semver)


def _refusal(state: State, sha: str, rule: Callable[[str], Any]) -> Iterator[str]:
    if sha not in state.entries:
        yield f"{short(sha)} was not registered"
        return
    try:
        rule(sha)
    except Refused as error:
        yield error.message
