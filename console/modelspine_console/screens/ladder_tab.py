"""The ladder tab of the Traffic screen: the steps of a canary as a tree, with the evidence of the step it is on.

Pure drawing of core's values; what a step needs, and what follows from it, core decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelspine.ledger.route import FULL
from modelspine.signs import sign_of
from modelspine.traffic.ladder_progress import StepProgress, amount, duration, progress_of
from modelspine.traffic.sentences import ladder_sentence
from modelspine_console.draw.charts import progress_bar
from modelspine_console.draw.format import headline, pairs, status
from modelspine_console.draw.sanitize import Line, cut, folded, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.traffic_rows import advice
from modelspine_console.screens.traffic_tabs import guard_text, lasted

if TYPE_CHECKING:
    from modelspine.ledger.route import Step
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.epochs import Epoch
    from modelspine.traffic.rollout_report import RouteReport
    from modelspine_console.data.traffic_source import Traffic

_BAR = 20
_MAX_EPOCHS = 6
"""Epochs of the current rollout that are listed."""


def ladder(traffic: Traffic, report: RouteReport | None, width: int) -> list[Line]:
    """The steps of a canary as a tree, then what happens next and the epochs so far."""
    shown, decision = traffic.shown, traffic.decision
    if shown is None or shown.route.ladder is None:
        return []
    chosen = shown.route.ladder
    known = [] if report is None else [*(report.whole.epochs if report.whole is not None else ()), report]
    steps = progress_of(traffic.epochs, shown, known, decision)
    role: Role = "warn" if decision is not None and decision.action == "abort" else "strong"
    lines = headline(ladder_sentence(shown.route, steps, decision, traffic.problem), role)
    if decision is None and not traffic.problem and shown.until is None:
        lines = headline("Reading the figures of the epoch …", "muted")
    for number, (each, step) in enumerate(zip(steps, chosen.steps, strict=True)):
        last = number == len(steps) - 1
        lines += _branch(each, step, decision if each.state == "here" else None, last=last, width=width)
    return [*lines, safe(""), *pairs(_facts(traffic, shown, decision))]


def _branch(each: StepProgress, step: Step, decision: Decision | None, *, last: bool, width: int) -> list[Line]:
    """One step: its state with target and actual share; below it, the evidence, or why it counts as skipped."""
    sign = sign_of(each.state)
    word = {"here": "now", "ahead": "next"}.get(each.state, each.state)
    edge, stem = ("└─ ", "   ") if last else ("├─ ", "│  ")
    head = row(
        safe(f" {edge}", "faint"),
        safe(f"{sign.glyph} ", sign.role),
        cut(safe(f"{100 * step.weight_bp / FULL:g} %", sign.role), 7),
        cut(safe(word, sign.role), 9),
        safe(_shares(each), "muted" if each.state == "ahead" else ""),
    )
    below = [safe(each.why, "warn")] if each.why else []
    if each.state == "ahead" and (step.min_seconds or step.min_samples):
        head = row(head, safe(f"   needs {_needs(step)}", "faint"))
    bar = max(6, min(_BAR, width - 50))
    below += [
        row(cut(safe(found.name, "muted"), 9), progress_bar(found.share, bar), safe(f"  {amount(found)}"))
        for found in each.evidence
    ]
    if decision is not None:
        verdict = row(status(decision.verdict), safe(f"  {decision.reason}"))
        below.append(row(cut(safe("verdict", "muted"), 9), verdict))
    room = max(20, width - 8)
    return [head, *(row(safe(f" {stem}   ", "faint"), part) for line in below for part in folded(line, room))]


def _shares(each: StepProgress) -> str:
    """Target and actual share; a step that is over also says how long it lasted."""
    text = f"target {each.target_bp / 100:.2f}"
    if each.state == "ahead":
        return text
    actual = "–" if each.actual_bp is None else f"{each.actual_bp / 100:.1f}"
    text += f"   actual {actual}"
    if each.epoch is not None:
        text += f"   #{each.epoch}"
    return text if each.seconds is None else f"{text}, {duration(each.seconds)}"


def _needs(step: Step) -> str:
    return f"{duration(step.min_seconds)} and {step.min_samples:,} answers"


def _facts(traffic: Traffic, shown: Epoch, decision: Decision | None) -> list[tuple[str, Line]]:
    facts: list[tuple[str, Line]] = []
    ladder = shown.route.ladder
    if decision is not None:
        at = "" if decision.action == "hold" else " at the server's next check"
        facts.append(("next", safe(f"{advice(decision, brief=True)}{at}", "strong")))
        waits = decision.waits_for or ("nothing",)
        facts += [("" if number else "waiting for", safe(text)) for number, text in enumerate(waits)]
        facts += [("note", safe(note, "warn")) for note in decision.notes]
    elif traffic.problem:
        facts.append(("verdict", safe(f"unknown: {traffic.problem}", "warn")))
    if ladder is not None:
        facts.append(("guard", safe(guard_text(ladder.guard))))
    # The epochs of one rollout share its salt: users keep their arm from step to step.
    rollout = [each for each in traffic.epochs if each.route.salt == shown.route.salt]
    return facts + [("" if number else "so far", _so_far(each)) for number, each in enumerate(rollout[:_MAX_EPOCHS])]


def _so_far(epoch: Epoch) -> Line:
    candidate = epoch.route.candidate
    weight = f"{candidate.weight_bp / 100:g} %" if candidate is not None else "–"
    return row(safe(f"#{epoch.number}  {weight:>7}  {epoch.verb}  "), lasted(epoch))
