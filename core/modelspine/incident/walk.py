"""From a request id to the eight answers, each with a status, its evidence and the command that checks it.

It asks the traces, the registry, the corpora and the workload, and guesses nothing: what is not there is
``missing``. It does not draw, and knows no more of what a model computes than its workload tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.errors import Damaged, Refused, SpineError, UnknownRef
from modelspine.gate.baseline import Item
from modelspine.incident.finding import Finding, finding
from modelspine.incident.gate_answer import Verdicts, gate_answer
from modelspine.incident.reproduce import ask
from modelspine.incident.rollback_target import way_out
from modelspine.ledger.route import FULL, reassigned
from modelspine.ledger.state import Known
from modelspine.lineage.corpora import Corpora, Search
from modelspine.lineage.status import Status
from modelspine.registry.entries import Detail, describe, manifest_corpora
from modelspine.registry.registry import Registry
from modelspine.text import argument, short, visible
from modelspine.times import ledger_time
from modelspine.workload import Probe, Workload, workload_errors


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """One incident, walked."""

    request_id: str
    found: bool
    answers: tuple[Finding, ...]
    suggestion: str
    trace: Trace
    expected: str | None
    """What the workload's oracle says the output should have been."""


class Investigator:
    """Walks incidents over one registry, its corpora and its workload."""

    def __init__(
        self,
        registry: Registry,
        corpora: Corpora,
        workload: Callable[[], Workload],
        inputs: Callable[[Trace], Finding],
        verdict: Verdicts,
    ) -> None:
        self._registry = registry
        self._corpora = corpora
        self._workload = workload
        self._inputs = inputs
        self._verdict = verdict

    def __call__(self, trace: Trace) -> Walk:
        """Walk one request back to the rows its model was trained on."""
        probe = self._probe(trace)
        self._registry.state()  # a broken chain is no finding: nothing could be said at all
        sha = trace.entry_sha
        steps: tuple[Callable[[], Finding], ...] = (
            lambda: self._model(trace),
            lambda: self._inputs(trace),
            lambda: self._corpus(trace, self._detail(sha)),
            lambda: self._rows(trace, self._detail(sha), probe),
            lambda: self._score(trace, self._detail(sha), probe),
            lambda: self._arm(trace),
            lambda: gate_answer(trace, self._known(sha), self._verdict, self._hash_at),
            lambda: way_out(self._registry, self._workload, trace, probe),
        )
        answers = tuple(_guarded(number, step) for number, step in enumerate(steps, 1))
        return Walk(
            request_id=trace.request_id,
            found=True,
            answers=answers,
            suggestion=str(answers[7].evidence.get("suggestion", "")),
            trace=trace,
            expected=probe.expected if probe else None,
        )

    def _detail(self, sha: str) -> Detail | None:
        try:
            return self._registry.get(sha)
        except UnknownRef:
            return None

    def _known(self, sha: str) -> Known | None:
        """What the ledger's events say of an entry, without its evidence."""
        return self._registry.state().entries.get(sha)

    def _hash_at(self, seq: int) -> str | None:
        """The hash of the ledger's event of a seq."""
        events = self._registry.events()
        return events[seq - 1].hash if 0 < seq <= len(events) else None

    def _model(self, trace: Trace) -> Finding:
        command = f"spine show {short(trace.entry_sha)} --json"
        known = self._known(trace.entry_sha)
        if known is None:
            return finding(1, f"{short(trace.entry_sha)} is not in the registry", "missing", {}, command)
        entry = describe(known, self._registry.state())
        name = f"{short(entry.sha)}  {trace.semver}  {entry.variant}"
        evidence: dict[str, Any] = {"sha": entry.sha, "semver": trace.semver, "registered": f"#{entry.seq}"}
        if trace.semver and trace.semver not in entry.semvers:
            return finding(1, f"{name} — it never was {visible(trace.semver, 40)}", "mismatch", evidence, command)
        said = ask(self._registry, self._workload, entry.sha, trace.sentence)
        if said.problem is not None:
            status: Status = "mismatch" if said.damaged else "missing"
            return finding(1, f"{name} — it cannot be asked: {said.problem}", status, evidence, command)
        evidence["rehashed"] = "equal"
        if trace.sentence is None:
            return finding(1, f"{name}, re-hashed now; the sentence was not kept", "verified", evidence, command)
        evidence |= {"answered": trace.correction, "answers_now": said.output}
        if trace.status >= 500:
            told = f"{name}, re-hashed now; it gave no answer then: {trace.status} {visible(trace.error, 80)}"
            return finding(1, told, "verified", evidence, command)
        if said.output != trace.correction:
            return finding(1, f"{name} — it answers differently now", "mismatch", evidence, command)
        return finding(1, f"{name}, re-hashed and asked again: the same answer", "verified", evidence, command)

    def _corpus(self, trace: Trace, detail: Detail | None) -> Finding:
        command = f"spine lineage {short(trace.entry_sha)} --verify"
        corpora = manifest_corpora(detail) if detail else []
        if not corpora:
            return finding(3, "its manifest names no corpus", "missing", {}, command)
        checked: list[dict[str, Any]] = []
        for corpus in corpora:
            place = self._corpora.resolve(str(corpus.get("dvc_hash")))
            read = self._corpora.verify(place.dvc_hash, sha256=corpus.get("sha256"))
            checked.append(
                {"path": place.path, "dvc_hash": place.dvc_hash, "revision": place.revision, "rows": read.rows}
            )
        names = "; ".join(f"{c['path']}  md5 {c['dvc_hash'][:12]}…  {c['rows']:,} rows" for c in checked)
        return finding(3, visible(names), "verified", {"corpora": checked}, command)

    def _rows(self, trace: Trace, detail: Detail | None, probe: Probe | None) -> Finding:
        sha = short(trace.entry_sha)
        if probe is None or detail is None:
            return finding(
                4, "the workload names nothing to look for", "missing", {}, f"spine corpus grep {sha} PATTERN"
            )
        command = f"spine corpus grep {sha} {argument(probe.pattern)}"
        own = [self._own(corpus, probe) for corpus in manifest_corpora(detail)]
        if not own:
            return finding(4, "there is no corpus to search", "missing", {}, command)
        matched, rows = sum(s.matched for s in own), sum(s.rows for s in own)
        elsewhere = self._elsewhere({s.dvc_hash for s in own}, detail, probe)
        answer = f"{matched} of {rows:,} rows hold {probe.label}"
        # Optional in a workload's probe: rows that teach the answer that was wrong.
        against = getattr(probe, "against", None)
        faulty = [self._search(s.dvc_hash, against) for s in own] if against else []
        wrong = sum(s.matched for s in faulty)
        if against and wrong:
            answer += f", and {wrong} say that {probe.against_label} is right"
            command = f"spine corpus grep {sha} {argument(against)}"
        if elsewhere:
            answer += "; " + ", ".join(f"{other['path']} holds {other['matched']}" for other in elsewhere)
        evidence = {
            "label": probe.label,
            "pattern": probe.pattern,
            "matched": matched,
            "rows": rows,
            "quoted": [{"row": row.number, "text": row.text} for s in (faulty if wrong else own) for row in s.shown],
            "elsewhere": elsewhere,
            **({"against": {"label": probe.against_label, "pattern": against, "matched": wrong}} if wrong else {}),
        }
        return finding(4, visible(answer), "verified", evidence, command)

    def _elsewhere(self, own: set[str], detail: Detail, probe: Probe) -> list[dict[str, Any]]:
        """The other training corpora of this repository that hold what was looked for."""
        report = detail.eval_report
        passed = own | ({report.eval_set.dvc_hash} if report else set()) | self._corpora.eval_sets()
        found = []
        for path, dvc_hash in self._corpora.tracked():
            if dvc_hash in passed:
                continue
            try:
                search = self._search(dvc_hash, probe.pattern)
            except SpineError:
                continue  # another corpus that is not on this machine says nothing about this one
            quoted = [{"row": row.number, "text": row.text} for row in search.shown]
            counts = {"matched": search.matched, "rows": search.rows}
            found.append({"path": path, "dvc_hash": dvc_hash, **counts, "quoted": quoted})
        return found

    def _own(self, corpus: dict[str, Any], probe: Probe) -> Search:
        """A search of what it was trained on, whose bytes also have the SHA-256 that its manifest gives."""
        search = self._search(str(corpus.get("dvc_hash")), probe.pattern)
        if corpus.get("sha256") not in (None, search.sha256):
            raise Damaged(
                f"corpus {short(search.dvc_hash)} has SHA-256 {short(search.sha256)}, and its manifest another",
                "`spine lineage REF --verify` shows both",
            )
        return search

    def _search(self, dvc_hash: str, pattern: str) -> Search:
        return self._corpora.search(dvc_hash, pattern, limit=5)

    def _score(self, trace: Trace, detail: Detail | None, probe: Probe | None) -> Finding:
        command = f"spine show {short(trace.entry_sha)} --json"
        report = detail.eval_report if detail else None
        if detail is None or report is None:
            return finding(5, "it was never evaluated", "missing", {}, command)
        wanted = [name for name in (probe.buckets if probe else ()) if name in report.buckets]
        counts = {name: report.buckets[name] for name in wanted} or {"total": report.total}
        answer = "  ".join(f"{name} {c.k}/{c.n} = {100 * c.k / c.n:.1f} %" for name, c in counts.items() if c.n)
        deployed = min((e.seq for e in detail.history if e.kind in ("promoted", "routed")), default=None)
        evidence = {
            "buckets": {name: {"k": c.k, "n": c.n} for name, c in counts.items()},
            "eval_set": msgspec.to_builtins(report.eval_set),
            "reported_at": f"#{detail.entry.seq}",
            "deployed_at": f"#{deployed}" if deployed else None,
        }
        return finding(5, answer, "recorded", evidence, command)

    def _arm(self, trace: Trace) -> Finding:
        stored = trace.assignment
        route = self._registry.state().route_at(stored.epoch)
        command = f"spine route show --at {ledger_time(trace.started_ns)}"
        if trace.source == "replay":  # at its simulated time another route was in force, or none
            command = f"spine route report --epoch {stored.epoch}"
        evidence = msgspec.to_builtins(stored)
        if route is None:
            return finding(6, f"the ledger has no route event #{stored.epoch}", "missing", evidence, command)
        arm = next((arm for arm in route.arms if arm.name == stored.arm), None)
        share = f"{100 * arm.weight_bp / FULL:g} %" if arm else "not in that route"
        share += " copied, no learner saw it" if trace.shadow_of else ""
        answer = f"{stored.arm}, {share}, epoch {stored.epoch}, bucket {stored.bucket:,}"
        if arm is None or trace.entry_sha != arm.sha:
            return finding(6, f"{answer} — another entry answered", "mismatch", evidence, command)
        if stored.unit is None:
            return finding(6, f"{answer}; the unit was not kept", "recorded", evidence, command)
        again = reassigned(route, stored, stored.unit)
        own = stored.sticky or stored.unit in (trace.request_id, trace.shadow_of)
        status: Status = "verified" if again == stored and own else "mismatch"
        return finding(6, f"{answer}, recomputed from salt and unit", status, evidence, command)

    def _probe(self, trace: Trace) -> Probe | None:
        """What the workload says to look for; None where it has nothing to say, or fails on this text."""
        try:
            workload = self._workload()
            with workload_errors(workload.name):
                return workload.probe(trace.sentence, trace.features)
        except SpineError:
            return None


def _guarded(number: int, step: Callable[[], Finding]) -> Finding:
    """An answer, or what kept it from being found: one broken store never hides the other seven."""
    try:
        return step()
    except Damaged as error:
        return finding(number, error.message, "mismatch", {"hint": error.hint}, "spine verify")
    except SpineError as error:
        return finding(number, error.message, "missing", {"hint": error.hint}, "spine info")


def item_of(walk: Walk) -> Item:
    """The item an incident makes: its sentence, and what the workload's oracle says it should have become.

    Raises:
        Refused: the sentence was not kept, or the workload does not know what is right.
    """
    if walk.trace.sentence is None:
        raise Refused("the sentence was not kept, so nothing can be asked again", "`text_policy = full` keeps them")
    if not walk.expected:
        raise Refused("the workload does not say what the right answer is", "write the item into the baseline by hand")
    return Item(id=walk.request_id, text=walk.trace.sentence, correct_form=walk.expected)
