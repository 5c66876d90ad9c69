"""The Drift screen: the days, newest first, and whether their inputs still resemble the training data.

It draws what core recorded. A day that had requests but has no report is listed, with the command that makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelspine.drift.days import as_object, days_as_object
from modelspine.drift.format import figure, percent, source
from modelspine.drift.report import LEVELS
from modelspine_console.draw import plots
from modelspine_console.draw.format import DRIFT_WORDS, dash, drift_status, status
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.screens import drift_tabs as tabs
from modelspine_console.screens.base import Fields, document
from modelspine_console.screens.listing import Listing
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.drift.days import Day
    from modelspine.drift.report import DriftReport

_ALL_DAYS = "spine drift show --weeks 5200 --json"


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
    ITEM = "day"
    TABS = ("features", "trend", "bins", "map", "expected")
    EMPTY = "no requests by this moment\nserve some (`spine serve`), then run `spine drift report`"
    GO_HINT = "`:drift 2026-11-22` goes to a day; esc clears the filter"
    FIELDS: ClassVar[Fields] = {
        "day": lambda d: d.day,
        "status": lambda d: f"{_state(d)} {DRIFT_WORDS.get(_state(d), '')}",
        "feature": lambda d: " ".join(d.made.report.features) if d.made is not None else "",
        "source": _source,
        "sha": _sha,
    }

    def __init__(self) -> None:
        columns = (
            Column("day", 10, lambda d: safe(d.day), lambda d: d.day),
            Column("status", 14, _status, _rank),
            Column("worst", 7, lambda d: dash(_worst(d)[0]), lambda d: _worst(d)[0], rank=2, grow=True),
            Column("PSI", 6, _psi, lambda d: -(_worst(d)[1] or 0.0), right=True, rank=1),
            Column("n", 9, _requests, lambda d: -_number(d), right=True, rank=3),
            Column("expect %", 8, _expected, _expected_accuracy, right=True, rank=4),
            Column("source", 6, lambda d: dash(_source(d)), _source, rank=5),
        )
        super().__init__(Table(columns, lambda day: day.day), document("day"), document("beside"))
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
        """Show how many days there are, and whether some may be missing."""
        super().recount()
        if self.data is not None and not self.data.counted:
            self.list.describe(f"{self.list.aside}  traces unreadable: days without a report may be missing")

    def draw_tab(self) -> None:
        """Draw the open tab of the day; where there is room, another one beside it."""
        day = self._day
        self.about.title(day.day if day is not None else "day")
        beside = "features" if self.about.tab else "trend"
        self.beside.title(beside)
        for pane, name in ((self.about, self.tab), (self.beside, beside)):
            if day is None:
                pane.turn("empty", "no day selected")
            elif day.damaged is not None:
                pane.turn("error", day.damaged.message, day.damaged.hint)
            elif day.made is None and name != "trend":
                pane.turn("empty", *_unreported(day))
            else:
                pane.show(self._drawing(day, name))

    def _drawing(self, day: Day, name: str) -> Callable[[int], Sequence[Line]]:
        days, now, made = self.data.days, self.now(), day.made
        if name == "trend" or made is None:
            return lambda width: tabs.course(days, day, width)
        if name == "features":
            return lambda width: tabs.features(made, day, now, width)
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
        return [*found, ("report command", f"spine drift report --day {day.day}"), ("list command", _ALL_DAYS)]

    def export(self) -> tuple[str, Any] | None:
        """The day that has the focus, else the days that are shown, oldest first."""
        day = self._day
        if self.active and day is not None and day.made is not None:
            return f"drift-{day.day}", as_object(day.made)
        return "drift", days_as_object(sorted(self.table.shown, key=lambda each: each.day))


def _status(day: Any) -> Line:
    return drift_status(_state(day)) if _report(day) is not None else status(_state(day))


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


def _number(day: Any) -> int:
    """The requests the report rests on, or that were answered on a day without one."""
    return int(day.made.report.window.n if day.made is not None else day.answered or 0)


def _requests(day: Any) -> Line:
    return safe(f"{_number(day):,}", "" if day.made is not None else "muted")


def _expected(day: Any) -> Line:
    report = _report(day)
    value = report.expected_accuracy if report is not None else None
    return dash(None if value is None else percent(value).removesuffix(" %"))


def _expected_accuracy(day: Any) -> float:
    """Sorts days without an expectation last: no accuracy reaches 2."""
    report = _report(day)
    return 2.0 if report is None or report.expected_accuracy is None else report.expected_accuracy


def _unreported(day: Day) -> tuple[str, str]:
    number = "an unknown number of" if day.answered is None else f"{day.answered:,}"
    return f"{day.day}: no report; {number} requests were answered", (
        f"make one with `spine drift report --day {day.day}`, or with D in write mode (:rw)"
    )
