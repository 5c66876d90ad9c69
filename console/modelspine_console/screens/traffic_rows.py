"""The arms of a route as rows, and what is going on in one line. Pure drawing of core's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL
from modelspine.text import short
from modelspine_console.draw.charts import spark
from modelspine_console.draw.format import dash, status
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.widgets.table import Column

if TYPE_CHECKING:
    from modelspine.ledger.route import Arm, Route
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.report import ArmReport, RouteReport
    from modelspine.traffic.request_rate import ArmPace
    from modelspine_console.data.traffic_source import Traffic

_SPARK = 10


class ArmRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a route with what is known about it."""

    arm: Arm
    place: str
    """production, arm or shadow."""
    report: ArmReport | None
    pace: ArmPace | None


def arm_rows(traffic: Traffic, report: RouteReport | None) -> tuple[ArmRow, ...]:
    """The arms of the route that is shown, the stable one first."""
    if traffic.shown is None:
        return ()
    route = traffic.shown.route
    reports = {arm.name: arm for arm in report.arms} if report is not None else {}
    paces = {arm.name: arm for arm in traffic.pace.arms} if traffic.pace is not None else {}
    return tuple(
        ArmRow(arm=arm, place=_place(route, arm), report=reports.get(arm.name), pace=paces.get(arm.name))
        for arm in route.arms
    )


def _place(route: Route, arm: Arm) -> str:
    return "production" if arm is route.stable else "shadow" if arm is route.shadow else "arm"


def haystack(item: ArmRow) -> str:
    """What a filter looks through."""
    return f"{item.arm.name} {item.arm.semver} {item.arm.sha}".lower()


FIELDS: dict[str, Callable[[ArmRow], str]] = {
    "arm": lambda item: item.arm.name,
    "semver": lambda item: item.arm.semver,
    "sha": lambda item: item.arm.sha,
}


def arm_columns() -> tuple[Column, ...]:
    """An arm in one line: what was set beside what came, how fast, how well."""
    return (
        Column(title="arm", width=10, cell=lambda r: status(r.place, shown=r.arm.name)),
        Column(title="model", width=19, cell=model),
        Column(title="set %", width=6, cell=set_share, right=True),
        Column(title="actual %", width=17, cell=actual, right=True),
        Column(title="30 min", width=_SPARK, cell=_spark, rank=5),
        _number("req/s", 6, lambda r: f"{r.pace.per_second:.2f}" if r.pace is not None else None, rank=3),
        _latency("p50 ms", "p50", rank=8),
        _latency("p95 ms", "p95", rank=4),
        _latency("p99 ms", "p99", rank=7),
        Column(title="errors", width=9, cell=_errors, right=True, rank=6),
        Column(title="graded right %", width=17, cell=_of(lambda r: r.graded), right=True, rank=2),
        Column(title="accepted %", width=17, cell=_of(accepted), right=True, rank=9),
    )


def _number(title: str, width: int, told: Callable[[ArmRow], str | None], *, rank: int) -> Column:
    return Column(title=title, width=width, cell=lambda item: dash(told(item)), right=True, rank=rank)


def _latency(title: str, name: str, *, rank: int) -> Column:
    def told(item: ArmRow) -> str | None:
        seconds = getattr(item.report, name, None)
        return None if seconds is None else f"{1000 * seconds:.1f}"

    return _number(title, 7, told, rank=rank)


def model(item: ArmRow) -> Line:
    """Semver and SHA."""
    return row(safe(item.arm.semver or "–", limit=12), safe(" "), safe(short(item.arm.sha), "muted"))


def set_share(item: ArmRow) -> Line:
    """The weight it was given, in percent."""
    return safe(f"{100 * item.arm.weight_bp / FULL:.2f}")


def actual(item: ArmRow) -> Line:
    """What share of the learners came (of a shadow: of the requests were copied), and of how many."""
    found = item.report
    if found is None or found.actual_bp is None or not found.actual_bp:
        return safe("–", "faint")
    some = found.requests if item.place == "shadow" else found.units
    whole = round(some * FULL / found.actual_bp)
    return tally(Count(some, whole))


def accepted(report: ArmReport) -> Count:
    """Of what learners said, how much was that they took it."""
    return Count(report.feedback["accepted"], sum(report.feedback.values()))


def _of(counted: Callable[[ArmReport], Count]) -> Callable[[ArmRow], Line]:
    return lambda item: tally(counted(item.report)) if item.report is not None else safe("–", "faint")


def _errors(item: ArmRow) -> Line:
    found = item.report
    if found is None or not found.requests:
        return safe("–", "faint")
    told = f"{found.errors:,}/{brief(found.requests)}"
    return safe(told, "bad" if found.errors else "")


def tally(value: Count) -> Line:
    """``k/n`` and the share with one decimal, the sign of which the head has; long counts are cut to thousands."""
    if not value.n:
        return safe("–", "faint")
    return row(safe(f"{brief(value.k)}/{brief(value.n)} ", "muted"), safe(f"{100 * value.k / value.n:5.1f}"))


def brief(number: int) -> str:
    """A count in at most five characters."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number // 1000}k" if number < 10_000_000 else f"{number // 1_000_000}M"


def _spark(item: ArmRow) -> Line:
    return safe(spark(item.pace.minutes, _SPARK), "accent") if item.pace is not None else safe("–", "faint")


# the line above -------------------------------------------------------------------------------------------


def summary(traffic: Traffic, width: int) -> str:
    """What is going on, in one line."""
    shown = traffic.shown
    if shown is None:
        return ""
    route, candidate = shown.route, shown.route.candidate
    told = [f"{route.strategy} {candidate.semver or short(candidate.sha)}" if candidate else route.strategy]
    if route.ladder is not None:
        told.append(f"step {route.ladder.at + 1} of {len(route.ladder.steps)}")
    if shown.until is not None:
        told.append("over")
    elif traffic.decision is not None:
        told.append(advice(traffic.decision, brief=width < 140))
    told += ["no traces" if traffic.untraced else "traces unread"] if traffic.problem else []
    told.append(f"epoch #{shown.number}")
    if traffic.pace is not None and traffic.pace.quiet and shown.until is None:
        told.append("quiet")
    return " · ".join(told)


def advice(decision: Decision, *, brief: bool) -> str:
    """What a canary does next, and the first thing it waits for."""
    if decision.action != "hold" or not decision.waits_for:
        return {"abort": "aborts", "advance": "advances", "hold": "holds"}[decision.action]
    return "holds" if brief else f"holds: needs {decision.waits_for[0]}"
