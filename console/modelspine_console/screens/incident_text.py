"""The words of an incident: one exchange, the eight answers, the evidence behind each, and where that stands.

Pure drawing of core's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.cost.format import money
from modelspine.text import short
from modelspine.times import ledger_time
from modelspine_console.draw.format import age, dash, heading, milliseconds, pairs, status, tree, when
from modelspine_console.draw.sanitize import Line, fill, row, safe
from modelspine_console.widgets.table import Column

if TYPE_CHECKING:
    from miniobserve.traces import Trace
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk

_ID = 14
"""Cells of a request's id in a list."""
NAMES = ("model", "inputs", "corpus", "rows", "score", "arm", "gate", "way out")
NONE = "no requests yet\nstart the server with `spine serve`; each answer leaves a trace here"


def none(asked: Mapping[str, str]) -> str:
    """Why there is no request to show: nothing matches what the store was asked for, or nothing was traced."""
    words = "  ".join(f"{name}:{value}" for name, value in asked.items())
    return f"no request matches {words}\nesc clears the filter" if asked else NONE


def answer_columns() -> tuple[Column, ...]:
    """Number, name, status and answer."""
    return (
        Column(title="", width=1, cell=lambda f: safe(f.n, "muted")),
        Column(title="", width=8, cell=lambda f: safe(NAMES[f.n - 1], "strong")),
        Column(title="", width=10, cell=lambda f: status(f.status)),
        Column(title="", width=20, cell=lambda f: safe(f.answer), grow=True),
    )


def request_columns(now: Callable[[], datetime]) -> tuple[Column, ...]:
    """Requests, as every list of them shows one."""
    return (
        Column(title="age", width=6, cell=lambda t: age(ledger_time(t.started_ns), now()), right=True),
        Column(title="request → reply", width=22, cell=exchange, grow=True),
        Column(title="learner", width=11, cell=outcome, rank=1),
        Column(title="arm", width=8, cell=lambda t: dash(t.assignment.arm), rank=3),
        Column(
            title="ms",
            width=6,
            cell=lambda t: safe(milliseconds(t.seconds).removesuffix(" ms")),
            sort=lambda t: -t.seconds,
            right=True,
            rank=4,
        ),
        Column(title="id", width=_ID, cell=lambda t: safe(_end(t.request_id), "muted"), rank=2),
    )


def _end(name: str) -> str:
    """The end of an id, by which requests of the same hour are told apart."""
    return name if len(name) <= _ID else f"…{name[1 - _ID :]}"


def exchange(trace: Any) -> Line:
    """What was said and what was answered, in one line."""
    if trace.sentence is None:
        return safe("text not kept", "faint")
    said = safe(trace.sentence, limit=200)
    if trace.error:
        return row(safe("✖ ", "bad"), said, safe(f"  {trace.error}", "bad"))
    if trace.correction == trace.sentence:
        return row(safe("= " if trace.in_scope else "○ ", "faint"), said)
    return row(safe("→ ", "accent"), said, safe(" → ", "faint"), safe(trace.correction or "", "accent"))


def haystack(trace: Any) -> str:
    """The text a filter looks through."""
    features = " ".join(trace.features.values())
    parts = (
        trace.request_id,
        trace.sentence or "",
        trace.correction or "",
        trace.assignment.arm,
        trace.feedback or "",
        features,
    )
    return " ".join(parts).lower()


def about(trace: Trace | None, walk: Walk | None, width: int, *, at: str | None) -> list[Line]:
    """The exchange an incident is about, and what is wrong with it; ``at`` is the moment that is shown elsewhere."""
    if trace is None:
        return [safe(""), safe("")]
    said = f"learner said: {trace.feedback}" if trace.feedback else "the learner said nothing"
    replay = " · replayed" if trace.source == "replay" else ""
    time = ledger_time(trace.started_ns)
    right = row(safe(f"{said}{replay} · ", "muted"), when(time), safe(" "))
    sentence = safe(f"“{trace.sentence}”") if trace.sentence is not None else safe("text not kept", "muted")
    reply = safe(f"“{trace.correction}”", "strong") if trace.correction is not None else safe("not kept", "muted")
    first = row(safe(" "), sentence, safe("  →  ", "faint"), reply)
    if at is not None:
        right = row(safe("walked on what stands now, not at that moment · ", "warn"), right)
    if first.cell_length + right.cell_length > width:
        return [first, row(safe(" "), _judged(trace, walk)), row(safe(" "), right)]
    return [fill(first, right, width), row(safe(" "), _judged(trace, walk))]


