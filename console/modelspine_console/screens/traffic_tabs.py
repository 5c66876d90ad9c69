"""The tabs of a route: comparison, ladder, shadow, one arm in full, and epochs.

Pure drawing of core's values; what is compared, and what follows from it, core decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.gate.eval_report import Count
from modelspine.signs import sign_of
from modelspine.text import argument, short
from modelspine.times import age as age_of
from modelspine.traffic.ladder import rungs
from modelspine.traffic.report_text import difference_pairs, split_text
from modelspine.traffic.rollout_text import (
    EPOCHS,
    epoch_rows,
    how_pooled,
    left_out_texts,
    moved_texts,
    pooled_pairs,
    whole_text,
    window_text,
)
from modelspine.traffic.sentences import arm_sentence, report_sentence, shadow_sentence
from modelspine.words import words
from modelspine_console.draw.charts import spark
from modelspine_console.draw.format import age, ago, count, dash, headline, milliseconds, pairs, status, when
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.screens.traffic_rows import ArmRow, actual_share, idleness, model, target_share
from modelspine_console.widgets.column import Column

if TYPE_CHECKING:
    from modelspine.ledger.route import Guard, Ladder, Route
    from modelspine.traffic.epochs import Epoch
    from modelspine.traffic.report import ArmReport, ShadowReport, Split, Square
    from modelspine.traffic.rollout_report import RouteReport
    from modelspine_console.data.traffic_source import Traffic

Facts = list[tuple[str, Line]]
_RANKS = (0, 4, 0, 1, 3, 2, 2, 0)
"""How readily each column of a rollout's epochs is left out on a narrow screen."""


def tabs(route: Route) -> tuple[str, ...]:
    """The tabs that apply to a route, the most wanted first."""
    compared = ("comparison",) if len(route.learners) > 1 else ()
    ladder = ("ladder",) if route.ladder is not None else ()
    shadow = ("shadow",) if route.shadow is not None else ()
    return (*compared, *ladder, *shadow, "arm", "epochs", "requests")


def comparison(report: RouteReport, traffic: Traffic, width: int) -> list[Line]:
    """The candidate compared with the stable arm, the check of the split, the verdict on a canary, and the rollout."""
    chosen = traffic.shown.route.ladder if traffic.shown is not None else None
    lines = headline(report_sentence(report))
    if report.difference is not None and len(report.arms) > 1:
        title = safe(f" {report.arms[1].name} − stable", "accent", limit=40)
        lines.append(row(title, safe(f", each {words().unit} counted once", "muted")))
        lines += pairs((name, safe(text)) for name, text in difference_pairs(report.difference, report.arms))
        lines.append(safe(" always-valid intervals: safe to check at any time", "muted"))
    facts = [("requests", safe(window_text(report)))]
    facts += [("split", _split(report.split))] if report.split is not None else []
    if chosen is not None:
        facts += [("ladder", _steps(chosen)), *_verdict(traffic)]
        waits = "; ".join(traffic.decision.waits_for) if traffic.decision is not None else ""
        facts += [("waiting for", safe(waits))] if waits else []
        facts.append(("guard", safe(guard_text(chosen.guard))))
    facts += noted(report, traffic)
    return [*lines, safe(""), *pairs(facts), *_whole(report, width)]


def _whole(report: RouteReport, width: int) -> list[Line]:
    """The rollout that the epoch belongs to, and what the figures leave out."""
    whole = report.whole
    lines = [safe("")] if whole is not None or report.left_out else []
    if whole is not None:
        heads = [Head(title, right=number > 0, rank=_RANKS[number]) for number, title in enumerate(EPOCHS)]
        lines.append(safe(f" {whole_text(whole)}", "accent"))
        lines += grid(heads, [[safe(cell) for cell in cells] for cells in epoch_rows(whole)], width)
        if whole.difference is not None:
            lines += pairs((name, safe(text)) for name, text in pooled_pairs(whole.difference, whole.arms))
            lines.append(safe(f" {how_pooled()}", "muted"))
        lines += pairs(("" if n else "changed", safe(text)) for n, text in enumerate(moved_texts(whole.moved)))
    return [*lines, *left_out(report)]


