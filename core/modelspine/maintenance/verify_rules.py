"""A change in the ledger held against the rules again, on the state it was made on.

The registry appends nothing that ``registry.rules`` refuses, so an event they refuse was written past it. It does not
know signatures, bundles or where events are kept.
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
from modelspine.registry.rules import may_answer, may_lead, may_promote, may_roll_back, may_route, may_shadow
from modelspine.text import short

MOVES = ("promoted", "routed", "rolled_back")
"""Kinds of event that move a pointer."""


def breaches(state: State, event: Event) -> Iterator[str]:
    """What the rules say against an event that moved a pointer, on the state before it; nothing where they allow it."""
    if event.kind == "promoted":
        yield from _refusal(state, event.body["sha"], lambda sha: _promote(state, sha, event))
        return
    route = route_of(event)
    by_hand = route.strategy == "single" and "verb" not in event.body
    may_move = may_roll_back if event.kind == "rolled_back" else may_lead if by_hand else may_route
    for arm in route.learners:
        yield from _refusal(state, arm.sha, partial(_answers, state, arm.semver, may_move))
    if route.shadow is not None:
        yield from _refusal(state, route.shadow.sha, lambda sha: may_shadow(state, sha))
    if sum(arm.weight_bp for arm in route.learners) != FULL:
        yield "the arms do not add up to all of the traffic"


def _promote(state: State, sha: str, event: Event) -> None:
    signed, override = verdict_kind(event) == "signed", event.body.get("override") is True
    may_promote(state, sha, str(event.body["semver"]), "dev", signed=signed, override=override)


def _answers(state: State, semver: str, may_move: Callable[[State, str], str], sha: str) -> None:
    may_move(state, sha)
    may_answer(state, sha, semver)


def _refusal(state: State, sha: str, rule: Callable[[str], Any]) -> Iterator[str]:
    if sha not in state.entries:
        yield f"{short(sha)} was never registered"
        return
    try:
        rule(sha)
    except Refused as error:
        yield error.message
