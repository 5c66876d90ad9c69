"""The arms of a route as rows, and the state of the route in one line. Pure drawing of core's values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL
from modelspine.overview.lines import minute
from modelspine.text import short
from modelspine_console.draw.charts import spark
from modelspine_console.draw.format import age, dash, status
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.base import Fields
from modelspine_console.widgets.column import Column

if TYPE_CHECKING:
    from modelspine.ledger.route import Arm, Route
    from modelspine.traffic.canary import Decision
    from modelspine.traffic.report import ArmReport
    from modelspine.traffic.request_rate import ArmPace
    from modelspine.traffic.rollout_report import RouteReport
    from modelspine_console.data.traffic_source import Traffic

_SHOW_AGE = 10.0
"""Seconds from which on the age of a report is shown."""
_SPARK = 10
"""Bars of a sparkline in the list."""
_NARROW, _ROOMY = 100, 160
"""Columns of a terminal below which why no requests arrive is said in fewer words, and without the epoch's number."""
_WIDE = 140
"""Columns of a terminal from which the line above the list also says what a canary waits for."""


class ArmRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a route, with its report and its request rate where they were read."""

    arm: Arm
    role: str
    """production, candidate or shadow."""
    report: ArmReport | None
    pace: ArmPace | None
    current: bool = True
    """Whether the request rate is one of the moment that is shown, and not of a past epoch or of replayed traffic."""


def arm_rows(traffic: Traffic, report: RouteReport | None) -> tuple[ArmRow, ...]:
    """The arms of the route that is shown, the stable one first."""
    if traffic.shown is None:
        return ()
    route = traffic.shown.route
    reports = {arm.name: arm for arm in report.arms} if report is not None else {}
    paces = {arm.name: arm for arm in traffic.pace.arms} if traffic.pace is not None else {}
    current = traffic.shown.until is None and traffic.pace is not None and not traffic.pace.quiet
    return tuple(
        ArmRow(
            arm=arm,
            role=_role(route, arm),
            report=reports.get(arm.name),
            pace=paces.get(arm.name),
            current=current,
        )
        for arm in route.arms
    )


def _role(route: Route, arm: Arm) -> str:
    return "production" if arm is route.stable else "shadow" if arm is route.shadow else "candidate"


FIELDS: Fields = {
    "arm": lambda item: item.arm.name,
    "semver": lambda item: item.arm.semver,
    "sha": lambda item: item.arm.sha,
}


def arm_columns() -> tuple[Column, ...]:
    """The columns of an arm: its share, its request rate, its latency and its quality."""
    return (
        Column("arm", 10, lambda r: status(r.role, shown=r.arm.name)),
        Column("model", 19, model),
        Column("target", 6, target_share, right=True),
        Column("actual %", 17, actual_share, right=True),
        Column("30 min", _SPARK, _spark, rank=5),
        Column("req/s", 6, _rate, right=True, rank=3),
        *(_latency(name, rank) for name, rank in (("p50", 8), ("p95", 4), ("p99", 7))),
        Column("errors", 9, _errors, right=True, rank=6),
        Column("graded correct %", 17, _ratio(lambda report: report.graded), right=True, rank=2),
        Column("accepted %", 17, _ratio(_accepted), right=True, rank=9),
    )


def _rate(item: ArmRow) -> Line:
    """The request rate now; a dash for a rate of the past."""
    if item.pace is None or not item.current:
        return dash(None)
    return safe(f"{item.pace.per_second:.2f}", "" if item.pace.per_second else "warn")


def _latency(name: str, rank: int) -> Column:
    def cell(item: ArmRow) -> Line:
        seconds = getattr(item.report, name, None)
        return dash(None if seconds is None else f"{1000 * seconds:.1f}")

    return Column(f"{name} ms", 7, cell, right=True, rank=rank)


def model(item: ArmRow) -> Line:
    """Semver and SHA."""
    return row(safe(item.arm.semver or "–", limit=12), safe(" "), safe(short(item.arm.sha), "muted"))


def target_share(item: ArmRow) -> Line:
    """The arm's weight, in percent."""
    return safe(f"{100 * item.arm.weight_bp / FULL:.2f}")


