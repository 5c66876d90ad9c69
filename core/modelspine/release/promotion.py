"""Signed verdicts: making one from a gate run on the committed baseline, and checking one for a promotion.

It knows where the trust file, the baseline and the commit are. ``attestation.verdict`` decides whether one is valid.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from modelspine.attestation.checks import AGAIN
from modelspine.attestation.dsse import MAX_BYTES
from modelspine.attestation.keys import SigningKey, read_trust
from modelspine.attestation.statement import Counted, Run, report_counts, statement
from modelspine.attestation.trust import BASELINE, TRUST, in_force, must_load
from modelspine.attestation.verdict import VerifiedVerdict, sign, verify
from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Damaged, Refused, Unavailable
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.decision import Stable
from modelspine.gate.eval_report import EvalReport, read_report
from modelspine.git import git_output
from modelspine.ledger.state import State
from modelspine.ledger.transactions import Receipt
from modelspine.project import Project
from modelspine.registry.floor import floor_of
from modelspine.registry.promotion_record import signer
from modelspine.registry.rules import Floor
from modelspine.text import short, visible


def signed(
    project: Project, sha: str, report: bytes, baseline: bytes, never_regress: dict[str, bool] | None, key: SigningKey
) -> bytes:
    """Decide and sign a verdict on an entry; returns its envelope.

    Args:
        project: the project.
        sha: the entry, whose bytes the caller has just verified.
        report: its evaluation report.
        baseline: the committed baseline, as ``in_force`` returns it.
        never_regress: item id → still correct.
        key: the key to sign with.

    Raises:
        BadInput: nothing can be compared.
    """
    state = project.registry.state()
    run = Run(id=os.environ.get("GITHUB_RUN_ID", "local"), url=_run_url())
    stated = statement(
        sha=sha,
        candidate=report,
        baseline=baseline,
        stable=stable_of(project, state),
        floor=current_floor(project, state, read_baseline(baseline)),
        never_regress=never_regress,
        code=git_output(project.settings.root, "rev-parse", "--verify", "HEAD").decode().strip(),
        head=project.ledger.head(),
        run=run,
        issued=datetime.now(UTC),
    )
    return sign(stated, key)


def read_attempt(project: Project, file: Path) -> Attempt:
    """Read a signed verdict from a file for a promotion; nothing is checked yet.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            # One byte over the limit is enough for the check to refuse it, and no huge file fills the memory.
            envelope = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(
            f"there is no verdict at {visible(str(file), 120)}", "create one: `spine gate --sign`"
        ) from error
    except OSError as error:
        raise BadInput(
            f"the verdict {visible(str(file), 120)} cannot be read: {error.strerror}",
            "give the path of a signed verdict",
        ) from error
    return Attempt(project, envelope)


class Attempt:
    """An unchecked envelope for a promotion. Calling it checks it for an entry and a state.

    ``claims`` has its digest and the key id it claims, both unchecked. They are recorded when the promotion is refused.
    """

    def __init__(self, project: Project, envelope: bytes) -> None:
        self._project = project
        self._envelope = envelope
        self.claims = {"verdict": hashlib.sha256(envelope).hexdigest()}
        try:
            claimed = signer(parse_json(envelope, what="the envelope"))
        except BadInput:
            claimed = None
        if claimed is not None:
            self.claims["signer"] = claimed

    def __call__(self, sha: str, state: State) -> VerifiedVerdict:
        """Check the envelope and store a valid one as evidence.

        Raises:
            Refused: it is not valid for this entry and state.
        """
        project = self._project
        # Only where both the ledger and the process are dev may trust file and baseline be uncommitted.
        strict = (state.env, project.settings.env) != ("dev", "dev")
        events = project.registry.events()
        promoted = [event for event in events if event.kind == "promoted"]
        baseline = in_force(project.settings, BASELINE, committed=strict)
        verified = verify(
            self._envelope,
            read_trust(in_force(project.settings, TRUST, committed=strict)),
            sha=sha,
            baseline=baseline,
            stable=stable_of(project, state),
            floor=_floor_under(project, state, baseline),
            hash_at=lambda seq: events[seq - 1].hash if 0 < seq <= len(events) else None,
            now=datetime.now(UTC),
            events=events,
            used={str(event.body.get("verdict", {}).get("digest")) for event in promoted},
        )
        stored = _check_counts(project, verified.predicate.candidate)
        if strict and must_load(project.settings) and not stored.was_loaded(sha):
            raise Refused(
                f"load not checked: the report does not record that the stored copy of {short(sha)} was loaded by a "
                "process without a key",
                "evaluate it (`spine evaluate REF --out F`), then `spine gate REF --report F --sign`",
            )
        project.ledger.put(self._envelope)
        return verified


