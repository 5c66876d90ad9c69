"""Answer 7 of a walk: the gate run that let an entry in, and whose signature stands under it.

It does not know how a verdict is checked: it is handed the function that does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from miniobserve.traces import Trace
from modelspine.errors import Refused
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.state import Known
from modelspine.ledger.store import Event
from modelspine.registry.promotion_record import WORDS, verdict_kind
from modelspine.text import short, visible

if TYPE_CHECKING:
    from modelspine.attestation.checks import Hashes
    from modelspine.attestation.verdict import SignedVerdict

Verdicts = Callable[[str], "SignedVerdict"]
"""The signed verdict of a digest, its signature checked now against the trust file."""


def gate_answer(trace: Trace, known: Known | None, verdicts: Verdicts, hash_at: Hashes) -> Finding:
    """What stands behind the promotion under which the request was answered."""
    command = f"spine show {short(trace.entry_sha)} --json"
    events = known.history if known is not None else []
    promoted = next((e for e in events if e.kind == "promoted" and e.body.get("semver") == trace.semver), None)
    if promoted is None:
        return finding(7, "no promotion is recorded", "missing", {}, command)
    told = {"seq": promoted.seq, "at": promoted.at, "actor": promoted.actor, "reason": promoted.body.get("reason")}
    verdict = promoted.body.get("verdict") or {}
    evidence = {"promoted": told, "verdict": verdict, "standing": verdict_kind(promoted)}
    if verdict_kind(promoted) == "signed":
        return _signed(promoted, verdicts, hash_at, evidence, command)
    return _unsigned(promoted, events, evidence, command)


def _signed(promoted: Event, verdicts: Verdicts, hash_at: Hashes, evidence: dict[str, Any], command: str) -> Finding:
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
    where = f"run {said.run.id} {said.run.url}".rstrip()
    answer = (
        f"{said.result}, signed by {signed.key.name} ({signed.key.id}), {where}, "
        f"decided on ledger #{said.ledger.seq} {short(said.ledger.hash)}, promoted at #{promoted.seq}"
    )
    return finding(7, visible(answer, 600), "verified", evidence, command)


def _unsigned(promoted: Event, events: Sequence[Event], evidence: dict[str, Any], command: str) -> Finding:
    run = next((e for e in reversed(events) if e.kind == "gated" and e.seq < promoted.seq), None)
    if run is None:
        answer = f"no gate run is recorded; promoted at #{promoted.seq} on an unsigned development verdict"
        return finding(7, answer, "missing", evidence, command)
    evidence["gate"] = {"seq": run.seq, "at": run.at, **run.body}
    against = short(str(run.body.get("baseline") or "")) or "none"
    answer = f"{run.body.get('result')} at #{run.seq} against baseline {against}; nobody signed the verdict"
    if verdict_kind(promoted) == "overridden":
        answer += f", {WORDS['overridden']} at #{promoted.seq}"
    return finding(7, visible(answer), "recorded", evidence, command)
