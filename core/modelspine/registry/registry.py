"""The verbs: what may be done to entries, and what each is refused for; ``traffic.commands`` adds those that route.

What is allowed is decided by ``registry.rules`` on a state, and appended by ``ledger.transactions`` to that very state.
It does not know how events or bundles are stored, nor what a model computes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import BadInput, Damaged, Refused, Unavailable
from modelspine.gate.eval_report import CostPerQuality
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.route import Route, single
from modelspine.ledger.state import State, check_reason, check_semver, completes
from modelspine.ledger.store import Draft, Event, Ledger
from modelspine.ledger.transactions import After, History, Receipt
from modelspine.registry.entries import Detail, Entry, describe, detail, registered_body
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.registry.promotion_record import denied, on_verdict
from modelspine.registry.rules import may_answer, may_promote, may_release, may_tombstone
from modelspine.text import short

if TYPE_CHECKING:
    from modelspine.attestation.verdict import VerifiedVerdict

Verifier = Callable[[str, State], "VerifiedVerdict"]
"""Checks a signed verdict for an entry on a state; only ``attestation.verdict.verify`` can make what it returns."""


class Registry:
    """The entries of one ledger, and what may be done to them."""

    def __init__(
        self, ledger: Ledger, cache: Cache, artifacts: Artifacts, *, env: str = "dev", after: After = None
    ) -> None:
        self._ledger = ledger
        self.history = History(ledger, after)
        self._cache = cache
        self._artifacts = artifacts
        self._env = env

    # reading

    def events(self, at: str | None = None) -> list[Event]:
        """Every event, in order, its chain checked; up to a moment where one is given."""
        return self.history.events(at)

    def state(self, at: str | None = None) -> State:
        """What is true now, or was true at a moment (RFC 3339 UTC, six digits)."""
        return self.history.state(at)

    def list(self, at: str | None = None) -> list[Entry]:
        """Every entry, in the order they were registered."""
        state = self.state(at)
        return [describe(known, state) for known in state.entries.values()]

    def resolve(self, ref: str, at: str | None = None) -> str:
        """The SHA a REF names."""
        return self.state(at).resolve(ref)

    def get(self, ref: str, at: str | None = None) -> Detail:
        """One entry with its evidence and history.

        Raises:
            UnknownRef, AmbiguousRef: no or several entries have that name.
            Damaged: a piece of its evidence does not have its digest.
        """
        state = self.state(at)
        sha = state.resolve(ref)
        return detail(state.entries[sha], state, self._ledger.get)

    def route(self, at: str | None = None) -> Route | None:
        """The route in force, or None before the first promotion."""
        return self.state(at).route

    def evidence(self, digest: str) -> bytes:
        """A piece of evidence of this ledger, by its digest.

        Raises:
            BadInput, Damaged: it is not kept here, or does not have its digest.
        """
        return self._ledger.get(digest)

    def may_answer(self, sha: str, semver: str) -> None:
        """Check that what an arm of the route in force names is an entry that may answer learners.

        Raises:
            Refused: see ``registry.rules.may_answer``.
        """
        may_answer(self.state(), sha, semver)

    def verified(self, sha: str) -> Path:
        """The folder of an entry's bundle, its bytes hashed again just now.

        Raises:
            Unavailable, Damaged: see ``Cache.verified``.
        """
        return self._cache.verified(sha)[0]

    def parent_folder(self, sha: str) -> Path | None:
        """The verified folder of an entry's parent, or None where it has none."""
        parent = self.state().entries[sha].registered.body.get("parent")
        return self.verified(parent) if parent else None

    def hashed(self, sha: str) -> None:
        """Hash again what an entry answers from: its bundle, and its parent's where that is here.

        A parent that is not here stands in nobody's way: only an adapter needs it, and its workload says so.

        Raises:
            Unavailable, Damaged: see ``Cache.verified``.
        """
        self.verified(sha)
        with suppress(Unavailable):
            self.parent_folder(sha)

    # changing

    def register_pending(self, run_id: str) -> Receipt:
        """Register the bundle an MLflow run logged; the entry is pending until it is promoted."""
        with self._artifacts.fetched(run_id) as folder:
            return self.register(folder, run_id=run_id)

    def register(self, source: Path, *, run_id: str | None = None) -> Receipt:
        """Register a bundle directory; the same content again returns the same entry.

        Evidence is never replaced. An entry that was registered without a report is completed by registering it
        again with one; where evidence is another than the one that counts, the receipt warns of it.

        Raises:
            BundleRefused: it is not a bundle/1, or its evidence contradicts it.
        """
        bundle = self._cache.add(source)
        body = registered_body(bundle, run_id, self._ledger.put)
        warnings = []
        if bundle.parent_sha and bundle.parent_sha not in self.state().entries:
            warnings.append(f"its parent {short(bundle.parent_sha)} is not registered: lineage will show it as missing")

        def decide(state: State) -> list[Draft]:
            known = state.entries.get(bundle.sha)
            new = known is None or completes(known.registered.body, body)
            return [Draft(kind="registered", body=body)] if new else []

        done = self.history.change(decide, sha=bundle.sha)
        if not done:
            known = self.state().entries[bundle.sha]
            warnings += _unlike(known.registered, body)
            return Receipt(
                seq=known.registered.seq,
                sha=bundle.sha,
                created=False,
                event=known.registered,
                warnings=tuple(warnings),
            )
        return msgspec.structs.replace(done, warnings=tuple(warnings))

    def gated(
        self,
        sha: str,
        *,
        result: str,
        report: str,
        baseline: str,
        stable: str | None,
        floor: str | None = None,
        cost: CostPerQuality | None = None,
    ) -> Receipt:
        """Write down what a gate run decided on an entry.

        ``report`` and ``baseline`` are digests, ``stable`` and ``floor`` the SHAs of the entries it was compared with.
        ``cost`` is the report's own; it stands in the event so that a list of many entries need not read every report.
        """
        body = {"sha": sha, "result": result, "report": report, "baseline": baseline, "stable": stable}
        body |= {"floor": floor} if floor is not None else {}
        body |= {"cost_per_quality": msgspec.to_builtins(cost)} if cost is not None else {}
        drafts = [Draft(kind="gated", body=body)]
        return _made(self.history.change(lambda _state: drafts, sha=sha))

    def promote(
        self,
        ref: str,
        semver: str,
        *,
        reason: str = "promoted",
        verdict: Verifier | None = None,
        override: bool = False,
        expected: int | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Bind a semver to an entry. The first promotion of a ledger also routes to it.

        ``verdict`` checks a signed verdict against the very state that is decided on; without one a dev ledger
        takes an unsigned development verdict, and a prod ledger refuses. ``override`` passes over a failed gate
        in a dev ledger and marks the event for good. A refusal is no result: the same key is decided again.

        Raises:
            Refused, Damaged: the rules of ``registry.rules`` or the bytes do not allow it; that is written down.
            Conflict: the ledger moved from ``expected``.
        """
        check_semver(semver)
        check_reason(reason)
        sha = self.resolve(ref)
        asked = {"sha": sha, "semver": semver, "reason": reason}

        def decide(state: State) -> list[Draft]:
            if state.semvers.get(semver) == sha:
                return []
            stands_on = may_promote(state, sha, semver, self._env, signed=verdict is not None, override=override)
            self.hashed(sha)
            if verdict is not None:
                stands_on = {"verdict": on_verdict(verdict(sha, state), sha, state, self._ledger.get)}
            drafts = [Draft(kind="promoted", body={**asked, **stands_on})]
            if state.route is None:
                drafts.append(single(sha, semver, "the first promotion"))
            return drafts

        try:
            done = self.history.change(decide, sha=sha, expected=expected, key=key, asked=("promoted", asked))
        except (Refused, Damaged) as error:
            refusal = denied("promote", sha, error, verdict, semver=semver, idempotency_key=key)
            self._ledger.append([refusal], expected=None)
            raise
        if done:
            return done
        event = next(e for e in self.state().entries[sha].promoted if e.body["semver"] == semver)
        return Receipt(seq=event.seq, sha=sha, created=False, event=event)

    def release(self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Let a held entry take learners' traffic again; nothing is routed to it by this.

        Raises:
            Refused: it is not held.
        """
        check_reason(reason)
        sha = self.resolve(ref)
        asked = {"sha": sha, "reason": reason}

        def decide(state: State) -> list[Draft]:
            may_release(state, sha)
            return [Draft(kind="released", body=asked)]

        return _made(self.history.change(decide, sha=sha, expected=expected, key=key, asked=("released", asked)))

    def tombstone(self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """Mark an entry as never to be used again; nothing is deleted.

        Raises:
            Refused: it takes traffic now.
        """
        check_reason(reason)
        sha = self.resolve(ref)
        asked = {"sha": sha, "reason": reason}

        def decide(state: State) -> list[Draft]:
            may_tombstone(state, sha)
            return [Draft(kind="tombstoned", body=asked)]

        return _made(self.history.change(decide, sha=sha, expected=expected, key=key, asked=("tombstoned", asked)))

    def note(self, text: str, *, ref: str | None = None, key: str | None = None) -> Receipt:
        """Write a remark into the ledger, about an entry or about nothing in particular."""
        if not text.strip():
            raise BadInput("a note needs a text", "spine note TEXT")
        sha = self.resolve(ref) if ref is not None else ""
        body: dict[str, Any] = {"text": text, **({"sha": sha} if sha else {})}
        return _made(
            self.history.change(
                lambda _state: [Draft(kind="noted", body=body)], sha=sha, key=key, asked=("noted", body)
            )
        )


def _made(receipt: Receipt | None) -> Receipt:
    if receipt is None:
        raise BadInput("there was nothing to change", "`spine history` shows what stands already")
    return receipt


def _unlike(standing: Event, body: dict[str, Any]) -> list[str]:
    """A warning where a bundle comes with other evidence than the registration that counts."""
    kept, given = standing.body.get("evidence", {}), body["evidence"]
    other = sorted(f"{name}.json" for name in given if given[name] != kept.get(name))
    if not other:
        return []
    return [f"{', '.join(other)}: not what #{standing.seq} registered, which counts; evidence is never replaced"]