def _check_counts(project: Project, claimed: Counted) -> EvalReport:
    """Check that the counts in a verdict are those of the stored report that it names; returns that report."""
    try:
        raw = project.ledger.get(claimed.sha256)
        stored = report_counts(claimed.entry_sha, raw)
    except (BadInput, Damaged) as error:
        raise Refused(f"the report the verdict names cannot be read here: {error.message}", AGAIN) from error
    if stored != claimed:
        raise Refused("the verdict's counts differ from those of the report it names", AGAIN)
    return read_report(raw)


def stable_of(project: Project, state: State) -> Stable | None:
    """The entry in production with its report; None where there is no such entry or it has no report."""
    known = state.entries.get(state.production or "")
    digest = known.report if known is not None else None
    return Stable(entry_sha=known.sha, report=project.ledger.get(digest)) if known and digest else None


def current_floor(project: Project, state: State, baseline: Baseline) -> Stable | None:
    """The best entry that was ever in production, under a baseline; None where none was."""
    excluded = (entry.entry_sha for entry in baseline.floor_excludes)
    return floor_of(state, project.ledger.get, baseline.eval_set, baseline.decoding, excluded)


def floor_in_force(project: Project) -> Floor:
    """What names the floor in a state, under the baseline in force; in prod that is the committed one.

    What it returns raises ``Refused`` if there is no such baseline, or it cannot be read.
    """

    def floor(state: State) -> str | None:
        strict = (state.env, project.settings.env) != ("dev", "dev")
        try:
            raw = in_force(project.settings, BASELINE, committed=strict)
        except Unavailable as error:  # what git says is the reason why this operation is not allowed now
            raise Refused(f"the floor is unknown: {error.message}", error.hint) from error
        try:
            found = current_floor(project, state, read_baseline(raw))
        except BadInput as error:
            raise Refused(f"the floor is unknown: {error.message}", error.hint) from error
        return found.entry_sha if found is not None else None

    return floor


def tombstone(
    project: Project, ref: str, *, reason: str, expected: int | None = None, key: str | None = None
) -> Receipt:
    """Mark an entry as permanently unusable, and warn where this lowers the floor of a dev ledger.

    Raises:
        Refused: it receives traffic, is tombstoned already or, in prod, is the floor.
    """
    floor = floor_in_force(project)
    try:
        before = floor(project.registry.state())
    except Refused:  # a dev ledger without a baseline has no floor; in prod the rule below refuses
        before = None
    done = project.registry.tombstone(ref, reason=reason, floor=floor, expected=expected, key=key)
    return msgspec.structs.replace(done, warnings=(*done.warnings, _LOWERED)) if done.sha == before else done


_LOWERED = (
    "it was the floor, with which candidates are compared; the floor is now the next best entry. In prod this takes a "
    "reviewed `floor_excludes` in the baseline"
)


def _floor_under(project: Project, state: State, raw: bytes) -> Stable | None:
    try:
        return current_floor(project, state, read_baseline(raw))
    except BadInput:
        return None  # checking the verdict against this baseline says what is wrong with it


def _run_url() -> str:
    """Where this run's log is: what ``SPINE_RUN_URL`` says (a URL, or a path), else the page of the GitHub run."""
    if named := os.environ.get("SPINE_RUN_URL", ""):
        if not named.isprintable():
            raise BadInput(
                f"SPINE_RUN_URL is {visible(named, 120)!r}", "set it to the URL or the path of the run's log"
            )
        return named
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
