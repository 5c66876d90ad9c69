"""What each change calls of core's registry and routing, with what was planned and what was typed.

``writes.changes`` hands it a writable spine; nothing is opened here, and nothing decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelspine.ledger.route import FULL, weight_of
from modelspine_console.writes.plan import Plan

if TYPE_CHECKING:
    from modelspine.spine import Spine


def _promote(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
    from modelspine.release.promotion import read_attempt

    file = values.get("verdict", "").strip()
    verdict = read_attempt(spine, Path(file).expanduser()) if file else None
    return spine.registry.promote(
        plan.sha, values["semver"], reason=values["reason"], verdict=verdict, expected=plan.seq, key=plan.key
    )


def _named(method: str, of: str) -> Callable[[Spine, Plan, Mapping[str, str]], Any]:
    """A method of the registry or of the routing, given the entry it is about."""

    def do(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
        verb = getattr(getattr(spine, of), method)
        return verb(plan.sha, reason=values["reason"], expected=plan.seq, key=plan.key)

    return do


def _canary(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
    return spine.routing.canary(
        plan.sha, weight_bp=_typed(values), reason=values["reason"], expected=plan.seq, key=plan.key
    )


def _shadow(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
    typed = _typed(values)
    share = FULL if typed is None else typed
    return spine.routing.shadow(plan.sha, share_bp=share, reason=values["reason"], expected=plan.seq, key=plan.key)


def _weight(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
    weight_bp = weight_of(values["weight"])
    return spine.routing.weigh(weight_bp, reason=values["reason"], expected=plan.seq, key=plan.key)


def _typed(values: Mapping[str, str]) -> int | None:
    text = values.get("weight", "").strip()
    return weight_of(text) if text else None


def _moved(method: str) -> Callable[[Spine, Plan, Mapping[str, str]], Any]:
    def do(spine: Spine, plan: Plan, values: Mapping[str, str]) -> Any:
        return getattr(spine.routing, method)(reason=values["reason"], expected=plan.seq, key=plan.key)

    return do


VERBS: dict[str, Callable[[Spine, Plan, Mapping[str, str]], Any]] = {
    "canary": _canary,
    "shadow": _shadow,
    "weight": _weight,
    "advance": _moved("advance"),
    "abort": _moved("abort"),
    "promote": _promote,
    "rollback": _named("rollback", "routing"),
    "route": _named("single", "routing"),
    "release": _named("release", "registry"),
    "tombstone": _named("tombstone", "registry"),
}
"""Verb → what it calls."""
