"""The call of core's registry or routing that carries out each change.

``writes.changes`` passes a writable spine with the confirmed plan and what was typed; nothing is opened or
decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelspine.ledger.route import FULL, weight_of
from modelspine_console.writes.plan import Plan

if TYPE_CHECKING:
    from modelspine.spine import Spine

Values = Mapping[str, str]
"""What was typed, by the id of its field."""


def _common(plan: Plan, values: Values) -> dict[str, Any]:
    """What every change passes on: its reason, the seq it was planned on, and the idempotency key."""
    return {"reason": values["reason"], "expected": plan.seq, "key": plan.key}


def _promote(spine: Spine, plan: Plan, values: Values) -> Any:
    from modelspine.release.promotion import read_attempt

    file = values.get("verdict", "").strip()
    verdict = read_attempt(spine, Path(file).expanduser()) if file else None
    return spine.registry.promote(plan.sha, values["semver"], verdict=verdict, **_common(plan, values))


def _weight(values: Values) -> int | None:
    """The weight in basis points; None if nothing was typed."""
    text = values.get("weight", "").strip()
    return weight_of(text) if text else None


def _canary(spine: Spine, plan: Plan, values: Values) -> Any:
    return spine.routing.canary(plan.sha, weight_bp=_weight(values), **_common(plan, values))


def _shadow(spine: Spine, plan: Plan, values: Values) -> Any:
    weight = _weight(values)
    return spine.routing.shadow(plan.sha, share_bp=FULL if weight is None else weight, **_common(plan, values))


def _tombstone(spine: Spine, plan: Plan, values: Values) -> Any:
    from modelspine.release.promotion import tombstone

    return tombstone(spine, plan.sha, **_common(plan, values))


def judged(spine: Spine) -> int | None:
    """The epoch of the current canary, where its verdict is ``pass`` now."""
    from modelspine.traffic.canary import decision_now

    decision, _ = decision_now(spine.registry, lambda: spine.traces, datetime.now(UTC))
    return decision.judged if decision is not None else None


def _weigh(spine: Spine, plan: Plan, values: Values) -> Any:
    return spine.routing.weigh(weight_of(values["weight"]), judged=judged(spine), **_common(plan, values))


def _advance(spine: Spine, plan: Plan, values: Values) -> Any:
    return spine.routing.advance(judged=judged(spine), **_common(plan, values))


VERBS: dict[str, Callable[[Spine, Plan, Values], Any]] = {
    "canary": _canary,
    "shadow": _shadow,
    "weight": _weigh,
    "advance": _advance,
    "abort": lambda spine, plan, values: spine.routing.abort(**_common(plan, values)),
    "promote": _promote,
    "rollback": lambda spine, plan, values: spine.routing.rollback(plan.sha, **_common(plan, values)),
    "route": lambda spine, plan, values: spine.routing.single(plan.sha, **_common(plan, values)),
    "release": lambda spine, plan, values: spine.registry.release(plan.sha, **_common(plan, values)),
    "tombstone": _tombstone,
}
"""Verb → the call that carries it out."""
