"""The walk from a trace to the eight answers, each with a status, its evidence and the command that checks it.

It asks the registry, the corpora and the workload and guesses nothing: what cannot be found is ``missing``, and what
cannot be looked at is ``not_checked``.
It draws nothing, and knows of a model's task only what the workload reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.errors import Damaged, Refused, SpineError, Unavailable, UnknownRef
from modelspine.gate.baseline import Item
from modelspine.incident.arm_answer import arm_answer
from modelspine.incident.files_answer import with_files
from modelspine.incident.finding import UNREGISTERED, Finding, finding, reason
from modelspine.incident.gate_answer import Verdicts, gate_answer
from modelspine.incident.reproduce import ask
from modelspine.incident.rollback_target import Gate, fix_answer
from modelspine.incident.rows_answer import path_of, rows_answer
from modelspine.incident.told_answers import case_of, covering, told_answer, told_fix, unattributed, with_claim
from modelspine.kept_files.digests import names_files
from modelspine.ledger.state import Known
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.status import Status
from modelspine.registry.entries import Detail, describe, manifest_corpora
from modelspine.registry.registry import Registry
from modelspine.text import short, visible
from modelspine.words import words
from modelspine.workload import Probe, Workload, can_answer, right_by, workload_errors


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """The eight answers about one request."""

    request_id: str
    found: bool
    answers: tuple[Finding, ...]
    suggestion: str
    trace: Trace
    expected: str | None
    """The right answer: by the workload's oracle, or its label; None where it is not known."""
    right: bool | None = None
    """Whether the answer was right, by the same rule as a grade; None where there is no answer, no right one is known,
    or the two cannot be compared."""


