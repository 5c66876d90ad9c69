"""Answer 7 of a walk: the gate run that admitted an entry, and who signed its verdict.

It does not know how signatures are checked: the caller passes the function that does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from miniobserve.traces import Trace
from modelspine.errors import Refused, SpineError
from modelspine.gate.baseline import own_baseline
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.state import Known
from modelspine.ledger.store import Event
from modelspine.registry.floor import Read
from modelspine.registry.promotion_record import WORDS, verdict_kind
from modelspine.text import argument, short, visible

if TYPE_CHECKING:
    from modelspine.attestation.checks import Hashes
    from modelspine.attestation.statement import Run
    from modelspine.attestation.verdict import SignedVerdict

_ACTIONS = re.compile(
    r"https?://(?P<host>[\w.-]+)/(?P<repository>\w[\w.-]*/\w[\w.-]*)/actions/runs/(?P<run>\d+)(?:/attempts/\d+)?",
    re.ASCII,
)
"""The address of a run of GitHub Actions, on github.com or a server of one's own."""
Verdicts = Callable[[str], "SignedVerdict"]
"""Digest → signed verdict, its signature checked against the trust file at the time of the call."""


def gate_answer(trace: Trace, known: Known | None, verdicts: Verdicts, hash_at: Hashes, read: Read) -> Finding:
    """Report the verdict behind the promotion that was in effect when the request was answered.

    ``read`` reads a piece of evidence by its digest.
    """
    command = f"spine show {short(trace.entry_sha)} --json"
    events = known.history if known is not None else []
    promoted = next((e for e in events if e.kind == "promoted" and e.body.get("semver") == trace.semver), None)
    if promoted is None:
        return finding(7, "no promotion is recorded", "missing", {}, command)
    promotion = {
        "seq": promoted.seq,
        "at": promoted.time,
        "actor": promoted.actor,
        "reason": promoted.body.get("reason"),
    }
    verdict = promoted.body.get("verdict") or {}
    evidence = {"promoted": promotion, "verdict": verdict, "standing": verdict_kind(promoted)}
    if verdict_kind(promoted) == "signed":
        return _signed_answer(promoted, verdicts, hash_at, read, evidence, command)
    return _unsigned_answer(promoted, events, read, evidence, command)


def _signed_answer(
    promoted: Event, verdicts: Verdicts, hash_at: Hashes, read: Read, evidence: dict[str, Any], command: str
) -> Finding:
    # Imported here because the cryptography library is slow to import and unsigned promotions do not need it.
    from modelspine.attestation.checks import disagreement

    try:
        signed = verdicts(str(promoted.body["verdict"].get("digest")))
        problem = disagreement(signed.statement, signed.key.id, promoted, hash_at)
    except Refused as error:
        return finding(7, f"its verdict is not valid: {error.message}", "mismatch", evidence, command)
    predicate = signed.statement.predicate
    run, head = predicate.run, predicate.ledger
    evidence["run"] = {"id": run.id, "url": run.url, "code": predicate.code, "issued": predicate.issued}
    evidence["key"] = {"id": signed.key.id, "name": signed.key.name}
    evidence["ledger_head"] = {"seq": head.seq, "hash": head.hash}
    if problem is not None:
        return finding(7, f"its verdict is not valid: {problem}", "mismatch", evidence, command)
    answer = (
        f"passed in {f'run {run.id} {run.url}'.rstrip()}, signed by {signed.key.name} ({signed.key.id}), "
        f"based on ledger #{head.seq} {short(head.hash)}, promoted at #{promoted.seq}"
    )
    answer += _accepted(read, predicate.baseline.sha256, str(promoted.body.get("sha")))
    return finding(7, visible(answer, 600), "verified", evidence, log_command(run) or command)


def log_command(run: Run) -> str | None:
    """The command that shows the log of a CI run, for a run on GitHub or a log file; None if there is none."""
    found = _ACTIONS.fullmatch(run.url)
    if found is not None:
        host = "" if found["host"] == "github.com" else f"{found['host']}/"
        return f"gh run view {found['run']} --repo {host}{found['repository']} --log"
    # A verdict can name any path; only a log inside the project is worth a command that somebody pastes.
    path = PurePosixPath(run.url)
    inside = run.url.isprintable() and not path.is_absolute() and ".." not in path.parts
    return f"less {argument(f'./{path}')}" if run.url and "://" not in run.url and inside else None


def _accepted(read: Read, baseline: str, sha: str) -> str:
    """What was accepted with an entry that is its own baseline; empty for every other entry."""
    try:
        accepted = own_baseline(read(baseline), sha)
    except SpineError:
        return ""  # the baseline of that run is not stored here; the verdict states the counts it compared
    return f"; {accepted}" if accepted else ""


def _unsigned_answer(
    promoted: Event, events: Sequence[Event], read: Read, evidence: dict[str, Any], command: str
) -> Finding:
    run = next((e for e in reversed(events) if e.kind == "gated" and e.seq < promoted.seq), None)
    if run is None:
        answer = f"no gate run is recorded; promoted at #{promoted.seq} on an unsigned verdict (dev ledger)"
        return finding(7, answer, "missing", evidence, command)
    evidence["gate"] = {"seq": run.seq, "at": run.time, **run.body}
    baseline = short(str(run.body.get("baseline") or "")) or "none"
    answer = f"{run.body.get('result')} at #{run.seq} against baseline {baseline}; unsigned verdict (dev ledger)"
    answer += _accepted(read, str(run.body.get("baseline")), str(promoted.body.get("sha")))
    if verdict_kind(promoted) == "overridden":
        answer += f", {WORDS['overridden']} at #{promoted.seq}"
    return finding(7, visible(answer, 600), "recorded", evidence, command)
