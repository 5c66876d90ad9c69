"""The operations on entries: register, promote, release, tombstone, note; ``traffic.commands`` has those that route.

``registry.rules`` decides on a state what is allowed; ``ledger.transactions`` appends it only if that state is still
current. It does not know how events or bundles are stored, or what a model computes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import BadInput, Damaged, Refused
from modelspine.identity.bundle_cache import Cache
from modelspine.identity.stamps import Stamp
from modelspine.ledger.route import Route, single
from modelspine.ledger.state import State, check_reason, check_semver
from modelspine.ledger.store import Draft, Event, Ledger
from modelspine.ledger.transactions import After, History, Receipt
from modelspine.registry.entries import Detail, Entry, Registration, describe, detail
from modelspine.registry.manifest import NO_FACTS, Facts
from modelspine.registry.mlflow_runs import Artifacts, Found
from modelspine.registry.obtaining import EntryBundles, standby
from modelspine.registry.promotion_record import denial, load_notes, verdict_record
from modelspine.registry.registrar import Registrar
from modelspine.registry.rules import Floor, may_answer, may_join, may_promote, may_release, may_tombstone

if TYPE_CHECKING:
    from modelspine.attestation.verdict import VerifiedVerdict

Verifier = Callable[[str, State], "VerifiedVerdict"]
"""Verifies a signed verdict for an entry and a state; only ``attestation.verdict.verify`` makes its result."""


class Registry:
    """The entries of one ledger, and the operations on them.

    ``env`` is the environment of this process and ``service`` the name of its service, empty if it has none;
    ``after`` is called with each change that was appended.
    """

    def __init__(
        self, ledger: Ledger, cache: Cache, artifacts: Artifacts, *, env: str = "dev", service: str = "",
        after: After = None,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self.history = History(ledger, after)
        self._bundles = EntryBundles(self.state, ledger.get, cache, artifacts)
        self._artifacts = artifacts
        self.env = env
        self.service = service
        self._registrar = Registrar(ledger, self.history, cache, artifacts, service)

    # reading

    def events(self, at: str | None = None) -> list[Event]:
        """Every event, in order, with the hash chain verified; with ``at``, only the events up to that time."""
        return self.history.events(at)

    def state(self, at: str | None = None) -> State:
        """The current state, or the state at a time (RFC 3339, UTC, six digits)."""
        return self.history.state(at)

    def list(self, at: str | None = None) -> list[Entry]:
        """Every entry, in the order of registration."""
        state = self.state(at)
        return [describe(known, state) for known in state.entries.values()]

    def resolve(self, ref: str, at: str | None = None) -> str:
        """The SHA for a REF; see ``State.resolve``."""
        return self.state(at).resolve(ref)

    def get(self, ref: str, at: str | None = None) -> Detail:
        """One entry with its evidence and history.

        Raises:
            UnknownRef: no entry matches.
            AmbiguousRef: several entries match a prefix.
            Damaged: a piece of evidence does not match its digest.
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
        """Check that the entry and semver of an arm may answer learners; ``Refused`` if not, see ``rules``."""
        may_answer(self.state(), sha, semver)

    def is_here(self, sha: str) -> bool:
        """Whether the bundles of an entry and of its parent are on this machine; they are not hashed."""
        return self._bundles.are_here(sha)

    def standby(self) -> tuple[str, ...]:
        """The entries that may have to answer next: the newest promoted one, and the one that was stable before."""
        return standby(self.state())

    def obtain(self, sha: str, given_up: Callable[[], bool]) -> None:
        """Fetch an entry's bundle and its parent's if they are not here; see ``EntryBundles.obtain``."""
        self._bundles.obtain(sha, given_up)

    def verified(self, sha: str) -> Path:
        """The folder of an entry's bundle, fetched if it is not here, and hashed again; see ``EntryBundles``."""
        return self._bundles.verified(sha)

    def parent_folder(self, sha: str) -> Path | None:
        """The verified folder of an entry's parent; None if it has none."""
        return self._bundles.parent_folder(sha)

    def stamp(self, sha: str) -> Stamp:
        """The stamp of the cached files of an entry and its parent; see ``identity.stamps``."""
        return self._bundles.stamp(sha)

    def hashed(self, sha: str) -> None:
        """Hash again the bundles an entry answers from; see ``EntryBundles.verified`` for the errors."""
        self._bundles.hash_again(sha)

    # changing

    def register_pending(self, source: str) -> Registration:
        """Register the bundle that an MLflow run logged, or that another source names; see ``Artifacts.find``.

        The entry is pending until it is promoted.
        """
        return self.register_found(self._artifacts.find(source))

    def register_found(self, found: Found, facts: Facts = NO_FACTS) -> Registration:
        """Register what a source in MLflow names, with ``facts`` that are said about it beside its files."""
        return self._registrar.found(found, facts)

    def register(
        self, source: Path, *, run_id: str | None = None, follow: bool = False, facts: Facts = NO_FACTS,
        log: bool = False,
    ) -> Registration:  # fmt: skip
        """Register a bundle directory; the same content again gives the same entry.

        Evidence is never replaced, but an entry registered without a report is completed by registering it again
        with one. The receipt warns about evidence that differs from what was registered. With ``follow``, links to
        regular files count as those files. ``facts`` are what is said about the bundle beside its files. With ``log``
        its files are logged into a run of MLflow, unless the entry names a place of them, so that others fetch them.

        Raises:
            BundleRefused: the directory is not a bundle, or its evidence contradicts it.
            BadInput: a manifest or the report cannot be read, or a fact contradicts it.
            Unavailable: the cache cannot be written, or MLflow; nothing is registered then.
        """
        return self._registrar.folder(source, facts, run_id=run_id, follow=follow, log=log)

    def gated(
        self, sha: str, *, result: str, report: str, baseline: str, stable: str | None, **more: object
    ) -> Receipt:
        """Record the result of a gate run on an entry: ``report`` and ``baseline`` by digest, ``stable`` by SHA.

        ``more`` is what else the event keeps of the run, as JSON: the floor's SHA, the report's cost per quality.
        """
        body = {"sha": sha, "result": result, "report": report, "baseline": baseline, "stable": stable, **more}
        drafts = [Draft(kind="gated", body=body)]
        return _made(self.history.change(lambda _state: drafts, sha=sha))

    def promote(
        self, ref: str, semver: str, *, reason: str = "promoted", verdict: Verifier | None = None,
        override: bool = False, expected: int | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Bind a semver to an entry. The first promotion of a ledger also routes all traffic to it.

        A refusal is recorded as an event, but is not a result of ``key``: the same key is decided again.

        Args:
            ref: the entry.
            semver: the version it gets.
            reason: why, for the record.
            verdict: verifies the signed verdict against the state; a prod ledger refuses to promote without one.
            override: promote despite a failed gate; dev ledgers only, and recorded permanently.
            expected: the seq of the newest event that the caller decided on.
            key: an idempotency key.

        Raises:
            Refused: ``registry.rules`` or the verdict do not allow it.
            Damaged: the bundle's bytes do not match its SHA.
            Conflict: the ledger is not at ``expected``, or the key was used for a different request.
        """
        check_semver(semver)
        check_reason(reason)
        sha = self.resolve(ref)
        asked = {"sha": sha, "semver": semver, "reason": reason}

        def decide(state: State) -> list[Draft]:
            if state.semvers.get(semver) == sha:
                return []
            if state.route is None:  # the first promotion also routes
                may_join(state, sha, self.service)
            stands_on = may_promote(state, sha, semver, self.env, signed=verdict is not None, override=override)
            # The bytes are hashed here and not before: they are what this decision permits to answer learners.
            self.hashed(sha)
            if verdict is not None:
                stands_on = {"verdict": verdict_record(verdict(sha, state), sha, state, self._ledger.get)}
            drafts = [Draft(kind="promoted", body={**asked, **stands_on})]
            if state.route is None:
                drafts.append(single(sha, semver, "the first promotion"))
            return drafts

        try:
            change = self.history.change
            done = change(decide, sha=sha, expected=expected, key=key, asked=("promoted", asked), forward=True)
        except (Refused, Damaged) as error:
            refusal = denial("promote", sha, error, verdict, semver=semver, idempotency_key=key)
            # Appended wherever the ledger is now and without the key, which stays free for a later attempt.
            self._ledger.append([refusal], expected=None)
            raise
        if done:
            return msgspec.structs.replace(done, warnings=(*done.warnings, *load_notes(done.event, self._ledger.get)))
        event = next(e for e in self.state().entries[sha].promoted if e.body["semver"] == semver)
        return Receipt.existing(event, sha)

    def release(self, ref: str, *, reason: str, expected: int | None = None, key: str | None = None) -> Receipt:
        """End the hold of an entry, so that it may receive traffic again; the routing does not change.

        Raises:
            Refused: it is not on hold.
        """
        return self._mark("released", may_release, ref, reason, expected, key)

    def tombstone(
        self, ref: str, *, reason: str, floor: Floor | None = None, expected: int | None = None, key: str | None = None
    ) -> Receipt:
        """Mark an entry as permanently unusable; nothing is deleted.

        ``floor`` says which entry is the floor; without it, a prod ledger refuses an entry that was in production.

        Raises:
            Refused: it receives traffic, is tombstoned already or, in prod, is the floor.
        """

        def check(state: State, sha: str) -> None:
            may_tombstone(state, sha, self.env, floor)

        return self._mark("tombstoned", check, ref, reason, expected, key)

    def _mark(
        self,
        kind: str,
        check: Callable[[State, str], None],
        ref: str,
        reason: str,
        expected: int | None,
        key: str | None,
    ) -> Receipt:
        """Append an event that changes the status of one entry, if ``check`` allows it."""
        check_reason(reason)
        sha = self.resolve(ref)
        asked = {"sha": sha, "reason": reason}

        def decide(state: State) -> list[Draft]:
            check(state, sha)
            return [Draft(kind=kind, body=asked)]

        change, forward = self.history.change, kind == "released"
        return _made(change(decide, sha=sha, expected=expected, key=key, asked=(kind, asked), forward=forward))

    def note(self, text: str, *, ref: str | None = None, key: str | None = None) -> Receipt:
        """Record a note, optionally about an entry.

        Raises:
            BadInput: the text is blank.
        """
        if not text.strip():
            raise BadInput("a note needs a text", "give one: `spine note TEXT`")
        sha = self.resolve(ref) if ref is not None else ""
        body: dict[str, Any] = {"text": text, **({"sha": sha} if sha else {})}
        return _made(
            self.history.change(
                lambda _state: [Draft(kind="noted", body=body)], sha=sha, key=key, asked=("noted", body)
            )
        )


def _made(receipt: Receipt | None) -> Receipt:
    """The receipt of a change that always appends something."""
    if receipt is None:
        raise BadInput("there was nothing to change", "`spine history` shows the ledger's events")
    return receipt
