"""The figures of the last day: what was graded, complained of, drifted, decided and paid.

They read the answers of that day. This module only gathers what others found out, and does not know how it is shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from miniobserve.uptime import Up, passed_once
from modelspine.drift.days import days, recorded
from modelspine.drift.format import few_or_many, reasons
from modelspine.drift.graded_text import against_evaluation
from modelspine.errors import SpineError
from modelspine.ledger.state import State
from modelspine.ledger.store import Event, storage_errors
from modelspine.overview.glance import Glance
from modelspine.registry.entries import describe
from modelspine.times import after_ns, ledger_time, nanoseconds
from modelspine.traffic.canary import consider_or_error

if TYPE_CHECKING:
    from modelspine.drift.days import Reported
    from modelspine.project import Project

SPAN = timedelta(hours=24)
"""The time that figures of a day cover. It ends at the present, so that it is a full day at any hour."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The newest drift report."""

    day: str
    status: str
    """That of the report; ``damaged`` where it cannot be read."""
    reason: str
    """The first reason for the status; empty for a stable day."""
    contradiction: str = ""
    """One sentence where graded answers contradict the expected accuracy."""
    inputs: str = ""
    """The status of the inputs alone; empty where the report cannot be read."""
    failing: str = ""
    """How many requests failed, where they are so many that the day is not stable."""


class DayFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the ``SPAN`` that ends at ``until``."""

    since: str
    until: str
    replayed: bool
    graded: int | None = None
    """Graded answers of the entry in production, of which ``right`` are correct; None where traces cannot be read."""
    right: int | None = None
    others_graded: int | None = None
    """Graded answers of all other entries, of which ``others_right`` are correct."""
    others_right: int | None = None
    labels: bool = False
    """Whether labels grade answers here, so that what has no grade yet may still get one."""
    expected: float | None = None
    """The accuracy to expect of the entry in production."""
    expected_from: str = ""
    """``evaluation``, or the drift report that weighted it with its day's inputs."""
    dismissed: int | None = None
    false_accepts: int | None = None
    unattributed: int | None = None
    """Answers of no entry that the ledger knows."""
    answered: int | None = None
    priced: int | None = None
    prices: float | None = None
    """The sum of the prices of the ``priced`` answers; None if they are in several currencies."""
    rent: float | None = None
    """What the recorded uptime of servers cost; None where none was recorded, or no rate."""
    currency: str = ""
    verdict: str = ""
    """What the canary does next, and what it waits for."""
    drift: Drift | None = None
    problem: str = ""
    hint: str = ""


def day_figures(project: Project, seen: Glance, now: datetime, at: str | None = None) -> DayFigures:
    """Read the figures of the day that ends where ``seen`` says."""
    state = project.registry.state(at)
    since = ledger_time(nanoseconds(seen.until) - round(SPAN.total_seconds()) * 10**9)
    expected, source, drift = _expected(project, state, seen, at)
    found = DayFigures(
        since=since,
        until=seen.until,
        replayed=seen.replayed,
        expected=expected,
        expected_from=source,
        drift=drift,
        verdict="" if at is not None else _verdict(project, state, now),
    )
    if seen.problem:
        return msgspec.structs.replace(found, problem=seen.problem, hint=seen.hint)
    try:
        with storage_errors():
            return _with_sums(project, found, state, seen.production.sha if seen.production is not None else "")
    except SpineError as error:
        return msgspec.structs.replace(found, problem=error.message, hint=error.hint)


def _verdict(project: Project, state: State, now: datetime) -> str:
    """What the canary does next and what it waits for first; empty where there is none."""
    route = state.routes[-1] if state.routes else None
    if route is None or route.ladder is None:
        return ""
    since = project.registry.events()[route.epoch - 1].at
    decision, problem = consider_or_error(lambda: project.traces, route, since, now)
    if decision is None:
        return f"not checked: {problem}" if problem else ""
    if decision.action == "hold" and decision.waits_for:
        return f"waiting for: {decision.waits_for[0]}"
    return {"abort": "aborts at the next check", "advance": "advances at the next check"}.get(decision.action, "holds")


def _expected(project: Project, state: State, seen: Glance, at: str | None) -> tuple[float | None, str, Drift | None]:
    """The accuracy to expect, what it is based on, and the newest drift report up to the day."""
    found = [(day, event) for day, event in days(project, at).items() if day <= seen.until[:10]]
    drift, made = _drift(project, *found[-1]) if found else (None, None)
    sha = seen.production.sha if seen.production is not None else ""
    if made is not None and made.report.entry_sha == sha and made.report.expected_accuracy is not None:
        age = datetime.fromisoformat(seen.until[:10]) - datetime.fromisoformat(made.report.day)
        if age <= SPAN:
            return made.report.expected_accuracy, f"drift report of {made.report.day}", drift
    known = state.entries.get(sha)
    return (describe(known, state).accuracy if known is not None else None), "evaluation", drift


def _drift(project: Project, day: str, event: Event) -> tuple[Drift, Reported | None]:
    try:
        made = recorded(project, event)
    except SpineError as error:
        return Drift(day=day, status="damaged", reason=error.message), None
    why = reasons(made.report)
    drift = Drift(
        day=day,
        status=made.report.status,
        reason=why[0] if why else "",
        contradiction=against_evaluation(made.report),
        inputs=made.report.inputs,
        failing=few_or_many(made.report.failing) if made.report.failing is not None else "",
    )
    return drift, made


def _with_sums(project: Project, found: DayFigures, state: State, production: str) -> DayFigures:
    since, until = nanoseconds(found.since), after_ns(found.until)
    recent, requests = project.traces.recent, project.traces.requests
    grades = recent.grades([route.epoch for route in state.routes], since, until)
    right, graded = grades.entries.get(production, (0, 0))
    totals = recent.totals(since, until)
    uptime = [up for up in requests.uptime(since, until) if up.simulated == found.replayed]
    currencies = {up.currency for up in uptime} or {project.settings.cost.currency}
    answered = sum(each.answered for each in totals)
    return msgspec.structs.replace(
        found,
        graded=graded,
        right=right,
        others_graded=sum(each for _, each in grades.entries.values()) - graded,
        others_right=sum(each for each, _ in grades.entries.values()) - right,
        labels=project.labels_come_late,
        false_accepts=grades.false_accepts,
        dismissed=recent.dismissed(since, until),
        unattributed=sum(each.answered for each in totals if each.sha not in state.entries),
        answered=answered,
        priced=sum(each.priced for each in totals),
        prices=sum(each.cost for each in totals) if len(currencies) == 1 else None,
        rent=_rent(uptime) if len(currencies) == 1 else None,
        currency=min(currencies) if len(currencies) == 1 else "",
    )


def _rent(uptime: list[Up]) -> float | None:
    rented = [up for up in passed_once(uptime) if up.rate_per_hour is not None]
    if not rented:
        return None
    return sum((up.seen_ns - up.began_ns) / 3.6e12 * (up.rate_per_hour or 0.0) for up in rented)
