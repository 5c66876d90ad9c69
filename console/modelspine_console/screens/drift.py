"""The Drift screen: the days, newest first, and whether their inputs still resemble the training data.

It draws what core recorded. A day that had requests but has no report is listed, with the command that makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from modelspine.drift.days import ALL_WEEKS, as_object, trend_as_object
from modelspine.drift.figures import figure, percent
from modelspine.drift.format import ahead, reference, source
from modelspine.drift.graded_text import contradiction
from modelspine.drift.status import LEVELS
from modelspine.drift.weekdays import name_of, with_weekday
from modelspine_console.draw import plots
from modelspine_console.draw.format import dash, status
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.screens import drift_tabs as tabs
from modelspine_console.screens.base import Fields, document
from modelspine_console.screens.drift_weekdays import weekdays
from modelspine_console.screens.listing import Listing
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine.drift.days import Day
    from modelspine.drift.report import DriftReport

_OF_ALL_DAYS = ("trend", "weekdays")
"""Tabs about every day, which need no report of the selected one."""
_ALL_DAYS = f"spine drift show --weeks {ALL_WEEKS} --json"


def _report(day: Any) -> DriftReport | None:
    report: DriftReport | None = day.made.report if day.made is not None else None
    return report


def _state(day: Any) -> str:
    """The status of the day's report, or why it has none."""
    report = _report(day)
    return report.status if report is not None else "no report" if day.damaged is None else "damaged"


def _source(day: Any) -> str:
    report = _report(day)
    return source(report) if report is not None else ""


def _sha(day: Any) -> str:
    report = _report(day)
    return report.entry_sha if report is not None else ""


class DriftView(Listing):
    """Days, newest first."""

    NAME = "drift"
    TRACES = True
    ITEM = "day"
    TABS = ("features", "trend", "bins", "map", "expected", "weekdays")
    EMPTY = "no requests by this moment\nserve some (`spine serve`), then run `spine drift report`"
    GO_HINT = "`:drift 2026-11-22` goes to a day; esc clears the filter"
    FIELDS: ClassVar[Fields] = {
        "day": lambda d: d.day,
        "weekday": lambda d: name_of(d.day),
        "status": _state,
        "feature": lambda d: " ".join(d.made.report.features) if d.made is not None else "",
        "source": _source,
        "against": lambda d: reference(d.made.report) if d.made is not None else "",
        "failing": lambda d: "yes" if d.made is not None and d.made.report.failing is not None else "no",
        "contradicts": lambda d: "yes" if d.made is not None and contradiction(d.made.report) else "no",
        "sha": _sha,
    }

    def __init__(self) -> None:
        columns = (
            Column("day", 14, lambda d: safe(with_weekday(d.day)), lambda d: d.day),
            Column("status", 14, _status, _rank),
            Column("worst", 7, lambda d: dash(_worst(d)[0]), lambda d: _worst(d)[0], rank=2, grow=True),
            Column("PSI", 6, _psi, lambda d: -(_worst(d)[1] or 0.0), right=True, rank=1),
            Column("n", 8, _requests, lambda d: -(_number(d) or 0), right=True, rank=3),
            Column("expect %", 8, _expected, _expected_accuracy, right=True, rank=4),
            Column("graded %", 8, _graded, _graded_share, right=True, rank=5),
            Column("cover %", 7, _coverage, _coverage_share, right=True, rank=6),
            Column("failed %", 8, _failed, _failed_share, right=True, rank=7),
            Column("source", 6, lambda d: dash(_source(d)), _source, rank=8),
        )
        super().__init__(Table(columns, lambda day: day.day), document("day"), document("other tab"))
        self.beside = self.panes[2]

    @property
    def _day(self) -> Day | None:
        day: Day | None = self.table.current
        return day

    def read(self) -> Any:
        """The days with reports or requests; plotext is imported here, in the background."""
        plots.load()
        return self.desk.source.drift()

    def rows_of(self, data: Any) -> Sequence[Any]:
        """The days, newest first."""
        days: Sequence[Any] = data.days[::-1]
        return days

    def recount(self) -> None:
        """Show how many days there are, whether some may be missing, and what is dated ahead of the clock."""
        super().recount()
        if self.data is not None and not self.data.counted:
            self.list.describe(f"{self.list.aside}  traces unreadable: days without a report may be missing")
        elif self.data is not None and self.data.ahead.n:
            self.list.describe(f"{self.list.aside}  {self.data.ahead.n:,} ahead of the clock: see trend")

    def draw_tab(self) -> None:
        """Draw the open tab of the day; where there is room, another one beside it."""
        day = self._day
        self.about.title(with_weekday(day.day) if day is not None else "day")
        beside = "features" if self.about.tab else "trend"
        self.beside.title(beside)
        for pane, name in ((self.about, self.tab), (self.beside, beside)):
            if day is None:
                pane.turn("empty", "no day selected")
            elif day.damaged is not None:
                pane.turn("error", day.damaged.message, day.damaged.hint)
            elif day.made is None and name not in _OF_ALL_DAYS:
                pane.turn("empty", *_unreported(day))
            else:
                pane.show(self._drawing(day, name), ages=name == "features")

    def _drawing(self, day: Day, name: str) -> Callable[[int], Sequence[Line]]:
        days, now, made = self.data.days, self.now, day.made
        if name == "weekdays":
            return lambda width: weekdays(days, day, width)
        if name == "trend" or made is None:
            early = ahead(self.data.ahead)
            return lambda width: tabs.course(days, day, width, early)
        if name == "features":
            return lambda width: tabs.features(made, day, now(), width)
        draw = {"bins": tabs.bins, "map": tabs.maps, "expected": tabs.expected}[name]
        return lambda width: draw(made.report, width)

    # names --------------------------------------------------------------------------------------------

    def name_of(self, item: Any) -> str:
        """The day."""
        return str(item.day)

    def target(self) -> str:
        """SHA of the entry whose training data the day is compared with."""
        return _sha(self._day) if self._day is not None else ""

    def requests(self) -> str:
        """The filter for the day's requests."""
        return f"day:{self._day.day}" if self._day is not None else ""

    def goal(self) -> tuple[str, str]:
        """The day."""
        return (self._day.day if self._day is not None else ""), ""

    def reason(self, action: str) -> str | None:
        """Requests and a new report need a day, a lineage its report."""
        if action in ("incident", "report") and self._day is None:
            return "no day selected"
        return "this day has no report" if action == "lineage" and not self.target() else None

    def copies(self) -> list[tuple[str, str]]:
        """The day, the names of its report, and the equivalent commands."""
        day = self._day
        if day is None:
            return []
        found = [("day", day.day)]
        if day.made is not None:
            found += [("entry sha", day.made.report.entry_sha), ("report digest", day.made.digest)]
            found.append(("command", f"spine drift show --day {day.day} --json"))
        report = f"spine drift report --day {day.day}"
        return [
            *found, ("report command", report), ("weekday command", f"{report} --same-weekday"),
            ("list command", _ALL_DAYS),
        ]  # fmt: skip

    def export(self) -> tuple[str, Any] | None:
        """The day that has the focus, else the days that are shown, oldest first."""
        day = self._day
        if self.active and day is not None and day.made is not None:
            return f"drift-{day.day}", as_object(day.made, day.others)
        shown = tuple(sorted(self.table.shown, key=lambda each: each.day))
        return "drift", trend_as_object(msgspec.structs.replace(self.data, days=shown))


