"""Answers 1, 5 and 8 of a walk where a table describes the workload, so that no model can be asked again.

Which entry answered, and what, is what the server reported. What fixes the request is concluded from evaluations: the
promoted entry that scored best on such cases before it was deployed. It does not know how a case is described.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.described.label_names import label_name
from modelspine.described.number_ranges import holds
from modelspine.described.records import ANSWER, ANSWERED, LABEL
from modelspine.described.service import Described
from modelspine.described.table import WorkloadTable
from modelspine.errors import SpineError, Unavailable
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.incident.arm_answer import claim_command
from modelspine.incident.finding import Finding, finding
from modelspine.incident.reproduce import ask
from modelspine.incident.rollback_target import Gate, newest_promoted
from modelspine.incident.way_there import in_turn, wait, way_there
from modelspine.ledger.event import Event
from modelspine.ledger.state import State
from modelspine.lineage.status import Status
from modelspine.registry.claims import claim_behind, claim_text, claims_on, replaced_by
from modelspine.registry.registry import Registry
from modelspine.registry.rules import way_to
from modelspine.text import argument, short, visible
from modelspine.workload import Probe, Workload, right_by

_TOLD = "told by the server, which Spine cannot ask again"


class Scored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one promoted entry scored on cases like this one before it was deployed."""

    sha: str
    semver: str | None
    bucket: str | None
    """The most specific bucket that covers the case; None where no evaluation has one."""
    k: int = 0
    n: int = 0
    held: str | None = None
    gate: str | None = None
    refused_for: str | None = None
    unavailable: bool = False

    @property
    def text(self) -> str:
        """The entry with its score."""
        return f"{self.semver} {short(self.sha)} scored {self.k:,}/{self.n:,} on {visible(str(self.bucket), 60)}"

    def beats(self, other: Scored) -> bool:
        """Whether its share of right answers is the larger one; of equal shares, neither."""
        return self.k * max(other.n, 1) > other.k * max(self.n, 1)


def case_of(trace: Trace) -> dict[str, str]:
    """The features of a request as a described workload's probe takes them: with its numbers, answer and label."""
    numbers = {name: f"{each:.12g}" for name, each in trace.values.items() if isinstance(each, float | int)}
    found = {**numbers, **trace.features}
    if trace.output is not None:
        found[ANSWER] = trace.output
    label = getattr(trace, "label", None)
    return found | ({LABEL: str(label)} if label is not None else {})


def covering(report: EvalReport, probe: Probe | None) -> list[str]:
    """The buckets of a report that cover a case: those that the probe names, then the ranges that hold its numbers."""
    if probe is None:
        return []
    named = [name for name in probe.buckets if name in report.buckets]
    amounts: dict[str, float] = getattr(probe, "amounts", {})  # a workload's own probe need not have it
    ranges = [
        bucket
        for name, value in amounts.items()
        for bucket in report.buckets
        if bucket.startswith(f"{name}/") and holds(bucket.removeprefix(f"{name}/"), value)
    ]
    return [*named, *(name for name in ranges if name not in named)]


def told_answer(
    registry: Registry, workload: Any, sha: str, name: str, trace: Trace, evidence: dict[str, Any], command: str
) -> Finding:
    """Answer 1: the entry that the server named; whether its bytes are intact can be checked all the same."""
    reply = ask(registry, workload, sha, None)
    if reply.damaged:
        return finding(1, f"{name} — {reply.problem}", "mismatch", evidence, command)
    bytes_ = "bytes verified" if reply.problem is None else f"bytes not checked: {reply.problem}"
    evidence |= {"answered": trace.output, "told_by_server": True}
    evidence |= {"rehashed": "equal"} if reply.problem is None else {"why": reply.problem}
    return finding(1, visible(f"{name}, {bytes_}; {_TOLD}", 300), "recorded", evidence, command)


def unattributed(trace: Trace) -> Finding:
    """Answer 1 where the server named a model by a name that means no entry, or named none."""
    command, model = claim_command(trace), trace.fields.get("model")
    if not isinstance(model, str):
        return finding(1, "the server named no model, so the entry that answered is not known", "missing", {}, command)
    name = visible(model, 100)
    answer = f"the server named the model “{name}”, which means no entry here; it can be claimed for one"
    return finding(1, answer, "missing", {"model": name}, command)


def with_claim(found: Finding, trace: Trace, state: State, events: Sequence[Event]) -> Finding:
    """Answer 1 with the name that the server gave its model, and who said that it means this entry; else as it is."""
    claim = claim_behind(trace, state, events)
    if claim is None:
        return found
    model, replaced = str(claim.body["model"]), replaced_by(claim, events)
    text = f"the server named “{visible(model, 100)}”, which was claimed for {claim_text(claim, state)}"
    if replaced is not None:
        text += f", in place of {claim_text(replaced, state)}"
    newest = claims_on(model, events)[0]
    if newest.body["sha"] != claim.body["sha"]:
        text += f"; it now means {claim_text(newest, state)}"
    told = {"seq": claim.seq, "at": claim.time, "actor": claim.actor, "reason": claim.body.get("reason"),
            "replaced": None if replaced is None else replaced.seq, "newest": newest.seq}  # fmt: skip
    evidence = {**found.evidence, "model": model, "claim": told}
    return msgspec.structs.replace(found, answer=visible(f"{found.answer}; {text}", 900), evidence=evidence)


