"""Signed verdicts on their way: made from a gate run on the committed baseline, and checked for a promotion.

It knows where the trust file, the baseline and the commit are; what a verdict must hold is ``attestation.verdict``'s.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from modelspine.attestation.checks import AGAIN
from modelspine.attestation.dsse import MAX_BYTES
from modelspine.attestation.keys import SigningKey, read_trust
from modelspine.attestation.statement import Counted, Run, report_counts, statement
from modelspine.attestation.trust import BASELINE, TRUST, in_force
from modelspine.attestation.verdict import VerifiedVerdict, sign, verify
from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Damaged, Refused
from modelspine.gate.decision import Stable
from modelspine.git import git_output
from modelspine.ledger.state import State
from modelspine.project import Project
from modelspine.registry.promotion_record import signer
from modelspine.text import visible


def signed(
    project: Project, sha: str, report: bytes, baseline: bytes, never_regress: dict[str, bool] | None, key: SigningKey
) -> bytes:
    """The envelope of a verdict on an entry, decided and signed now.

    Args:
        project: the project.
        sha: the entry, whose bytes were hashed just now.
        report: its report.
        baseline: the committed one, as ``in_force`` gives it.
        never_regress: item id → still right.
        key: whose signature it gets.

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
        never_regress=never_regress,
        code=git_output(project.settings.root, "rev-parse", "--verify", "HEAD").decode().strip(),
        head=project.ledger.head(),
        run=run,
        issued=datetime.now(UTC),
    )
    return sign(stated, key)


def read_attempt(project: Project, file: Path) -> Attempt:
    """The signed verdict of a file, handed in for a promotion; more than an envelope may hold is not read.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            envelope = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(f"there is no verdict at {visible(str(file), 120)}", "make one: `spine gate --sign`") from error
    except OSError as error:
        raise BadInput(
            f"the verdict {visible(str(file), 120)} cannot be read: {error.strerror}", "give the file that was signed"
        ) from error
    return Attempt(project, envelope)


class Attempt:
    """An envelope handed in for a promotion. Calling it checks it for an entry and the state that is decided on.

    ``claims`` is what it says of itself before anything is checked: its digest, and the key that is to have
    signed it. They are written down where the promotion is refused.
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
        """Check it; one that holds is kept as evidence.

        Raises:
            Refused: it does not hold.
        """
        project = self._project
        strict = (state.env, project.settings.env) != ("dev", "dev")
        events = project.registry.events()
        promoted = [event for event in events if event.kind == "promoted"]
        verified = verify(
            self._envelope,
            read_trust(in_force(project.settings, TRUST, committed=strict)),
            sha=sha,
            baseline=in_force(project.settings, BASELINE, committed=strict),
            stable=stable_of(project, state),
            hash_at=lambda seq: events[seq - 1].hash if 0 < seq <= len(events) else None,
            now=datetime.now(UTC),
            used={str(event.body.get("verdict", {}).get("digest")) for event in promoted},
        )
        _measured(project, verified.predicate.candidate)
        project.ledger.put(self._envelope)
        return verified


def _measured(project: Project, said: Counted) -> None:
    """Check that the counts of a verdict are those of a report that this ledger keeps."""
    try:
        kept = report_counts(said.entry_sha, project.ledger.get(said.sha256))
    except (BadInput, Damaged) as error:
        raise Refused(f"the report the verdict counts cannot be read here: {error.message}", AGAIN) from error
    if kept != said:
        raise Refused("the verdict's counts are not those of the report it names", AGAIN)


def stable_of(project: Project, state: State) -> Stable | None:
    """The entry in production with its report, None where there is none."""
    known = state.entries.get(state.production or "")
    digest = known.report if known is not None else None
    return Stable(entry_sha=known.sha, report=project.ledger.get(digest)) if known and digest else None


def _run_url() -> str:
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