def _status(day: Any) -> Line:
    return status(_state(day))


def _rank(day: Any) -> tuple[int, float]:
    """Sorts damaged days first, then by status, days without a report last; within a status by PSI."""
    state = _state(day)
    level = -LEVELS.index(state) if state in LEVELS else {"damaged": -len(LEVELS)}.get(state, 1)
    return level, -(_worst(day)[1] or 0.0)


def _worst(day: Any) -> tuple[str, float | None]:
    """The feature with the most drift, and its PSI."""
    report = _report(day)
    worst = report.worst if report is not None else None
    return ("", None) if worst is None else (worst[0], worst[1].psi)


def _psi(day: Any) -> Line:
    return safe(figure(_worst(day)[1]), "" if day.made is not None else "faint")


def _number(day: Any) -> int | None:
    """The requests the report rests on, or that were answered on a day without one; None where that is unknown."""
    number: int | None = day.made.report.window.n if day.made is not None else day.answered
    return number


def _requests(day: Any) -> Line:
    number = _number(day)
    return dash(None) if number is None else safe(f"{number:,}", "" if day.made is not None else "muted")


def _expected(day: Any) -> Line:
    report = _report(day)
    value = report.expected_accuracy if report is not None else None
    return dash(None if value is None else percent(value).removesuffix(" %"))


def _expected_accuracy(day: Any) -> float:
    """Sorts days without an expectation last: no accuracy reaches 2."""
    report = _report(day)
    return 2.0 if report is None or report.expected_accuracy is None else report.expected_accuracy


def _graded(day: Any) -> Line:
    """The graded accuracy, marked where it contradicts the expected one."""
    report = _report(day)
    value = _graded_share(day)
    if report is None or value > 1:
        return dash(None)
    marked = bool(contradiction(report))
    return safe(f"{'! ' if marked else ''}{percent(value).removesuffix(' %')}", "warn" if marked else "")


def _graded_share(day: Any) -> float:
    """Sorts days without a graded answer last."""
    report = _report(day)
    found = report.graded.counted if report is not None and report.graded is not None else None
    return found.k / found.n if found is not None and found.n else 2.0


def _failed(day: Any) -> Line:
    """The failed share of the day's requests, marked where it lowers the day."""
    report = _report(day)
    found = report.failed if report is not None else None
    if found is None:
        return dash(None)
    marked = report is not None and report.failing is not None
    return safe(f"{'! ' if marked else ''}{percent(found.share).removesuffix(' %')}", "warn" if marked else "")


def _failed_share(day: Any) -> float:
    """Sorts days on which most failed first."""
    report = _report(day)
    return -report.failed.share if report is not None and report.failed is not None else 0.0


def _coverage(day: Any) -> Line:
    report = _report(day)
    value = report.coverage if report is not None else None
    lower = report is not None and report.covered is not None and report.covered.status in ("watch", "act")
    return dash(None) if value is None else safe(percent(value).removesuffix(" %"), "warn" if lower else "")


def _coverage_share(day: Any) -> float:
    """Sorts days whose coverage is unknown last."""
    report = _report(day)
    return 2.0 if report is None or report.coverage is None else report.coverage


def _unreported(day: Day) -> tuple[str, str]:
    number = "an unknown number of" if day.answered is None else f"{day.answered:,}"
    failed = f", {day.failed:,} failed" if day.failed else ""
    return f"{day.day}: no report; {number} requests were answered{failed}", (
        f"make one with `spine drift report --day {day.day}`, or with D in write mode (:rw)"
    )