def actual_share(item: ArmRow) -> Line:
    """The share of users the arm served; of a shadow, the share of requests that were mirrored to it."""
    found = item.report
    if found is None or not found.actual_bp:
        return dash(None)
    part = found.requests if item.role == "shadow" else found.units
    return _tally(Count(part, round(part * FULL / found.actual_bp)))


def _accepted(report: ArmReport) -> Count:
    return Count(report.feedback["accepted"], sum(report.feedback.values()))


def _ratio(count: Callable[[ArmReport], Count]) -> Callable[[ArmRow], Line]:
    return lambda item: _tally(count(item.report)) if item.report is not None else dash(None)


def _errors(item: ArmRow) -> Line:
    found = item.report
    if found is None or not found.requests:
        return dash(None)
    return safe(f"{found.errors:,}/{_brief(found.requests)}", "bad" if found.errors else "")


def _tally(value: Count) -> Line:
    """``k/n`` and the share in percent, whose sign is in the head; large counts are shortened to thousands."""
    if not value.n:
        return dash(None)
    return row(safe(f"{_brief(value.k)}/{_brief(value.n)} ", "muted"), safe(f"{100 * value.k / value.n:5.1f}"))


def _brief(number: int) -> str:
    """A count in at most five characters."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number // 1000}k" if number < 10_000_000 else f"{number // 1_000_000}M"


def _spark(item: ArmRow) -> Line:
    return safe(spark(item.pace.minutes, _SPARK), "accent") if item.pace is not None else dash(None)


# the line above the list ----------------------------------------------------------------------------------


def summary(traffic: Traffic, width: int, now: datetime, read_at: datetime | None) -> tuple[str, Role]:
    """The state of the route in one line, and its colour: a route without requests or servers needs attention.

    ``read_at`` is when the report was read, whose age is shown where it is old; None without a report.
    """
    shown = traffic.shown
    if shown is None:
        return "", "muted"
    route, candidate = shown.route, shown.route.candidate
    parts = [f"{route.strategy} {candidate.semver or short(candidate.sha)}" if candidate else route.strategy]
    if route.ladder is not None:
        parts.append(f"step {route.ladder.at + 1} of {len(route.ladder.steps)}")
    if shown.until is not None:
        parts.append("ended")
    elif traffic.decision is not None:
        parts.append(advice(traffic.decision, brief=width < _WIDE))
    if traffic.problem:
        parts.append("no traces" if traffic.untraced else "traces unreadable")
    idle = idleness(traffic, now, brief=width < _NARROW)
    if not idle or width >= _ROOMY:  # what is wrong now matters more than the number of the epoch
        parts.append(f"epoch #{shown.number}")
    replayed = traffic.pace is not None and traffic.pace.replayed
    seconds = (now - read_at).total_seconds() if read_at is not None else 0.0
    aged = [f"report {seconds:.0f} s old"] if seconds >= _SHOW_AGE else []
    return " · ".join([*parts, *idle, *aged]), "warn" if idle and not replayed else "muted"


def idleness(traffic: Traffic, now: datetime, *, brief: bool = False) -> list[str]:
    """Why no requests arrive now, in fewer words if ``brief``: no server, none lately, or replayed; else empty."""
    shown, found = traffic.shown, traffic.pace
    if shown is None or shown.until is not None:
        return []
    if found is None:
        return ["no server"] if shown.route.candidate is not None and traffic.servers == 0 else []
    if found.quiet:
        return [f"replayed to {minute(found.last or found.until)}"]
    if found.per_second:
        return []
    last = (
        "no request yet"
        if found.last is None
        else f"{'last' if brief else 'last request'} {age(found.last, now).plain} ago"
    )
    unserved = shown.route.candidate is not None and traffic.servers == 0 and not found.replayed
    replayed = " (replayed)" if found.replayed else ""
    return [*(["no server"] if unserved else []), f"0 req/s · {last}{replayed}"]


def advice(decision: Decision, *, brief: bool) -> str:
    """What a canary does next, and unless ``brief`` the first thing it waits for."""
    if decision.action != "hold" or not decision.waits_for:
        return {"abort": "aborts", "advance": "advances", "hold": "holds"}[decision.action]
    return "holds" if brief else f"holds; waiting for {decision.waits_for[0]}"
