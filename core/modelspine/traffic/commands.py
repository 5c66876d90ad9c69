"""The verbs that move traffic. What each one writes is decided by ``traffic.rollout``; bytes are hashed before anybody
is routed to them.

It does not measure anything, and does not know how events or bundles are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelspine.errors import BadInput
from modelspine.ledger.route import FULL, SHADOW, Guard, Ladder, single
from modelspine.ledger.state import State, check_reason
from modelspine.ledger.store import Draft
from modelspine.ledger.transactions import Receipt
from modelspine.registry.registry import Registry
from modelspine.registry.rules import may_lead, may_roll_back
from modelspine.traffic import rollout
from modelspine.traffic.ladder import at_weight, ready

Announce = Callable[[int, Guard], None]
"""Told a canary's first weight and its guard, once it is allowed and before it is written down."""


class Routing:
    """What may be done to the route of one registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def single(self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Give all traffic to one promoted entry.

        Raises:
            Refused: it is not promoted, is held or tombstoned, or was promoted against another entry than is stable.
            Damaged: its bytes do not verify now.
        """
        check_reason(reason)
        sha = self.registry.resolve(ref)

        def decide(state: State) -> list[Draft]:
            route = state.route
            if route is not None and route.strategy == "single" and route.stable.sha == sha:
                return []
            semver = may_lead(state, sha)
            self.registry.hashed(sha)
            return [single(sha, semver, reason)]

        asked = {"sha": sha, "strategy": "single", "reason": reason}
        done = self.registry.history.change(decide, sha=sha, expected=expected, key=key, asked=("routed", asked))
        return done or self._in_force(sha)

    def ab(
        self, ref: str, *, reason: str, weight_bp: int = FULL // 2, expected: int | None = None, key: str | None = None
    ) -> Receipt:
        """Let a promoted entry answer a share of the learners beside the stable one, to compare the two.

        Raises:
            Refused: it may take no learner's traffic, or a rollout is under way.
            Damaged: bytes do not verify now.
        """
        _check_weight(weight_bp, most=FULL - 1)
        return self._start("ab", ref, weight_bp, None, reason, expected, key)

    def shadow(
        self, ref: str, *, reason: str, share_bp: int = FULL, expected: int | None = None, key: str | None = None
    ) -> Receipt:
        """Copy a share of the requests to an entry whose answers nobody sees; it may be pending or held.

        Raises:
            Refused: it is tombstoned, or a rollout that learners see is under way.
            Damaged: bytes do not verify now.
        """
        _check_weight(share_bp, most=FULL)
        return self._start(SHADOW, ref, share_bp, None, reason, expected, key)

    def canary(
        self,
        ref: str,
        *,
        reason: str,
        weight_bp: int | None = None,
        ladder: Ladder | None = None,
        expected: int | None = None,
        key: str | None = None,
        announce: Announce | None = None,
    ) -> Receipt:
        """Let a promoted entry answer a few learners, and more of them step by step while it does no worse.

        Args:
            ref: the entry.
            reason: why.
            weight_bp: the weight to begin with; without a ladder it never advances by itself.
            ladder: its steps and guard.
            expected: the seq this was decided on.
            key: an idempotency key.
            announce: called once it is allowed, before the event is written.

        Raises:
            Refused: it may take no learner's traffic, or a rollout is under way.
            Damaged: bytes do not verify now.
        """
        if weight_bp is not None:
            _check_weight(weight_bp, most=FULL - 1)
        steps = ladder or ready(weight_bp)
        weight = weight_bp or steps.steps[0].weight_bp
        _check_weight(weight, most=FULL - 1)
        steps = at_weight(steps, weight, auto=steps.auto)
        return self._start("canary", ref, weight, steps, reason, expected, key, announce)

    def weigh(self, weight_bp: int, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Give the arm that is tried out another weight; a canary then waits there for ``advance``.

        Raises:
            Refused: nothing is tried out, its entry may take no traffic any more, or the weight is everything.
        """
        _check_weight(weight_bp, least=0, most=FULL)
        asked = {"verb": "weight", "weight_bp": weight_bp, "reason": reason}
        return self._move(lambda state: rollout.weigh(state, weight_bp, reason), asked, expected, key)

    def advance(self, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Take the canary to its next step; behind the last one it is the stable arm.

        Raises:
            Refused: no canary is under way, or its entry may take no traffic any more.
            Damaged: its bytes do not verify now.
        """
        return self._move(
            lambda state: rollout.advance(state, reason), {"verb": "advance", "reason": reason}, expected, key
        )

    def abort(self, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """End what is tried out: the route before the rollout is in force again, the entry is held.

        It hashes nothing: the stable arm goes on answering, and bad bytes must not keep a canary in place.

        Raises:
            Refused: nothing is tried out.
        """
        asked = {"verb": "abort", "reason": reason}
        return self._move(lambda state: rollout.abort(state, reason), asked, expected, key, hashed=False)

    def rollback(self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Give all traffic back to an entry that was stable before, and hold the ones that learners leave.

        It reads the local cache alone: MLflow, DVC and the network may be gone. Going to what is stable
        already changes nothing, but that it ends a rollout.

        Raises:
            Refused: the entry never was stable, is held or tombstoned.
            Damaged, Unavailable: its bytes do not verify now.
        """
        check_reason(reason)
        sha = self.registry.resolve(ref)

        def decide(state: State) -> list[Draft]:
            route = state.route
            if route is not None and route.strategy == "single" and route.stable.sha == sha:
                return []
            semver = may_roll_back(state, sha)
            self.registry.hashed(sha)
            left = dict.fromkeys(arm.sha for arm in route.learners if arm.sha != sha) if route else {}
            holds = [Draft(kind="held", body={"sha": other, "reason": reason}) for other in left]
            return [single(sha, semver, reason, kind="rolled_back"), *holds]

        asked = {"sha": sha, "strategy": "single", "reason": reason}
        done = self.registry.history.change(decide, sha=sha, expected=expected, key=key, asked=("rolled_back", asked))
        return done or self._in_force(sha)

    def _start(
        self,
        strategy: str,
        ref: str,
        weight_bp: int,
        ladder: Ladder | None,
        reason: str,
        expected: int | None,
        key: str | None,
        announce: Announce | None = None,
    ) -> Receipt:
        check_reason(reason)
        sha = self.registry.resolve(ref)

        def decide(state: State) -> Sequence[Draft]:
            drafts = rollout.start(state, strategy, sha, weight_bp, reason, ladder)
            self._hash(drafts)
            if drafts and announce is not None and ladder is not None:
                announce(weight_bp, ladder.guard)
            return drafts

        asked = {"sha": sha, "strategy": strategy, "weight_bp": weight_bp, "reason": reason}
        done = self.registry.history.change(decide, sha=sha, expected=expected, key=key, asked=("routed", asked))
        return done or self._in_force(sha)

    def _move(
        self,
        plan: Callable[[State], list[Draft]],
        asked: dict[str, Any],
        expected: int | None,
        key: str | None,
        *,
        hashed: bool = True,
    ) -> Receipt:
        check_reason(asked["reason"])

        def decide(state: State) -> Sequence[Draft]:
            drafts = plan(state)
            if hashed:
                self._hash(drafts)
            return drafts

        done = self.registry.history.change(decide, sha="", expected=expected, key=key, asked=("routed", asked))
        if done is None:
            return self._in_force("")
        return Receipt(seq=done.seq, sha=done.event.body["sha"], created=done.created, event=done.event)

    def _hash(self, drafts: Sequence[Draft]) -> None:
        """Hash again every bundle that a new route names."""
        for draft in drafts:
            for arm in draft.body.get("arms", ()):
                self.registry.hashed(arm["sha"])

    def _in_force(self, sha: str) -> Receipt:
        """The event that routed to what is in force already."""
        route = self.registry.state().route
        epoch = route.epoch if route else 0
        named = sha or (route.arms[-1].sha if route else "")
        return Receipt(seq=epoch, sha=named, created=False, event=self.registry.events()[epoch - 1])


def _check_weight(weight_bp: int, *, least: int = 1, most: int) -> None:
    if not least <= weight_bp <= most:
        raise BadInput(
            f"{weight_bp} is no weight here: it goes from {least} to {most} basis points",
            "1 % is 100; all traffic to one entry is `spine route single REF`",
        )