def _judged(trace: Trace, walk: Walk | None) -> Line:
    passed = safe("passed as right" if trace.is_correct else "corrected", "muted")
    expected = walk.expected if walk is not None else None
    if expected is None:
        return passed
    if expected == trace.correction:
        return row(passed, safe("   ✔ ", "good"), safe("the oracle agrees", "good"))
    wrong = "false accept" if trace.is_correct else "wrong"
    return row(passed, safe(f"   ✖ {wrong}", "bad"), safe(f"   oracle: “{expected}”", "muted"))


def evidence(finding: Finding) -> list[Line]:
    """One answer in full: question, answer, evidence, and the command that checks it."""
    lines = [
        safe(""),
        safe(f" {finding.question}", "accent"),
        row(safe(" "), status(finding.status), safe("  "), safe(finding.answer, limit=1000)),
    ]
    if finding.evidence:
        lines += [*heading("evidence"), *tree(finding.evidence)]
    return [*lines, *heading("to check it"), safe(f" {finding.command}", limit=1000)]


def trace_lines(trace: Trace) -> list[Line]:
    """Everything the request left behind."""
    assignment = trace.assignment
    lines = pairs(
        [
            ("request", safe(trace.request_id)),
            ("entry", row(safe(short(trace.entry_sha)), safe(f"  {trace.semver}", "muted"))),
            (
                "arm",
                safe(
                    f"{assignment.arm}, bucket {assignment.bucket:,}, epoch #{assignment.epoch}, {assignment.strategy}"
                ),
            ),
            ("unit", dash(assignment.unit)),
            ("status", safe(trace.status)),
            ("source", safe(trace.source)),
            ("tokens", safe(f"{trace.input_tokens} in, {trace.output_tokens} out")),
            (
                "cost",
                safe(money(trace.cost, trace.currency))
                if trace.cost is not None
                else safe("unknown: no rate was set", "muted"),
            ),
            ("took", safe(milliseconds(trace.seconds))),
        ]
    )
    lines += heading("stages")
    whole = sum(trace.stages.values()) or 1.0
    for name, seconds in trace.stages.items():
        share = round(20 * seconds / whole)
        lines.append(
            row(
                safe(f" {name:<10.10}"),
                safe(f"{milliseconds(seconds):>10}  "),
                safe("━" * max(0, min(20, share)), "accent"),
            )
        )
    return [*lines, *heading("features"), *tree(trace.features)]


def way_out(walk: Walk) -> tuple[str, str]:
    """The change answer 8 names, as an action, and the entry it goes to; nothing where it names none."""
    found = next((answer for answer in walk.answers if answer.n == 8), None)
    sha = found.evidence.get("go_to") if found is not None else None
    if found is None or not isinstance(sha, str) or not sha:
        return "", ""
    return {"rollback": "rollback", "route single": "route"}.get(str(found.evidence.get("verb")), ""), sha


def refusal(action: str, walk: Walk | None) -> str | None:
    """Why a change cannot be made from this walk; None where it can."""
    if walk is None:
        return "walk the request first: enter"
    if action == "never_regress":
        known = walk.expected and walk.trace.sentence is not None
        return None if known else "the sentence, or what would be right, is not known"
    named, goal = way_out(walk)
    nothing = "what is in production already" if goal else "no way out"
    told = {"rollback": "a roll back: B", "route": "a route: F"}.get(named, nothing)
    return None if named == action else f"answer 8 names {told}"


def place(walk: Walk, finding: Finding) -> tuple[str, str]:
    """The screen an answer's evidence stands on, and what to show there."""
    sha = walk.trace.entry_sha
    if finding.n in (1, 5):
        return "registry", sha
    if finding.n in (3, 4):
        corpora = walk.answers[2].evidence.get("corpora") or []
        dvc_hash = str(corpora[0].get("dvc_hash", "")) if corpora else ""
        pattern = str(walk.answers[3].evidence.get("pattern", "")) if finding.n == 4 else ""
        return "lineage", f"{sha} {dvc_hash} {pattern}".strip()
    if finding.n == 6:
        return "ledger", str(walk.trace.assignment.epoch)
    if finding.n == 7 and "promoted" in finding.evidence:
        return "ledger", str(finding.evidence["promoted"].get("seq", ""))
    better = finding.evidence.get("go_to")
    return ("registry", str(better)) if finding.n == 8 and better else ("", "")


def outcome(trace: Any) -> Line:
    """What the learner said of it."""
    return status(trace.feedback) if trace.feedback else safe("–", "faint")


FIELDS: dict[str, Callable[[Any], str]] = {
    "id": lambda t: t.request_id,
    "arm": lambda t: t.assignment.arm,
    "outcome": lambda t: t.feedback or "",
    "sha": lambda t: t.entry_sha,
    "day": lambda t: ledger_time(t.started_ns)[:10],
    "text": lambda t: f"{t.sentence or ''} {t.correction or ''}",
    "verb": lambda t: t.features.get("verb", ""),
    "tense": lambda t: t.features.get("tense", ""),
    "source": lambda t: t.source,
}