def told_fix(registry: Registry, workload: Workload, trace: Trace, probe: Probe | None, gate: Gate) -> Finding:
    """Answer 8: the promoted entry that scored best on such cases, if the gate would let it replace production."""
    state = registry.state()
    expected = probe.expected if probe else None
    known = trace.status < 500 and trace.output is not None and expected is not None
    if known and right_by(workload, str(trace.output), str(expected)):
        suggestion = "nothing to fix: the answer was correct"
        answer = f"the answer was correct by its label: “{visible(str(expected), 80)}”"
        return _found(answer, "recorded", [], suggestion, f"spine traces show {argument(trace.request_id)}")
    if expected is None and getattr(workload, "has_labels", False):
        why = "no comparison possible: the right answer is not known yet"
        score = _answered_score(registry, workload.table, trace) if isinstance(workload, Described) else ""
        return _found(f"{why}{f'; {score}' if score else ''}", "missing", [],
                      "record the right label of this request: `spine labels import FILE`",
                      "spine labels import --help")  # fmt: skip
    scored = [_scored(registry, state, sha, probe) for sha in newest_promoted(state)]
    own = next((each for each in scored if each.sha == trace.entry_sha), None)
    if own is None or own.bucket is None:
        why = "no evaluation of the entry that answered covers this case"
        return _found(f"no comparison possible: {why}", "missing", scored, "compare evaluation scores: `spine list`",
                      "spine list")  # fmt: skip
    usable = [each for each in scored if each.bucket is not None and each.bucket == own.bucket and each.beats(own)]
    production = next((each for each in usable if each.sha == state.production), None)
    if production is not None:
        suggestion = f"no rollback needed: production {production.semver} is better at this (`spine route show`)"
        answer = f"production {production.text}; {own.text}"
        return _found(answer, "recorded", scored, suggestion, "spine route show", go_to=production.sha)
    return _best(state, trace.request_id, own, usable, scored, gate)


def _best(
    state: State, request_id: str, own: Scored, usable: list[Scored], scored: list[Scored], gate: Gate
) -> Finding:
    """The best of the entries that scored higher, gated; what to do where none of them may take over."""
    best = None
    for each in usable:
        if each.held is None and (best is None or each.beats(best)):
            best = each
    train = "label more such requests, train on them and promote the model"
    if best is None:
        held = f"; {usable[0].text}, but is on hold: {visible(str(usable[0].held), 80)}" if usable else ""
        answer = f"no other promoted entry scored better on such cases: {own.text}{held}"
        return _found(answer, "recorded", scored, train, "spine list")
    try:
        decision = gate(best.sha)
        best = msgspec.structs.replace(best, gate=decision.result, refused_for=next(iter(decision.reasons), None))
    except SpineError as error:
        best = msgspec.structs.replace(
            best, gate="error", refused_for=error.message, unavailable=isinstance(error, Unavailable)
        )
    scored = [best if each.sha == best.sha else each for each in scored]
    if best.gate == "pass":
        answer = f"{best.text} and passes the gate; {own.text}; nothing was asked again"
        commands = way_there(state, best.sha, request_id)
        if not commands:
            command = "spine route show"
            return _found(answer, "recorded", scored, f"{wait(state, best.sha)} (`{command}`)", command)
        verb = way_to(state, best.sha)
        return _found(answer, "recorded", scored, in_turn(commands), commands[0], go_to=best.sha, verb=verb)
    why = f": {visible(best.refused_for, 160)}" if best.refused_for else ""
    answer = f"{best.text}, but the gate does not let it replace production{why}; {own.text}"
    status: Status = "not_checked" if best.unavailable else "recorded"
    return _found(answer, status, scored, train, f"spine gate {best.semver}")


def _found(
    answer: str, status: Status, scored: list[Scored], suggestion: str, command: str,
    *, go_to: str | None = None, verb: str | None = None,
) -> Finding:  # fmt: skip
    entries = [msgspec.to_builtins(each) for each in scored]
    evidence = {"entries": entries, "go_to": go_to, "verb": verb, "suggestion": suggestion}
    return finding(8, answer, status, evidence, command)


def _scored(registry: Registry, state: State, sha: str, probe: Probe | None) -> Scored:
    """An entry with the count of the most specific bucket that covers the case."""
    known = state.entries[sha]
    try:
        report = registry.get(sha).eval_report
    except SpineError:  # a damaged report is reported where this entry itself is looked at
        report = None
    bucket = next(iter(covering(report, probe)), None) if report is not None else None
    count = report.buckets[bucket] if report is not None and bucket is not None else Count(0, 0)
    return Scored(sha=sha, semver=known.semvers[-1], bucket=bucket, k=count.k, n=count.n, held=known.held)


def _answered_score(registry: Registry, table: WorkloadTable, trace: Trace) -> str:
    """How often a classifier was right where it gave this answer; empty where no evaluation says it."""
    if trace.output is None:
        return ""
    try:
        report = registry.get(trace.entry_sha).eval_report
    except SpineError:
        return ""
    counts = report.views.get(ANSWERED) if report is not None else None
    count = counts.get(label_name(table, trace.output)) if isinstance(counts, dict) else None
    if not isinstance(count, dict) or not count.get("n"):
        return ""
    share = 100 * count["k"] / count["n"]
    said = visible(str(trace.output), 40)
    return f"it was right in {count['k']:,}/{count['n']:,} = {share:.1f} % of the items that it answered with “{said}”"
