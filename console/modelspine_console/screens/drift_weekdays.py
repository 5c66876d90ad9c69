"""The weekdays tab of the Drift screen: a calendar of the reports, and the figures of each weekday.

Pure drawing of core's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from modelspine.drift.figures import figure
from modelspine.drift.graded_text import share
from modelspine.drift.weekdays import NAMES, by_weekday, name_of, weekday_sentence, weeks
from modelspine.signs import sign_of
from modelspine_console.draw.charts import matrix
from modelspine_console.draw.format import dash, headline
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, cut, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from modelspine.drift.days import Day
    from modelspine.drift.report import DriftReport

_WEEKS = 12
"""Weeks of the calendar, the newest ones."""
_CELL = 8
_SHORT = tuple(name[:3] for name in NAMES)


def weekdays(days: Sequence[Day], chosen: Day, width: int) -> list[Line]:
    """A calendar of weeks by weekdays with each report's status and worst PSI; below it, each weekday's figures."""
    reports = {day.day: day.made.report for day in days if day.made is not None}
    lines = headline(weekday_sentence(list(reports.values())))
    shown = weeks([day.day for day in days])[-_WEEKS:]
    if not shown:
        return lines

    known = {day.day for day in days}

    def draw(week: str, weekday: str, wide: int) -> Line:
        day = (date.fromisoformat(week) + timedelta(days=_SHORT.index(weekday))).isoformat()
        return _cell(reports.get(day), day in known, day == chosen.day, wide)

    note = "sign and largest PSI of each day; ○ no report, – no requests; the selected day is in brackets"
    lines += [*matrix(shown, _SHORT, width, draw, note=note, least=_CELL), safe("")]
    titles = (("days", 3), ("drifted", 0), ("n", 2), ("median PSI", 0), ("graded", 1))
    heads = (Head("weekday"), *(Head(title, right=True, rank=rank) for title, rank in titles))
    here = name_of(chosen.day)
    rows = []
    for each in by_weekday(list(reports.values())):
        role: Role = "accent" if each.name == here else ""
        graded = safe(share(each.graded)) if each.graded.n else dash(None)
        rows.append(
            [safe(each.name, role), safe(f"{each.days:,}"), safe(f"{each.drifted:,}", "warn" if each.drifted else ""),
             safe(f"{each.requests:,}"), safe(figure(each.psi)), graded]
        )  # fmt: skip
    return [*lines, *grid(heads, rows, width)]


def _cell(report: DriftReport | None, known: bool, chosen: bool, wide: int) -> Line:
    """One day: the sign of its status and its largest PSI, in brackets where it is the selected one."""
    role: Role
    if report is None:
        text, role = ("○", "muted") if known else ("–", "faint")
    else:
        sign, worst = sign_of(report.status), report.worst
        text, role = f"{sign.glyph} {_brief(worst[1].psi if worst is not None else None)}", sign.role
    return cut(safe(f"[{text}]" if chosen else f"{text} ", role), wide, right=True)


def _brief(psi: float | None) -> str:
    """A PSI with two decimals and without its leading zero, so that a cell fits where there is little room."""
    if psi is None:
        return "–"
    return f"{psi:.2f}".lstrip("0") if psi < 10 else "10+"
