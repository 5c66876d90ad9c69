"""The Drift screen: the days, newest first, and whether their inputs are still those that were trained on.

It draws what core recorded; a day that had requests and no report is shown as one, with the command that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from modelspine.drift.days import as_object, days_as_object
from modelspine.drift.format import figure, percent, source
from modelspine.drift.report import LEVELS
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw import plots
from modelspine_console.draw.format import dash
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.screens import drift_tabs as tabs
from modelspine_console.screens.base import View, document
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.drift.days import Day, Trend

TABS = ("features", "trend", "bins", "map", "expected")


class DriftView(View):
    """Days."""

    NAME = "drift"
    TITLE = "drift"
    FIELDS = frozenset({"day", "status", "feature", "source", "sha"})
    LIST = 5

    def __init__(self) -> None:
        columns = (
            Column(title="day", width=10, cell=lambda d: safe(d.day), sort=lambda d: d.day),
            Column(title="status", width=14, cell=_status, sort=_rank),
            Column(title="worst", width=7, cell=_worst, sort=lambda d: _of(d)[0], rank=2, grow=True),
            Column(title="PSI", width=6, cell=_psi, sort=lambda d: -(_of(d)[1] or 0.0), right=True, rank=1),
            Column(title="n", width=9, cell=_n, sort=lambda d: -_many(d), right=True, rank=3),
            Column(title="expect %", width=8, cell=_expected, sort=_expectation, right=True, rank=4),
            Column(title="source", width=6, cell=lambda d: dash(_source(d)), sort=_source, rank=5),
        )
        super().__init__(Table(columns, lambda day: day.day), document("day"), document("beside"))
        self.about, self.beside = self.panes[1:]
        self.about.tabs = TABS
        self.trend: Trend | None = None
        self._sought = ""

    # the list -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the days again."""
        self.ask("list", self._read, self._loaded, about=(self.desk.source.at,))

    def _read(self) -> Trend:
        plots.load()  # here, in the background, so that the first plot does not hold up the screen
        return self.desk.source.drift()

    def _loaded(self, outcome: Outcome[Trend]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.trend = outcome.value
        self.refilter()
        if self._sought:
            self.go(self._sought)
        self.select()

    def refilter(self) -> None:
        """Apply the filter."""
        if self.trend is None:
            return
        rows = self.trend.days[::-1]
        self.show_rows(rows, tuple(_text(day) for day in rows), _FIELDS, _NONE)
        if not self.trend.counted:
            self.list.describe(f"{self.list.aside}  traces unread: days without a report may be missing")
        if not self.table.order:
            self.select()

    # the detail ---------------------------------------------------------------------------------------

    def select(self) -> None:
        """Show the day under the cursor."""
        self.draw_tab()

    def draw_tab(self) -> None:
        """Draw the tab of the day; where there is room, another one beside it."""
        day: Day | None = self.table.current
        self.about.title(day.day if day is not None else "day")
        beside = "features" if self.about.tab else "trend"
        self.beside.title(beside)
        for pane, name in ((self.about, TABS[self.about.tab]), (self.beside, beside)):
            if day is None:
                pane.turn("empty", "no day is chosen")
            elif day.damaged is not None:
                pane.turn("error", day.damaged.message, day.damaged.hint)
            elif day.made is None and name != "trend":
                pane.turn("empty", *_unreported(day))
            else:
                pane.turn("ready")
                cast("Doc", pane.body).show(self._drawing(day, name))

    def _drawing(self, day: Day, name: str) -> Callable[[int], Sequence[Line]]:
        days, now, made = self.trend.days if self.trend else (), self.now(), day.made
        if name == "trend" or made is None:
            return lambda width: tabs.course(days, day, width)
        if name == "features":
            return lambda width: tabs.features(made, day, now, width)
        draw = {"bins": tabs.bins, "map": tabs.maps, "expected": tabs.expected}[name]
        return lambda width: draw(made.report, width)

    def go(self, argument: str) -> None:
        """Put the cursor on a day."""
        self._sought = argument
        if self.trend is None or not argument:
            return
        self._sought = ""
        if not self.table.seek(argument):
            self.desk.failed(
                Outcome(
                    error=f"no day here is {argument}", hint="`:drift 2026-11-22` goes to a day; esc clears a filter"
                )
            )

    # words --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry the day is compared by."""
        day: Day | None = self.table.current
        return day.made.report.entry_sha if day is not None and day.made is not None else ""

    def requests(self) -> str:
        """The day's requests."""
        day: Day | None = self.table.current
        return f"day:{day.day}" if day is not None else ""

    def goal(self, _verb: str) -> tuple[str, str]:
        """The day."""
        day: Day | None = self.table.current
        return (day.day if day is not None else ""), ""

    def reason(self, action: str) -> str | None:
        """Requests and a new report need a day, a lineage its report."""
        if action in ("incident", "report") and self.table.current is None:
            return "no day is chosen"
        return "this day has no report" if action == "lineage" and not self.target() else None

    def crumbs(self) -> tuple[str, ...]:
        """The day, and the tab."""
        day = self.table.current
        return (day.day, TABS[self.about.tab]) if day is not None and self.active else ()

    def copies(self) -> list[tuple[str, str]]:
        """Names of the day and its report, and the headless twins."""
        day: Day | None = self.table.current
        if day is None:
            return []
        found = [("day", day.day)]
        if day.made is not None:
            found += [("entry sha", day.made.report.entry_sha), ("report digest", day.made.digest)]
            found.append(("command", f"spine drift show --day {day.day} --json"))
        return [*found, ("report command", f"spine drift report --day {day.day}"), ("list command", _LIST)]

    def export(self) -> tuple[str, Any] | None:
        """The day that is open, else the days that are shown, oldest first."""
        day: Day | None = self.table.current
        if self.active and day is not None and day.made is not None:
            return f"drift-{day.day}", as_object(day.made)
        shown = sorted((self.table.rows[index] for index in self.table.order), key=lambda each: each.day)
        return "drift", days_as_object(shown)


def _status(day: Any) -> Line:
    if day.made is not None:
        return tabs.drift_status(day.made.report.status)
    if day.damaged is not None:
        return row(safe("✖ ", "bad"), safe("damaged", "bad"))
    return row(safe("○ ", "warn"), safe("no report", "warn"))


def _rank(day: Any) -> tuple[int, float]:
    status = day.made.report.status if day.made is not None else ""
    return (-LEVELS.index(status) if status in LEVELS else 1 if day.damaged is None else -9), -(_of(day)[1] or 0.0)


def _of(day: Any) -> tuple[str, float | None]:
    """The worst feature and its PSI."""
    worst = day.made.report.worst if day.made is not None else None
    return ("", None) if worst is None else (worst[0], worst[1].psi)


def _worst(day: Any) -> Line:
    return dash(_of(day)[0])


def _psi(day: Any) -> Line:
    return safe(figure(_of(day)[1]), "" if day.made is not None else "faint")


def _many(day: Any) -> int:
    return int(day.made.report.window.n if day.made is not None else day.answered or 0)


def _n(day: Any) -> Line:
    return safe(f"{_many(day):,}", "" if day.made is not None else "muted")


def _expected(day: Any) -> Line:
    value = day.made.report.expected_accuracy if day.made is not None else None
    return dash(None) if value is None else safe(percent(value).removesuffix(" %"))


def _expectation(day: Any) -> float:
    value = day.made.report.expected_accuracy if day.made is not None else None
    return 2.0 if value is None else float(value)


def _source(day: Any) -> str:
    return source(day.made.report) if day.made is not None else ""


def _unreported(day: Day) -> tuple[str, str]:
    many = "an unknown number of" if day.answered is None else f"{day.answered:,}"
    return f"{day.day}: {many} requests were answered, and there is no report", (
        f"`spine drift report --day {day.day}` makes one, and so does D in write mode (`:rw`)"
    )


def _text(day: Any) -> str:
    report = day.made.report if day.made is not None else None
    words = (report.status, _of(day)[0], _source(day), report.entry_sha, short(report.entry_sha)) if report else ()
    return " ".join([day.day, *words, "" if report else _STATE[day.damaged is not None]]).lower()


_STATE = ("no report", "damaged")
_LIST = "spine drift show --weeks 5200 --json"
_NONE = "no day had requests by this moment\nserve some (`spine serve`), then `spine drift report`"
_FIELDS: dict[str, Callable[[Any], str]] = {
    "day": lambda d: d.day,
    "status": lambda d: d.made.report.status if d.made is not None else _STATE[d.damaged is not None],
    "feature": lambda d: " ".join(d.made.report.features) if d.made is not None else "",
    "source": _source,
    "sha": lambda d: d.made.report.entry_sha if d.made is not None else "",
}
