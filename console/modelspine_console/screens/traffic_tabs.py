"""The tabs of a route: what is compared, the ladder, a shadow's pairs, one arm in full, epochs.

Pure drawing of core's values; what is compared, and what is decided on it, core says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.gate.eval_report import Count
from modelspine.signs import sign_of
from modelspine.text import argument, counted, short
from modelspine.times import age as age_of
from modelspine.traffic.ladder import rungs
from modelspine.traffic.report_text import difference_pairs, split_text
from modelspine_console.draw.charts import spark
from modelspine_console.draw.format import age, count, pairs, status, when
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.traffic_rows import ArmRow, actual, advice, model, set_share
from modelspine_console.widgets.table import Column

if TYPE_CHECKING:
    from modelspine.ledger.route import Guard, Ladder, Route
    from modelspine.traffic.epochs import Epoch
    from modelspine.traffic.report import ArmReport, RouteReport, ShadowReport, Split, Square
    from modelspine_console.data.traffic_source import Traffic

Facts = list[tuple[str, Line]]
_VERDICTS: dict[str, tuple[str, Role]] = {
    "pass": ("✔", "good"),
    "fail": ("✖", "bad"),
    "error": ("‼", "bad"),
    "inconclusive": ("◐", "warn"),
    "no_data": ("○", "muted"),
}
_SO_FAR = 6
_RUNGS: dict[str, Role] = {"done": "good", "here": "accent", "ahead": "faint"}


def tabs(route: Route) -> tuple[str, ...]:
    """Which tabs a route has something to say in, the most wanted first."""
    compared = ("comparison",) if len(route.learners) > 1 else ()
    ladder = ("ladder",) if route.ladder is not None else ()
    shadow = ("shadow",) if route.shadow is not None else ()
    return (*compared, *ladder, *shadow, "arm", "epochs", "requests")


def comparison(report: RouteReport, traffic: Traffic) -> list[Line]:
    """The candidate beside the stable arm: differences that may be looked at at any time, and the split."""
    chosen = traffic.shown.route.ladder if traffic.shown is not None else None
    lines: list[Line] = []
    if report.difference is not None and len(report.arms) > 1:
        name = safe(f" {report.arms[1].name} less stable", "accent", limit=40)
        lines.append(row(name, safe(", each learner counted once", "muted")))
        lines += pairs([(name, safe(told)) for name, told in difference_pairs(report.difference, report.arms)])
        lines.append(safe(" the intervals hold at every look together: safe to peek at", "muted"))
    facts = [("split", _split(report.split))] if report.split is not None else []
    if chosen is not None:
        facts += [("ladder", _steps(chosen)), *_verdict(traffic)]
        waits = "; ".join(traffic.decision.waits_for) if traffic.decision is not None else ""
        facts += [("waits for", safe(waits))] if waits else []
        facts.append(("guard", safe(_guard(chosen.guard))))
    return [*lines, safe(""), *pairs(facts)]


def _split(found: Split) -> Line:
    told = split_text(found).removeprefix("split: ")
    if found.bayes_factor is None:
        return row(safe("○ ", "muted"), safe(told))
    return row(safe("✖ ", "bad"), safe(told, "bad")) if found.alarm else row(safe("✔ ", "good"), safe(told))


def _guard(guard: Guard) -> str:
    most = f"{guard.margin_bp / 100:g} pp of right answers, {guard.error_bp / 100:g} pp of errors"
    return f"{most}, {guard.latency_pct} % of mean latency; looked at every {guard.window_seconds} s"


def _verdict(traffic: Traffic) -> Facts:
    decision = traffic.decision
    if decision is None:
        return [("verdict", safe(f"unknown: {traffic.problem}", "warn"))] if traffic.problem else []
    glyph, role = _VERDICTS.get(decision.verdict, ("·", "muted"))
    return [("verdict", row(safe(f"{glyph} {decision.verdict}  ", role), safe(decision.reason)))]


def ladder(traffic: Traffic) -> list[Line]:
    """The steps of a canary, the verdict on this one, and what the next one waits for."""
    shown = traffic.shown
    if shown is None or shown.route.ladder is None:
        return []
    chosen, decision = shown.route.ladder, traffic.decision
    facts = _verdict(traffic)
    if decision is not None:
        at = "" if decision.action == "hold" else " at the server's next look"
        waits = decision.waits_for or ("nothing",)
        facts.append(("next", safe(f"it {advice(decision, brief=True)}{at}", "strong")))
        facts += [("" if number else "waits for", safe(told)) for number, told in enumerate(waits)]
    step = chosen.steps[chosen.at]
    least = f"{step.min_seconds:,} s and {step.min_samples:,} judged answers at the least"
    facts.append(("step", safe(f"{step.weight_bp / 100:g} %: {least}")))
    facts.append(("guard", safe(_guard(chosen.guard))))
    rollout = [each for each in traffic.epochs if each.route.salt == shown.route.salt]
    facts += [("" if number else "so far", _so_far(each)) for number, each in enumerate(rollout[:_SO_FAR])]
    return [row(safe(" "), _steps(chosen)), safe(""), *pairs(facts)]


def _so_far(epoch: Epoch) -> Line:
    candidate = epoch.route.candidate
    weight = f"{candidate.weight_bp / 100:g} %" if candidate is not None else "–"
    return row(safe(f"#{epoch.number}  {weight:>7}  {epoch.verb}  "), _lasted(epoch))


def _steps(chosen: Ladder) -> Line:
    pieces: list[Line] = []
    for step, rung in rungs(chosen):
        if pieces:
            pieces.append(safe(" ──── ", "faint"))
        pieces.append(safe(f"{step.weight_bp / 100:g} % {sign_of(rung).glyph}", _RUNGS[rung]))
    return row(*pieces)


def arm(item: ArmRow, traffic: Traffic, now: datetime) -> list[Line]:
    """Everything about one arm."""
    shown = traffic.shown
    facts: Facts = [("arm", status(item.place, shown=item.arm.name)), ("model", model(item))]
    facts.append(("sha", safe(item.arm.sha, "muted")))
    if shown is not None:
        since = row(when(shown.since), safe("  "), age(shown.since, now), safe(f" ago  #{shown.number}", "muted"))
        facts += [("since", since), ("because", safe(f"{shown.verb}: {shown.reason}"))]
        facts += [("over", when(shown.until))] if shown.until is not None else []
    who = "of the requests, copied" if item.place == "shadow" else "of the learners"
    if item.report is None:
        came = safe("nobody knows yet", "muted")
    elif not item.report.actual_bp:
        came = safe("none came yet", "muted")
    else:
        came = row(actual(item), safe(f" % {who}", "muted"))
    facts += [("set", row(set_share(item), safe(" %"))), ("actual", came)]
    return pairs([*facts, *_pace(item, traffic), *(_did(item.report) if item.report is not None else [])])


def _pace(item: ArmRow, traffic: Traffic) -> Facts:
    if item.pace is None or traffic.pace is None:
        return []
    found, until = item.pace, traffic.pace.until
    quiet = safe(f"   the last request came before {until[:19]}Z", "warn") if traffic.pace.quiet else safe("")
    bars = safe(spark(found.minutes, len(found.minutes)), "accent")
    return [
        ("req/s", row(safe(f"{found.per_second:.2f}"), quiet)),
        (f"{len(found.minutes)} min", row(bars, safe(f"  {sum(found.minutes):,} requests", "muted"))),
    ]


def _did(found: ArmReport) -> Facts:
    times = " / ".join("–" if each is None else f"{1000 * each:.1f}" for each in (found.p50, found.p95, found.p99))
    said = ", ".join(f"{number:,} {name}" for name, number in found.feedback.items())
    return [
        ("requests", safe(f"{found.requests:,} by {counted(found.units, 'learner')} in this epoch")),
        ("p50/95/99", safe(f"{times} ms")),
        ("errors", count(Count(found.errors, found.requests))),
        ("graded right", count(found.graded) if found.graded.n else safe("nothing was graded", "muted")),
        ("learners said", safe(said)),
    ]


def shadow(report: ShadowReport, width: int) -> list[Line]:
    """Pairs of a live answer and its copy's, all of them and by feature."""
    whole = report.pairs
    if not whole.both + whole.only_live + whole.only_shadow + whole.neither:
        return [safe(" no request was graded on both sides yet", "muted")]
    lines = grid(_heads("both graded"), [_square(whole)], width)
    lines.append(
        safe(" p: exact McNemar, each learner counted once by which side did better; true at one look", "muted")
    )
    if report.buckets:
        lines += [safe(""), *grid(_heads("feature"), [_square(each) for each in report.buckets], width)]
        lines.append(safe(" of a feature, p is after Holm over all of them", "faint"))
    return lines