def left_out(report: RouteReport) -> list[Line]:
    """What the figures of a report do not count."""
    return list(pairs(("" if n else "left out", safe(text)) for n, text in enumerate(left_out_texts(report.left_out))))


def _split(found: Split) -> Line:
    text = split_text(found).removeprefix("split: ")
    if found.bayes_factor is None:
        return row(safe("○ ", "muted"), safe(text))
    return row(safe("✖ ", "bad"), safe(text, "bad")) if found.alarm else row(safe("✔ ", "good"), safe(text))


def guard_text(guard: Guard) -> str:
    """The limits of a guard, and how often they are checked."""
    limits = f"{guard.margin_bp / 100:g} pp correct answers, {guard.error_bp / 100:g} pp errors"
    return f"{limits}, {guard.latency_pct} % mean latency; checked every {guard.window_seconds} s"


def _verdict(traffic: Traffic) -> Facts:
    decision = traffic.decision
    if decision is not None:
        verdict = ("verdict", row(status(decision.verdict), safe(f"  {decision.reason}")))
        return [verdict, *_notes(decision.notes)]
    return [("verdict", safe(f"unknown: {traffic.problem}", "warn"))] if traffic.problem else []


def noted(report: RouteReport, traffic: Traffic) -> Facts:
    """The notes on a report, such as that an arm fails; empty for a canary, because its verdict contains them.

    For the current route they come from the last hour, even if that has none, and otherwise from the report's epoch.
    """
    if traffic.decision is not None:
        return []
    return _notes(report.notes if traffic.notes is None else traffic.notes)


def _notes(notes: Sequence[str]) -> Facts:
    return [("note", safe(note, "warn")) for note in notes]


def _steps(chosen: Ladder) -> Line:
    steps = [
        safe(f"{step.weight_bp / 100:g} % {sign_of(rung).glyph}", sign_of(rung).role) for step, rung in rungs(chosen)
    ]
    return safe(" ──── ", "faint").join(steps)


def arm(item: ArmRow, traffic: Traffic, now: datetime) -> list[Line]:
    """Everything about one arm."""
    shown = traffic.shown
    facts: Facts = [("arm", status(item.role, shown=item.arm.name)), ("model", model(item))]
    facts.append(("sha", safe(item.arm.sha, "muted")))
    if shown is not None:
        facts.append(("since", row(when(shown.since), safe("  "), ago(shown.since, now, shown.number))))
        facts.append(("reason", safe(f"{shown.verb}: {shown.reason}")))
        facts += [("ended", when(shown.until))] if shown.until is not None else []
    unit = "of requests, mirrored" if item.role == "shadow" else f"of {words().units}"
    said = headline(arm_sentence(item.report)) if item.report is not None else []
    if item.report is None:
        actual = safe("unknown", "muted")
    elif not item.report.actual_bp:
        actual = safe("no traffic yet", "muted")
    else:
        actual = row(actual_share(item), safe(f" % {unit}", "muted"))
    facts += [("target", row(target_share(item), safe(" %"))), ("actual", actual), *_notes(traffic.notes or ())]
    found = _reported(item.report) if item.report is not None else []
    return [*said, *pairs([*facts, *_pace(item, traffic, now), *found])]


def _pace(item: ArmRow, traffic: Traffic, now: datetime) -> Facts:
    if item.pace is None or traffic.pace is None:
        return []
    found = item.pace
    idle = safe("   ".join(["", *idleness(traffic, now)]), "muted" if traffic.pace.replayed else "warn")
    rate = safe(f"{found.per_second:.2f}") if item.current else dash(None)
    bars = safe(spark(found.minutes, len(found.minutes)), "accent")
    return [
        ("req/s", row(rate, idle)),
        (f"{len(found.minutes)} min", row(bars, safe(f"  {sum(found.minutes):,} requests", "muted"))),
    ]


