"""The Traffic screen: the arms of a route over what is known about it, and the changes of a rollout.

A look at the route is cheap and made at every sign of life; the report of an epoch is read again once it has rested
ten times as long as it took. What the numbers mean, and what may be done, core says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal

from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins
from modelspine_console.draw.sanitize import Line
from modelspine_console.screens import traffic_rows as texts
from modelspine_console.screens import traffic_tabs as tabs
from modelspine_console.screens.base import THREE, View
from modelspine_console.screens.request_tail import Tail
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Found
    from modelspine.traffic.epochs import Epoch
    from modelspine.traffic.report import RouteReport
    from modelspine_console.data.traffic_source import Reading, Traffic

_OLD = 10.0
"""Seconds from which on a report's age is told."""
_ROUTE = frozenset({"abort", "advance", "weight"})
"""Changes of the route, whichever arm the cursor is on."""
_ARM = frozenset({"rollback", "route", "canary", "shadow"})


class TrafficView(View):
    """Arms."""

    NAME = "traffic"
    TITLE = "traffic"
    FIELDS = frozenset(texts.FIELDS)
    ALWAYS = True
    DEFAULT_CSS = """
    TrafficView { layout: vertical; }
    TrafficView .-beside { border-left: solid $edge; }
    """

    def __init__(self) -> None:
        self.epochs = Table(tabs.epoch_columns(self.now), lambda epoch: epoch.number)
        self.tail = Tail(self.now)
        about, beside = Pane("", Doc(), self.epochs, self.tail.inside), Pane("requests", self.tail.beside)
        super().__init__(Table(texts.arm_columns(), lambda item: item.arm.name), about, beside)
        self.about, self.beside, self._below = about, beside, Horizontal()
        self.traffic: Traffic | None = None
        self.reading: Reading | None = None
        """The report that was read last."""
        self.epoch: int | None = None
        """The epoch that was asked for; None for the one in force."""
        self._again = False  # a report that rests is wanted all the same
        self._under_way: tuple[int, str | None] | None = None
        """The epoch, and the moment, whose report is being read; it is not asked for twice."""
        self._failure: Outcome[Any] | None = None

    def compose(self) -> ComposeResult:
        """The arms across the screen, the details under them."""
        self.beside.add_class("-beside")
        yield self.list
        with self._below:
            yield self.about
            yield self.beside

    def lay_out(self) -> None:
        """Arms and detail share the screen; the newest requests stand beside the detail where there is room."""
        wide = self.room == THREE and not self.zoomed
        self.list.display = not self.zoomed or self.active == 0
        self.about.display = wide or self.active == 1 or (not self.zoomed and self.active == 0)
        self.beside.display = wide or self.active == 2
        self._below.display = self.about.display or self.beside.display
        self.list.styles.height = "1fr" if self.zoomed else 3 + max(1, min(len(self.table.rows), 4))

    # reading ------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Look at the route again, and read more where it is due or shown."""
        source, epoch, clock = self.desk.source, self.epoch, self.desk.clock
        self._again = self._again or self.desk.reread
        self.ask("list", lambda: source.traffic(epoch, clock()), self._looked, about=(epoch, source.at))
        if self.beside.display or self._tab == "requests":
            self._ask_requests()

    def _ask_requests(self) -> None:
        source, until = self.desk.source, self._shown.until if self._shown else None
        self.ask("requests", lambda: source.newest(until), self._came, about=(until, source.at))

    def _looked(self, outcome: Outcome[Traffic]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.traffic = outcome.value
        shown, tab = self._shown, self._tab
        if self.epoch is not None and (shown is None or shown.number != self.epoch):
            self.desk.failed(Outcome(error=f"there is no epoch #{self.epoch} here", hint="the tab epochs lists them"))
            self.epoch = None
        self.epochs.load(self.traffic.epochs)
        self.about.tabs = tabs.tabs(shown.route) if shown is not None else ()
        self.about.tab = self.about.tabs.index(tab) if tab in self.about.tabs else 0
        self.refilter()
        self.lay_out()
        self.draw_tab(top=False)
        if shown is not None and not self.traffic.problem:
            self._ask_report(shown)

    def _ask_report(self, shown: Epoch) -> None:
        source, clock, known = self.desk.source, self.desk.clock, self._current
        asked = (shown.number, source.at)
        if self._under_way != asked and (known is None or self._again or known.rested(self.now())):
            self._again, self._under_way = False, asked
            self.ask("report", lambda: source.report(shown, clock), self._reported)

    def _reported(self, outcome: Outcome[Reading]) -> None:
        self._under_way = None
        self._failure = None if outcome.ok else outcome
        if outcome.value is None:
            self.desk.failed(outcome)
        else:
            self.reading = outcome.value
            self.refilter()
        self.draw_tab(top=False)

    def _came(self, outcome: Outcome[Found]) -> None:
        self.tail.came(outcome)
        for pane in (self.about, self.beside):
            if pane.body in (self.tail.inside, self.tail.beside):
                self.tail.turn(pane, self._turn_silent)

    def _turn_silent(self, pane: Pane, outcome: Outcome[Any]) -> None:
        """Say why the traces say nothing: there are none yet, or they cannot be read."""
        traffic = self.traffic
        if traffic is not None and traffic.problem:
            pane.turn("empty" if traffic.untraced else "error", traffic.problem, traffic.hint)
        else:
            pane.turn("error", outcome.error, outcome.hint)

    # drawing ------------------------------------------------------------------------------------------

    @property
    def _shown(self) -> Epoch | None:
        return self.traffic.shown if self.traffic is not None else None

    @property
    def _tab(self) -> str:
        return self.about.tabs[self.about.tab] if self.about.tabs else ""

    @property
    def _current(self) -> Reading | None:
        number, read = self._shown.number if self._shown is not None else None, self.reading
        same = read is not None and (read.report.epoch, read.moment) == (number, self.desk.source.at)
        return read if same else None

    @property
    def report(self) -> RouteReport | None:
        """The report of the epoch that is shown, where it was read."""
        return self._current.report if self._current is not None else None

    def refilter(self) -> None:
        """Apply the filter to the arms, with what was read of them last."""
        if self.traffic is not None:
            read = None if self.traffic.problem else self._current  # what cannot be read may have changed since
            decided = read.decision if read is not None else None
            self.traffic = msgspec.structs.replace(self.traffic, decision=decided)
            rows = texts.arm_rows(self.traffic, self.report)
            self.show_rows(rows, tuple(texts.haystack(item) for item in rows), texts.FIELDS, _NONE)

    def recount(self) -> None:
        """Say what is going on."""
        super().recount()
        if self.traffic is not None and not self.filter_text and not self.table.sort_name:
            told = texts.summary(self.traffic, self.app.size.width)
            age = (self.now() - self._current.at).total_seconds() if self._current is not None else 0.0
            self.list.describe(f"{told}{f' · numbers {age:.0f} s old' if age >= _OLD else ''}")

    def select(self) -> None:
        """The arm tab follows the cursor."""
        if self._tab == "arm":
            self.draw_tab()

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the tab that is open."""
        shown, tab = self._shown, self._tab
        self.about.title(f"epoch #{shown.number}" if shown is not None else "")
        if self.traffic is None or shown is None:
            self.about.turn("empty", *_NONE.split("\n", 1))
            return
        tables = {"epochs": self.epochs, "requests": self.tail.inside}
        self.about.put(tables.get(tab, self.about.bodies[0]))
        if tab == "requests":
            self.tail.turn(self.about, self._turn_silent)
            self._ask_requests() if top else None
        elif tab in ("epochs", "ladder", "arm") or self._current is not None:
            self.about.turn("ready")
            self._draw(tab, self.traffic, top=top)
        elif self.traffic.problem or self._failure is not None:
            self._turn_silent(self.about, self._failure or Outcome())
        else:
            self.about.turn("loading", "reading the epoch …")

    def _draw(self, tab: str, traffic: Traffic, *, top: bool) -> None:
        report, now = self.report, self.now()
        lines: list[Line] = []
        body = cast("Doc", self.about.bodies[0])
        if tab == "comparison" and report is not None:
            lines = tabs.comparison(report, traffic)
        elif tab == "shadow" and report is not None and report.shadow is not None:
            pairs = report.shadow
            body.show(lambda width: tabs.shadow(pairs, width), top=top)
            return
        elif tab == "ladder":
            lines = tabs.ladder(traffic)
        elif tab == "arm" and self.table.current is not None:
            lines = tabs.arm(self.table.current, traffic, now)
        if tab != "epochs":
            body.show(lambda _width: lines, top=top)

    # moving -------------------------------------------------------------------------------------------

    def drill(self) -> None:
        """From the arms into the detail, from an epoch into its report, from a request into its walk."""
        body = self.pane.body
        if body is self.table:
            self.activate(1)
        elif body is self.epochs and self.epochs.current is not None:
            self._open_epoch(self.epochs.current.number)
        elif self.tail.under(body) is not None:
            self.desk.open_view("incident", self.tail.under(body).request_id)

    def _open_epoch(self, number: int | None) -> None:
        newest = self.traffic.epochs[:1] if self.traffic is not None else ()
        self.epoch = None if number in [epoch.number for epoch in newest] else number
        self.about.tabs = ()
        self.activate(0)
        self.reload()

    def go(self, argument: str) -> None:
        """Open an epoch by its number."""
        number = argument.lstrip("#")
        if number.isascii() and number.isdigit() and len(number) < 10:
            self.epoch = int(number)
            self.reload()
        else:
            self.desk.failed(Outcome(error=f"no epoch is numbered {argument}", hint="`:traffic 12` opens epoch #12"))

    def back(self) -> bool:
        """Out of the detail, then out of a past epoch."""
        went = super().back()
        if not went and self.epoch is not None:
            self._open_epoch(None)
            went = True
        return went

    # words --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the arm under the cursor."""
        item: texts.ArmRow | None = self.table.current
        return item.arm.sha if item is not None else ""

    def reason(self, action: str) -> str | None:
        """What core would refuse, with its reason."""
        if self.traffic is None:
            return "the route is being read" if action in _ROUTE | _ARM else None
        if action in _ROUTE:
            return self.traffic.denied[""].get(action)
        if action in _ARM | {"lineage", "incident"} and not self.target():
            return "no arm is chosen"
        return self.traffic.denied.get(self.target(), {}).get(action) if action in _ARM else None

    def crumbs(self) -> tuple[str, ...]:
        """The epoch where it is a past one, and the tab."""
        past = (f"epoch #{self.epoch}",) if self.epoch is not None else ()
        return (*past, "requests" if self.active == 2 else self._tab) if self.active else past

    def copies(self) -> list[tuple[str, str]]:
        """Names of what is under the cursor, and the headless twins."""
        body = self.pane.body
        epoch = self.epochs.current if body is self.epochs else self._shown
        return tabs.copies(self.table.current, epoch, self.tail.under(body), self.desk.source.at)

    def export(self) -> tuple[str, Any] | None:
        """The report, as ``spine route report --json`` has it."""
        report = self.report
        return (f"traffic-epoch-{report.epoch}", builtins(report)) if report is not None else None


_NONE = "nothing is routed yet\nthe first promotion routes to what it promotes: `spine promote REF --semver v0.1.0`"
