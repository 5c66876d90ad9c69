"""The texts of an incident walk: the exchange, the eight answers and their evidence, and what was recorded.

Pure drawing of core's values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from miniobserve.traces import set_apart
from modelspine.cost.format import money, terms_of, unpriced_text
from modelspine.incident.finding import feedback_text
from modelspine.text import short
from modelspine.times import ledger_time
from modelspine.words import words
from modelspine_console.action import ANSWERS
from modelspine_console.draw.format import bullet, dash, heading, milliseconds, pairs, status, tree, when
from modelspine_console.draw.sanitize import Line, fill, row, safe
from modelspine_console.widgets.column import Column

if TYPE_CHECKING:
    from miniobserve.traces import Trace
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk

_STAGE_BAR = 20
_FIX = 8
"""Number of the answer that says how to fix the incident."""


def answer_columns() -> tuple[Column, ...]:
    """The columns of the eight answers: number, key, name, status and answer."""
    return (
        Column("", 1, lambda f: safe(f.n, "muted")),
        Column("", 1, lambda f: safe(ANSWERS[f.n - 1][0], "key")),
        Column("", 8, lambda f: safe(ANSWERS[f.n - 1][1], "strong")),
        Column("", 13, lambda f: status(f.status)),
        Column("", 20, lambda f: safe(f.answer), grow=True),
    )


def about(trace: Trace | None, walk: Walk | None, width: int, *, at: str | None) -> list[Line]:
    """The exchange an incident is about, and whether the reply was wrong; ``at`` is the moment other screens show."""
    if trace is None:
        return [safe(""), safe("")]
    replay = " · replayed" if trace.source == "replay" else ""
    right = row(safe(f"{feedback_text(trace)}{replay} · ", "muted"), when(ledger_time(trace.started_ns)), safe(" "))
    sentence = safe(f"“{trace.input}”") if trace.input is not None else safe("text not stored", "muted")
    reply = safe(f"“{trace.output}”", "strong") if trace.output is not None else safe("not stored", "muted")
    first = row(safe(" "), sentence, safe("  →  ", "faint"), reply)
    if at is not None:
        right = row(safe("based on the present, not on that moment · ", "warn"), right)
    if first.cell_length + right.cell_length > width:
        return [first, row(safe(" "), _judged(trace, walk)), row(safe(" "), right)]
    return [fill(first, right, width), row(safe(" "), _judged(trace, walk))]


def _judged(trace: Trace, walk: Walk | None) -> Line:
    """What the reply did with the sentence, and whether that agrees with the expected answer of the walk."""
    handled = safe(words().accepted if trace.accepted else words().answered, "muted")
    expected = walk.expected if walk is not None else None
    if walk is None or expected is None:
        return handled
    if walk.right:
        return row(handled, safe("  "), bullet("✔", "as expected", "good"))
    if walk.right is None:
        return row(handled, safe(f"   expected: “{expected}”, which cannot be compared", "muted"))
    wrong = words().false_accept if trace.accepted else "wrong"
    return row(handled, safe("  "), bullet("✖", wrong, "bad"), safe(f"   expected: “{expected}”", "muted"))


def evidence(finding: Finding) -> list[Line]:
    """One answer in full: question, answer, evidence, and the command that verifies it."""
    lines = [
        safe(""),
        safe(f" {finding.question}", "accent"),
        row(safe(" "), status(finding.status), safe("  "), safe(finding.answer, limit=1000)),
    ]
    if finding.evidence:
        lines += [*heading("evidence"), *tree(finding.evidence)]
    return [*lines, *heading("verify with"), safe(f" {finding.command}", limit=1000)]


def trace_lines(trace: Trace) -> list[Line]:
    """Everything that was recorded about a request."""
    assignment = trace.assignment
    arm = f"{assignment.arm}, bucket {assignment.bucket:,}, epoch #{assignment.epoch}, {assignment.strategy}"
    unknown = safe(f"unknown: {unpriced_text(trace.unpriced)}", "muted")
    facts = [
        ("request", safe(trace.request_id)),
        ("entry", row(safe(short(trace.entry_sha)), safe(f"  {trace.semver}", "muted"))),
        ("arm", safe(arm)),
        *((name, safe(text)) for name, text in set_apart(trace)),
        ("unit", dash(assignment.unit)),
        ("status", safe(trace.status)),
        ("source", safe(trace.source)),
        ("tokens", safe(f"{trace.input_tokens} in, {trace.output_tokens} out")),
        ("cost", unknown if trace.cost is None else safe(money(trace.cost, trace.currency))),
        ("price", safe(terms_of(trace))),
        ("latency", safe(f"{milliseconds(trace.seconds)} ms")),
    ]
    lines = [*pairs(facts), *heading("stages")]
    whole = sum(trace.stages.values()) or 1.0
    for name, seconds in trace.stages.items():
        bar = "━" * max(0, min(_STAGE_BAR, round(_STAGE_BAR * seconds / whole)))
        lines.append(row(safe(f" {name:<10.10}{milliseconds(seconds):>7} ms  "), safe(bar, "accent")))
    return [*lines, *heading("features"), *tree(trace.features)]


def fix(walk: Walk) -> tuple[str, str]:
    """The action that answer 8 recommends, and the SHA of the entry it applies to; empty if it recommends none.

    No action either where another command has to come first, such as a gate run that is recorded.
    """
    found = next((answer for answer in walk.answers if answer.n == _FIX), None)
    sha = found.evidence.get("go_to") if found is not None else None
    if found is None or not isinstance(sha, str) or not sha:
        return "", ""
    verb = str(found.evidence.get("verb"))
    first = found.command.startswith(f"spine {verb} ")
    return {"rollback": "rollback", "route single": "route"}.get(verb, "") if first else "", sha


def refusal(action: str, walk: Walk | None) -> str | None:
    """Why a change cannot be made from this walk; None if it can."""
    if walk is None:
        return "investigate the request first (enter)"
    if action == "never_regress":
        known = walk.expected and walk.trace.input is not None
        return None if known else f"the {words().input} or its {words().right} is unknown"
    named, _ = fix(walk)
    keys = {"rollback": "roll back (B)", "route": "route to (F)"}
    recommended = f"recommends {keys[named]}" if named else f"says: {walk.suggestion or 'no fix is known'}"
    return None if named == action else f"answer 8 {recommended}"


def place(walk: Walk, finding: Finding) -> tuple[str, str]:
    """The screen that shows an answer's evidence, and what to show there."""
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
    better = finding.evidence.get("go_to") or finding.evidence.get("release")
    return ("registry", str(better)) if finding.n == _FIX and better else ("", "")
