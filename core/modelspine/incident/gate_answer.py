"""Answer 7 of a walk: the gate run that let an entry in, and whose signature stands under it.

It does not know how a verdict is checked: it is handed the function that does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from miniobserve.traces import Trace
from modelspine.errors import Refused, SpineError
from modelspine.gate.baseline import own_baseline
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.state import Known
from modelspine.ledger.store import Event
from modelspine.registry.floor import Read
from modelspine.registry.promotion_record import WORDS, standing
from modelspine.text import argument, short, visible

if TYPE_CHECKING:
    from modelspine.attestation.checks import Hashes
    from modelspine.attestation.statement import Run
    from modelspine.attestation.verdict import SignedVerdict

_ACTIONS = re.compile(r"https?://[^/\s]+/(?P<repository>[\w.-]+/[\w.-]+)/actions/runs/(?P<run>\d+)", re.ASCII)
"""The address of a run of GitHub Actions, on github.com or a server of one's own."""
Verdicts = Callable[[str], "SignedVerdict"]
"""The signed verdict of a digest, its signature checked now against the trust file."""


def gate_answer(trace: Trace, known: Known | None, verdicts: Verdicts, hash_at: Hashes, read: Read) -> Finding:
    """What stands behind the promotion under which the request was answered; ``read`` reads evidence by its digest."""
    command = f"spine show {short(trace.entry_sha)} --json"
    events = known.history if known is not None else []
    promoted = next((e for e in events if e.kind == "promoted" and e.body.get("semver") == trace.semver), None)
    if promoted is None:
        return finding(7, "no promotion is recorded", "missing", {}, command)
    told = {"seq": promoted.seq, "at": promoted.at, "actor": promoted.actor, "reason": promoted.body.get("reason")}
    verdict = promoted.body.get("verdict") or {}
    evidence = {"promoted": told, "verdict": verdict, "standing": standing(promoted)}
    if standing(promoted) == "signed":
        return _signed(promoted, verdicts, hash_at, read, evidence, command)
    return _unsigned(promoted, events, read, evidence, command)


def _signed(
    promoted: Event, verdicts: Verdicts, hash_at: Hashes, read: Read, evidence: dict[str, Any], command: str
) -> Finding:
    from modelspine.attestation.checks import disagreement  # loaded where a signed verdict is looked at

    try:
        signed = verdicts(str(promoted.body["verdict"].get("digest")))
        problem = disagreement(signed.statement, signed.key.id, promoted, hash_at)
    except Refused as error:
        return finding(7, f"its verdict does not hold: {error.message}", "mismatch", evidence, command)
    said = signed.statement.predicate
    evidence["run"] = {"id": said.run.id, "url": said.run.url, "code": said.code, "issued": said.issued}
    evidence["key"] = {"id": signed.key.id, "name": signed.key.name}
    evidence["ledger_head"] = {"seq": said.ledger.seq, "hash": said.ledger.hash}
    if problem is not None:
        return finding(7, f"its verdict does not hold: {problem}", "mismatch", evidence, command)
    answer = (
        f"passed in run {f'{said.run.id} {said.run.url}'.rstrip()}, signed by {signed.key.name} ({signed.key.id}), "
        f"decided on ledger #{said.ledger.seq} {short(said.ledger.hash)}, promoted at #{promoted.seq}"
    )
    answer += _accepted(read, said.baseline.sha256, str(promoted.body.get("sha")))
    return finding(7, visible(answer, 600), "verified", evidence, log_command(said.run) or command)


def log_command(run: Run) -> str | None:
    """The command that shows the log of a CI run: of a run on GitHub, or in a file; None where there is none."""
    found = _ACTIONS.fullmatch(run.url)
    if found is not None:
        return f"gh run view {argument(found['run'])} --repo {argument(found['repository'])} --log"
    return f"less {argument(run.url)}" if run.url and "://" not in run.url else None


def _accepted(read: Read, baseline: str, sha: str) -> str:
    """What was let in with an entry that is its own baseline; empty for every other entry."""
    try:
        told = own_baseline(read(baseline), sha)
    except SpineError:
        return ""  # the baseline of that run is not kept here; what was compared stands in the verdict
    return f"; {told}" if told else ""


def _unsigned(promoted: Event, events: Sequence[Event], read: Read, evidence: dict[str, Any], command: str) -> Finding:
    run = next((e for e in reversed(events) if e.kind == "gated" and e.seq < promoted.seq), None)
    if run is None:
        answer = f"no gate run is recorded; promoted at #{promoted.seq} on an unsigned development verdict"
        return finding(7, answer, "missing", evidence, command)
    evidence["gate"] = {"seq": run.seq, "at": run.at, **run.body}
    against = short(str(run.body.get("baseline") or "")) or "none"
    answer = f"{run.body.get('result')} at #{run.seq} against baseline {against}; nobody signed the verdict"
    answer += _accepted(read, str(run.body.get("baseline")), str(promoted.body.get("sha")))
    if standing(promoted) == "overridden":
        answer += f", {WORDS['overridden']} at #{promoted.seq}"
    return finding(7, visible(answer, 600), "recorded", evidence, command)