def _heads(name: str) -> list[Head]:
    titles = (("both right", 2), ("only live", 0), ("only shadow", 0), ("both wrong", 1), ("p", 0))
    return [Head(name), *(Head(title, right=True, rank=rank) for title, rank in titles)]


def _square(found: Square) -> list[Line]:
    numbers = (found.both, found.only_live, found.only_shadow, found.neither)
    return [safe(found.bucket, limit=60), *(safe(f"{n:,}") for n in numbers), safe(f"{found.p:.2g}")]


# epochs ---------------------------------------------------------------------------------------------------


def epoch_columns(now: Callable[[], datetime]) -> tuple[Column, ...]:
    """Epochs: what was routed, since when and for how long, who opened it and why."""
    return (
        Column(title="#", width=6, cell=lambda e: safe(e.number, "muted"), sort=lambda e: -e.number, right=True),
        Column(title="strategy", width=8, cell=lambda e: safe(e.route.strategy)),
        Column(title="arms %", width=20, cell=lambda e: safe(weights(e.route))),
        Column(title="age", width=6, cell=lambda e: age(e.since, now()), right=True),
        Column(title="lasted", width=7, cell=_lasted, right=True, rank=2),
        Column(title="opened by", width=11, cell=lambda e: safe(e.verb), rank=1),
        Column(title="who", width=8, cell=lambda e: safe(e.actor, "muted"), rank=4),
        Column(title="reason", width=10, cell=lambda e: safe(e.reason, limit=200), grow=True, rank=3),
    )


def weights(route: Route) -> str:
    """The arms with their weights, in percent."""
    return " · ".join(f"{arm.semver or short(arm.sha)} {arm.weight_bp / 100:g}" for arm in route.arms)


def _lasted(epoch: Any) -> Line:
    if epoch.until is None:
        return safe("now", "good")
    try:
        return safe(age_of(epoch.since, datetime.fromisoformat(epoch.until)))
    except ValueError:
        return safe("?", "muted")


_TWINS = (("route", "show"), ("epochs", "epochs"))


def copies(item: ArmRow | None, epoch: Epoch | None, trace: Any, at: str | None) -> list[tuple[str, str]]:
    """What can be copied, what is under the cursor first."""
    found: list[tuple[str, str]] = []
    if trace is not None:
        found += [("request id", trace.request_id), ("command", f"spine incident --json {argument(trace.request_id)}")]
    if item is not None:
        found += [("sha", item.arm.sha), *([("semver", item.arm.semver)] if item.arm.semver else [])]
    if epoch is not None:
        then = f" --at {at}" if at is not None else ""
        found.append(("report command", f"spine route report --epoch {epoch.number}{then} --json"))
        found += [(f"{name} command", f"spine route {verb}{then} --json") for name, verb in _TWINS]
    return found