class Investigator:
    """Answers the eight questions over one registry, its corpora and its workload."""

    def __init__(
        self,
        registry: Registry,
        corpora: Corpora,
        workload: Callable[[], Workload],
        inputs: Callable[[Trace], Finding],
        verdict: Verdicts,
        gate: Gate,
        files: str = "",
    ) -> None:
        """Each argument is what answers a question; ``files`` is the setting of that name."""
        self._registry = registry
        self._corpora = corpora
        self._workload = workload
        self._inputs = inputs
        self._verdict = verdict
        self._gate = gate
        self._files = files

    def __call__(self, trace: Trace) -> Walk:
        """Walk one request back to the rows its model was trained on.

        Raises:
            Damaged: the ledger's hash chain is broken.
        """
        probe, problem = self._probe(trace)
        # Outside the steps, so that a broken chain raises: no answer could be trusted, not even as a mismatch.
        self._registry.state()
        sha = trace.entry_sha
        steps: tuple[Callable[[], Finding], ...] = (
            lambda: with_files(self._claimed(trace), trace, self._files),
            lambda: self._inputs(trace),
            lambda: self._corpus(trace, self._detail(sha)),
            lambda: rows_answer(sha, self._detail(sha), probe, problem, self._corpora),
            lambda: self._score(trace, self._detail(sha), probe),
            lambda: self._arm(trace),
            lambda: gate_answer(trace, self._known(sha), self._verdict, self._hash_at, self._registry.evidence),
            lambda: self._fix(trace, probe),
        )
        answers = tuple(_answer_or_problem(number, step) for number, step in enumerate(steps, 1))
        return Walk(
            request_id=trace.request_id,
            found=True,
            answers=answers,
            suggestion=str(answers[7].evidence.get("suggestion", "")),
            trace=trace,
            expected=probe.expected if probe else None,
            right=self._right(trace, probe),
        )

    def _detail(self, sha: str) -> Detail | None:
        try:
            return self._registry.get(sha)
        except UnknownRef:
            return None

    def _known(self, sha: str) -> Known | None:
        """What the ledger's events say about an entry; reads no evidence, which may be damaged."""
        return self._registry.state().entries.get(sha)

    def _hash_at(self, seq: int) -> str | None:
        """The hash of ledger event ``seq``; None where there is no such event."""
        events = self._registry.events()
        return events[seq - 1].hash if 0 < seq <= len(events) else None

    def _claimed(self, trace: Trace) -> Finding:
        return with_claim(self._model(trace), trace, self._registry.state(), self._registry.events())

    def _model(self, trace: Trace) -> Finding:
        command = f"spine show {short(trace.entry_sha)} --json"
        known = self._known(trace.entry_sha)
        if not trace.entry_sha:
            return unattributed(trace)
        if known is None:
            return finding(1, f"{short(trace.entry_sha)} is not in the registry", "missing", {}, command)
        entry = describe(known, self._registry.state())
        name = "  ".join(word for word in (short(entry.sha), trace.semver, entry.variant) if word)
        evidence: dict[str, Any] = {"sha": entry.sha, "semver": trace.semver, "registered": f"#{entry.seq}"}
        if trace.semver and trace.semver not in entry.semvers:
            answer = f"{name} — it was never promoted as {visible(trace.semver, 40)}"
            return finding(1, answer, "mismatch", evidence, command)
        if not self._can_answer():
            return told_answer(self._registry, self._workload, entry.sha, name, trace, evidence, command)
        reply = ask(self._registry, self._workload, entry.sha, trace.input)
        if reply.problem is not None:
            status: Status = "mismatch" if reply.damaged else "not_checked" if reply.unavailable else "missing"
            return finding(1, f"{name} — it cannot be asked again: {reply.problem}", status, evidence, command)
        evidence["rehashed"] = "equal"
        if trace.input is None:
            return finding(
                1, f"{name}, bytes verified; the {words().input} was not kept", "verified", evidence, command
            )
        evidence |= {"answered": trace.output, "answers_now": reply.output}
        if trace.status >= 500:
            failure = f"{trace.status} {visible(trace.error, 80)}"
            answer = f"{name}, bytes verified; the request itself failed: {failure}"
            return finding(1, answer, "verified", evidence, command)
        if reply.output != trace.output and names_files(trace.input):
            answer = f"{name}, bytes verified; its {words().input} has files, about which no model can be asked again"
            return finding(1, answer, "verified", evidence, command)
        if reply.output != trace.output:
            return finding(1, f"{name} — it gives a different answer now", "mismatch", evidence, command)
        return finding(1, f"{name}, bytes verified; it gives the same answer now", "verified", evidence, command)

    def _corpus(self, trace: Trace, detail: Detail | None) -> Finding:
        command = f"spine lineage {short(trace.entry_sha)} --verify"
        if detail is None:
            return finding(3, UNREGISTERED, "missing", {}, command)
        corpora = manifest_corpora(detail)
        if not corpora:
            return finding(3, "its manifest names no corpus", "missing", {}, command)
        checked: list[dict[str, Any]] = []
        for corpus in corpora:
            place = self._corpora.resolve(str(corpus.get("dvc_hash")), path_of(corpus))
            read = self._corpora.verify(place.dvc_hash, sha256=corpus.get("sha256"), path=path_of(corpus))
            checked.append(
                {"path": place.path, "dvc_hash": place.dvc_hash, "revision": place.revision, "rows": read.rows}
            )
        names = "; ".join(f"{c['path']}  md5 {c['dvc_hash'][:12]}…  {_counted(c['rows'])}" for c in checked)
        return finding(3, visible(names), "verified", {"corpora": checked}, command)

    def _score(self, trace: Trace, detail: Detail | None, probe: Probe | None) -> Finding:
        command = f"spine show {short(trace.entry_sha)} --json"
        if detail is None:
            return finding(5, UNREGISTERED, "missing", {}, command)
        report = detail.eval_report
        if report is None:
            return finding(5, "it was never evaluated", "missing", {}, command)
        counts = {name: report.buckets[name] for name in covering(report, probe)}
        if not counts and report.total is not None:
            counts = {"total": report.total}
        answer = "  ".join(f"{name} {c.k}/{c.n} = {100 * c.k / c.n:.1f} %" for name, c in counts.items() if c.n)
        if not counts:  # a report of scores alone
            answer = "  ".join(f"{name} {score.text}" for name, score in report.scores.items())
        first_deployed = min((e.seq for e in detail.history if e.kind in ("promoted", "routed")), default=None)
        evidence = {
            "buckets": {name: {"k": c.k, "n": c.n} for name, c in counts.items()},
            "eval_set": msgspec.to_builtins(report.eval_set),
            "reported_at": f"#{detail.entry.seq}",
            "deployed_at": f"#{first_deployed}" if first_deployed else None,
        }
        return finding(5, answer, "recorded", evidence, command)

    def _arm(self, trace: Trace) -> Finding:
        epoch, events = trace.assignment.epoch, self._registry.events()
        since = events[epoch - 1].time if 0 < epoch <= len(events) else ""
        return arm_answer(trace, self._registry.state().route_at(epoch), since)

    def _can_answer(self) -> bool:
        """Whether models can be asked here; a workload that does not load is reported where it is asked."""
        try:
            return can_answer(self._workload())
        except SpineError:
            return True

    def _fix(self, trace: Trace, probe: Probe | None) -> Finding:
        if not self._can_answer():
            return told_fix(self._registry, self._workload(), trace, probe, self._gate)
        return fix_answer(self._registry, self._workload, trace, probe, self._gate)

    def _right(self, trace: Trace, probe: Probe | None) -> bool | None:
        if trace.status >= 500 or trace.output is None or probe is None or probe.expected is None:
            return None
        return right_by(self._workload(), trace.output, probe.expected)

    def _probe(self, trace: Trace) -> tuple[Probe | None, SpineError | None]:
        """What the workload says to search for, None where it has no probe for this text; and its error, if any."""
        try:
            workload = self._workload()
            with workload_errors(workload.name):
                features = trace.features if can_answer(workload) else case_of(trace)
                return workload.probe(trace.input, features), None
        except SpineError as error:
            return None, error


def _counted(rows: int | None) -> str:
    return "rows not counted" if rows is None else f"{rows:,} rows"


def _answer_or_problem(number: int, step: Callable[[], Finding]) -> Finding:
    """Run one step; its error becomes the answer, so that one broken store does not hide the other seven."""
    try:
        return step()
    except Damaged as error:
        return finding(number, error.message, "mismatch", {"hint": error.hint}, "spine verify")
    except Unavailable as error:
        return finding(number, error.message, "not_checked", reason(error), "spine info")
    except SpineError as error:
        return finding(number, error.message, "missing", reason(error), "spine info")


def item_of(walk: Walk) -> Item:
    """The never-regress item for an incident: its sentence with the correct form according to the workload.

    Raises:
        Refused: the sentence was not kept, or the workload gives no correct answer.
    """
    if walk.trace.input is None:
        raise Refused(
            f"the {words().input} was not kept, so it cannot be evaluated again",
            f"`text_policy = full` keeps {words().inputs}",
        )
    if not walk.expected:
        raise Refused("the workload gives no correct answer", "add the item to the baseline by hand")
    return Item(id=walk.request_id, text=walk.trace.input, correct_form=walk.expected)
