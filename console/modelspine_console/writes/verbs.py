"""The call of core's registry or routing that carries out each change.

``writes.changes`` passes a writable spine with the confirmed plan and what was typed; nothing is opened or
decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

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


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the traces say about the canary in progress now."""

    judged: int | None = None
    """Its epoch, where the verdict is ``pass``."""
    skips: tuple[str, ...] = ()
    """The conditions of its next step that a step by hand would skip."""


def decide_now(spine: Spine) -> Verdict:
    """The verdict on the canary in progress; reads the traces of its epoch."""
    from modelspine.traffic.canary import decision_now
    from modelspine.traffic.ladder_progress import skipped_by_advancing

    decision, problem = decision_now(spine.registry, lambda: spine.traces, datetime.now(UTC))
    judged = decision.judged if decision is not None else None
    return Verdict(judged=judged, skips=skipped_by_advancing(decision, problem or ""))


def _weigh(spine: Spine, plan: Plan, values: Values) -> Any:
    return spine.routing.weigh(weight_of(values["weight"]), judged=decide_now(spine).judged, **_common(plan, values))


def _advance(spine: Spine, plan: Plan, values: Values) -> Any:
    return spine.routing.advance(judged=decide_now(spine).judged, **_common(plan, values))


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
