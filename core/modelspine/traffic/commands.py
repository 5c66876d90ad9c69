"""The operations that change the route. ``traffic.rollout`` decides what each one writes.

Bundle bytes are verified before a route names them. It measures nothing and does not know how events or bundles are
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelspine.ledger.route import FULL, SHADOW, Guard, Ladder, single
from modelspine.ledger.state import State, check_reason
from modelspine.ledger.store import Draft
from modelspine.ledger.transactions import Receipt, patiently
from modelspine.registry.registry import Registry
from modelspine.registry.rules import gate_overridden, may_join, may_lead, may_roll_back
from modelspine.traffic import rollout
from modelspine.traffic.ladder import at_weight, check_weight, default_ladder

Announce = Callable[[int, Guard], None]
"""Called with a canary's first weight and guard after all checks passed and before its event is written."""
BeforeChange = Callable[[], None]
"""Called after all checks passed and before the event is written; again if another writer came first."""


class Routing:
    """The operations on the route of one registry.

    Each takes the ``reason`` to record, ``expected`` (the newest seq the caller has seen; a later event is a
    ``Conflict``) and an idempotency ``key``. An operation that would change nothing returns the active route's event.
    With ``override``, a dev ledger routes to an entry that failed its newest gate run, and the event says so.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.locked: Callable[[], None] = lambda: None
        """Called while a rollback or an abort waits for a process that keeps the ledger locked; see ``History``."""

    def single(
        self, ref: str, *, reason: str, override: bool = False, expected: int | None = None, key: str | None = None,
        announce: BeforeChange | None = None,
    ) -> Receipt:  # fmt: skip
        """Route all traffic to one promoted entry.

        Raises:
            Refused: it is not promoted, held or tombstoned, of another service, failed its newest gate run, or its
                verdict compares with another stable entry.
            Damaged: its bytes do not match its SHA.
        """
        check_reason(reason)
        sha = self.registry.resolve(ref)

        def decide(state: State) -> list[Draft]:
            route = state.route
            if route is not None and route.strategy == "single" and route.stable.sha == sha:
                return []
            may_join(state, sha, self.registry.service)
            semver = may_lead(state, sha)
            mark = gate_overridden(state, sha, self.registry.env, override=override)
            self.registry.hashed(sha)
            if announce is not None:
                announce()
            return rollout.marked([single(sha, semver, reason)], mark)

        asked = {"sha": sha, "strategy": "single", "reason": reason}
        change = self.registry.history.change
        done = change(decide, sha=sha, expected=expected, key=key, asked=("routed", asked), forward=True)
        return done or self._unchanged(sha)

    def ab(
        self, ref: str, *, reason: str, weight_bp: int = FULL // 2, override: bool = False,
        expected: int | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Start an A/B test: a promoted entry answers a share of the learners, to compare it with the stable one.

        Raises:
            Refused: the entry may not answer learners, failed its newest gate run, or a rollout is in progress.
            Damaged: bundle bytes do not match their SHA.
        """
        check_weight(weight_bp, most=FULL - 1)
        return self._start("ab", ref, weight_bp, None, reason, expected, key, override=override)

    def shadow(
        self, ref: str, *, reason: str, share_bp: int = FULL, expected: int | None = None, key: str | None = None
    ) -> Receipt:
        """Mirror a share of the requests to an entry and discard its answers; it may be pending or held.

        Raises:
            Refused: it is tombstoned, or a canary or an A/B test is in progress.
            Damaged: bundle bytes do not match their SHA.
        """
        check_weight(share_bp, most=FULL)
        return self._start(SHADOW, ref, share_bp, None, reason, expected, key)

    def canary(
        self, ref: str, *, reason: str, weight_bp: int | None = None, ladder: Ladder | None = None,
        override: bool = False, expected: int | None = None, key: str | None = None, announce: Announce | None = None,
    ) -> Receipt:  # fmt: skip
        """Start a canary: a promoted entry answers a few learners, then more in steps while it is not worse.

        Args:
            ref: the entry.
            reason: the reason to record.
            weight_bp: the first weight; without a ladder the canary stays there until it is advanced by hand.
            ladder: steps and guard; by default the built-in ones.
            override: start it despite a failed gate; dev ledgers only, and recorded permanently.
            expected: the newest seq the caller has seen.
            key: an idempotency key.
            announce: called after all checks, before the event is written.

        Raises:
            Refused: the entry may not answer learners, failed its newest gate run, or a rollout is in progress.
            Damaged: bundle bytes do not match their SHA.
        """
        if weight_bp is not None:
            check_weight(weight_bp, most=FULL - 1)
        steps = ladder or default_ladder(weight_bp)
        weight = weight_bp or steps.steps[0].weight_bp
        check_weight(weight, most=FULL - 1)
        steps = at_weight(steps, weight, auto=steps.auto)
        return self._start("canary", ref, weight, steps, reason, expected, key, announce, override=override)

    def weigh(
        self, weight_bp: int, *, reason: str, override: bool = False, judged: int | None = None,
        expected: int | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Change the candidate's weight; a canary then stays there until it is advanced by hand.

        ``judged`` is as for ``advance``.

        Raises:
            Refused: no rollout is in progress, its entry may no longer take traffic or failed a gate run since the
                rollout began, or the weight is 100 %.
            Damaged: bundle bytes do not match their SHA.
        """
        check_weight(weight_bp, least=0, most=FULL)
        asked = {"verb": "weight", "weight_bp": weight_bp, "reason": reason}
        return self._move(
            lambda state: rollout.weigh(state, weight_bp, reason, judged=judged),
            asked,
            expected,
            key,
            override=override,
        )

    def advance(
        self, *, reason: str, override: bool = False, judged: int | None = None, expected: int | None = None,
        key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Advance the canary to its next step; after the last one it becomes the stable arm.

        ``judged`` is the epoch whose verdict is ``pass`` now, from ``traffic.canary``. In a prod ledger, an entry that
        was promoted against another one than production needs it to get more traffic.

        Raises:
            Refused: no canary is in progress, its entry may no longer take traffic, or it failed a gate run since the
                rollout began.
            Damaged: its bytes do not match its SHA.
        """
        asked = {"verb": "advance", "reason": reason}
        return self._move(
            lambda state: rollout.advance(state, reason, judged=judged), asked, expected, key, override=override
        )

    def abort(self, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Abort the rollout: restore the route before it and hold the candidate.

        Bundles are not verified here: the stable arm is serving already, and damaged bytes must not keep a canary in
        place.

        Raises:
            Refused: no rollout is in progress.
        """
        asked = {"verb": "abort", "reason": reason}
        return self._move(lambda state: rollout.abort(state, reason), asked, expected, key, verify=False)

    def rollback(
        self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None,
        announce: BeforeChange | None = None,
    ) -> Receipt:  # fmt: skip
        """Roll all traffic back to an entry that was stable before, and hold the entries it replaces.

        It reads only the local cache, so it works without MLflow, DVC or a network. Rolling back to the entry that is
        stable now only ends a rollout.

        Raises:
            Refused: the entry was never stable, or is held or tombstoned.
            Damaged, Unavailable: its bytes do not match its SHA, or are not in the cache.
        """
        check_reason(reason)
        sha = patiently(lambda: self.registry.resolve(ref), self.locked)

        def decide(state: State) -> list[Draft]:
            drafts = self._rollback(state, sha, reason)
            if drafts and announce is not None:
                announce()
            return drafts

        asked = {"sha": sha, "strategy": "single", "reason": reason}
        change = self.registry.history.change
        done = change(decide, sha=sha, expected=expected, key=key, asked=("rolled_back", asked), locked=self.locked)
        return done or self._unchanged(sha)

    def planned_rollback(self, ref: str) -> list[Draft]:
        """The events that a rollback would append now, without a reason; nothing is appended.

        Raises:
            Refused, Damaged, Unavailable: see ``rollback``.
        """
        state = self.registry.state()
        return self._rollback(state, state.resolve(ref), "")

    def _rollback(self, state: State, sha: str, reason: str) -> list[Draft]:
        route = state.route
        if route is not None and route.strategy == "single" and route.stable.sha == sha:
            return []
        semver = may_roll_back(state, sha)
        self.registry.hashed(sha)
        replaced = dict.fromkeys(arm.sha for arm in route.learners if arm.sha != sha) if route else {}
        holds = [Draft(kind="held", body={"sha": other, "reason": reason}) for other in replaced]
        return [single(sha, semver, reason, kind="rolled_back"), *holds]

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
        *,
        override: bool = False,
    ) -> Receipt:
        check_reason(reason)
        sha = self.registry.resolve(ref)

        def decide(state: State) -> Sequence[Draft]:
            may_join(state, sha, self.registry.service)
            drafts = rollout.start(state, strategy, sha, weight_bp, reason, ladder)
            if strategy != SHADOW and drafts:  # no learner sees the answers of a shadow
                drafts = rollout.marked(drafts, gate_overridden(state, sha, self.registry.env, override=override))
            self._verify_bundles(drafts)
            if drafts and announce is not None and ladder is not None:
                announce(weight_bp, ladder.guard)
            return drafts

        asked = {"sha": sha, "strategy": strategy, "weight_bp": weight_bp, "reason": reason}
        change = self.registry.history.change
        done = change(decide, sha=sha, expected=expected, key=key, asked=("routed", asked), forward=True)
        return done or self._unchanged(sha)

    def _move(
        self,
        plan: Callable[[State], list[Draft]],
        asked: dict[str, Any],
        expected: int | None,
        key: str | None,
        *,
        override: bool = False,
        verify: bool = True,
    ) -> Receipt:
        check_reason(asked["reason"])

        def decide(state: State) -> Sequence[Draft]:
            drafts = plan(state)
            if verify:
                mark = rollout.more_traffic(state, drafts, self.registry.env, override=override)
                drafts = rollout.marked(drafts, mark)
                self._verify_bundles(drafts)
            return drafts

        # Aborting, and a weight of nothing, take traffic away from an entry.
        forward = asked["verb"] != "abort" and asked.get("weight_bp") != 0
        change = self.registry.history.change
        locked = None if forward else self.locked
        done = change(
            decide, sha="", expected=expected, key=key, asked=("routed", asked), forward=forward, locked=locked
        )
        if done is None:
            return self._unchanged("")
        return Receipt(seq=done.seq, sha=done.event.body["sha"], created=done.created, event=done.event)

    def _verify_bundles(self, drafts: Sequence[Draft]) -> None:
        """Verify every bundle that a new route names, so that no server is sent to bytes it must refuse."""
        for draft in drafts:
            for arm in draft.body.get("arms", ()):
                self.registry.hashed(arm["sha"])

    def _unchanged(self, sha: str) -> Receipt:
        """The receipt of the active route's event, for an operation that changed nothing."""
        route = self.registry.state().route
        epoch = route.epoch if route else 0
        named = sha or (route.arms[-1].sha if route else "")
        return Receipt(seq=epoch, sha=named, created=False, event=self.registry.events()[epoch - 1])