def _reported(found: ArmReport) -> Facts:
    times = " / ".join("–" if each is None else milliseconds(each) for each in (found.p50, found.p95, found.p99))
    feedback = ", ".join(f"{number:,} {name}" for name, number in found.feedback.items())
    return [
        ("requests", safe(f"{found.requests:,} by {words().count_units(found.units)} in this epoch")),
        ("p50/95/99", safe(f"{times} ms")),
        ("errors", count(Count(found.errors, found.requests))),
        ("graded correct", count(found.graded) if found.graded.n else safe("no graded answers", "muted")),
        ("feedback", safe(feedback)),
    ]


def shadow_tab(report: RouteReport, found: ShadowReport, traffic: Traffic, width: int) -> list[Line]:
    """The comparison with a shadow, the report's notes, and what the comparison leaves out."""
    return [*shadow(found, width), *pairs(noted(report, traffic)), *left_out(report)]


def shadow(report: ShadowReport, width: int) -> list[Line]:
    """Pairs of a live answer and its shadow's, overall and by feature."""
    whole = report.pairs
    if not whole.both + whole.only_live + whole.only_shadow + whole.neither:
        return headline(shadow_sentence(report), "muted")
    once = f"each {words().unit} counted once"
    note = f" p: exact McNemar test, {once}, by which side did better; valid for a single look"
    table = grid(_heads("both graded"), [_square(whole)], width)
    lines = [*headline(shadow_sentence(report)), *table, safe(note, "muted")]
    if report.buckets:
        lines += [safe(""), *grid(_heads("feature"), [_square(each) for each in report.buckets], width)]
        lines.append(safe(" p by feature is adjusted over all features (Holm)", "faint"))
    return lines


def _heads(name: str) -> list[Head]:
    titles = (("both correct", 2), ("only live", 0), ("only shadow", 0), ("both wrong", 1), ("p", 0))
    return [Head(name), *(Head(title, right=True, rank=rank) for title, rank in titles)]


def _square(found: Square) -> list[Line]:
    numbers = (found.both, found.only_live, found.only_shadow, found.neither)
    return [safe(found.bucket, limit=60), *(safe(f"{n:,}") for n in numbers), safe(f"{found.p:.2g}")]


# epochs ---------------------------------------------------------------------------------------------------


def epoch_columns(now: Callable[[], datetime]) -> tuple[Column, ...]:
    """The columns of an epoch: its route, its duration, and who opened it and why."""
    return (
        Column("#", 6, lambda e: safe(e.number, "muted"), lambda e: -e.number, right=True),
        Column("strategy", 8, lambda e: safe(e.route.strategy)),
        Column("arms %", 20, lambda e: safe(_weights(e.route))),
        Column("age", 6, lambda e: age(e.since, now()), right=True),
        Column("lasted", 7, lasted, right=True, rank=2),
        Column("opened by", 11, lambda e: safe(e.verb), rank=1),
        Column("actor", 8, lambda e: safe(e.actor, "muted"), rank=4),
        Column("reason", 10, lambda e: safe(e.reason, limit=200), grow=True, rank=3),
    )


def _weights(route: Route) -> str:
    return " · ".join(f"{arm.semver or short(arm.sha)} {arm.weight_bp / 100:g}" for arm in route.arms)


def lasted(epoch: Any) -> Line:
    """How long an epoch was active, or that it is so now."""
    if epoch.until is None:
        return safe("now", "good")
    try:
        return safe(age_of(epoch.since, datetime.fromisoformat(epoch.until)))
    except ValueError:  # a damaged ledger may hold any text here
        return safe("?", "muted")


def copies(item: ArmRow | None, epoch: Epoch | None, trace: Any, at: str | None) -> list[tuple[str, str]]:
    """What can be copied, what is under the cursor first."""
    found: list[tuple[str, str]] = []
    if trace is not None:
        found += [("request id", trace.request_id), ("command", f"spine incident --json {argument(trace.request_id)}")]
    if item is not None:
        found += [("sha", item.arm.sha), *([("semver", item.arm.semver)] if item.arm.semver else [])]
    if epoch is not None:
        moment = f" --at {at}" if at is not None else ""
        found += [
            ("report command", f"spine route report --epoch {epoch.number}{moment} --json"),
            ("route command", f"spine route show{moment} --json"),
            ("epochs command", f"spine route epochs{moment} --json"),
        ]
    return found
