"""The Traffic screen: the arms of a route above their comparison, ladder, epochs and requests.

The route is cheap to read and is read at every poll; the report of an epoch is read again only after ten times as long
as it took. What the numbers mean, and what may be done, core decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from textual.app import ComposeResult

from modelspine.traffic.sentences import epochs_sentence
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins, headline
from modelspine_console.screens import traffic_rows as texts
from modelspine_console.screens import traffic_tabs as tabs
from modelspine_console.screens.base import View
from modelspine_console.screens.ladder_tab import ladder
from modelspine_console.screens.panes import THREE
from modelspine_console.screens.request_tail import Tail
from modelspine_console.widgets.document import Doc, Draw, Lines
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Found
    from modelspine.traffic.epochs import Epoch
    from modelspine.traffic.rollout_report import RouteReport
    from modelspine_console.data.traffic_source import Reading, Traffic

_MAX_ARMS = 4
"""Arms that are visible without scrolling; a route rarely has more than two."""
_ROUTE = frozenset({"abort", "advance", "weight"})
"""Changes of the rollout, whichever arm the cursor is on."""
_ARM = frozenset({"rollback", "route", "canary", "shadow"})
"""Changes that apply to the entry of the arm under the cursor."""
_EMPTY = "nothing is routed yet\nthe first promotion routes to its entry: `spine promote REF --semver v0.1.0`"


class TrafficView(View):
    """Arms, the stable one first."""

    NAME = "traffic"
    FIELDS = texts.FIELDS
    ALWAYS = True
    TRACES = True
    DEFAULT_CSS = """
    TrafficView { layout: vertical; }
    TrafficView .-beside { border-left: solid $edge; }
    """

    def __init__(self) -> None:
        self.epochs = Table(tabs.epoch_columns(self.now), lambda epoch: epoch.number)
        self.tail = Tail(self.now)
        self.said = Lines()  # what the table of a tab says, in one sentence; a document begins with its own
        about = Pane("", Doc(), self.epochs, self.tail.inside, above=self.said)
        beside = Pane("requests", self.tail.beside, above=Lines())
        super().__init__(Table(texts.arm_columns(), lambda item: item.arm.name), about, beside)
        self.beside = beside
        self.traffic: Traffic | None = None
        self.reading: Reading | None = None
        """The report that was read last, of whichever epoch."""
        self.epoch: int | None = None
        """The epoch that was requested; None for the current one."""
        self._again = False
        """Whether the report is to be read again even if it is not due."""
        self._reading: tuple[int, str | None] | None = None
        """Epoch and moment of the report that is being read; it is not requested twice."""
        self._failure: Outcome[Any] | None = None

    def compose(self) -> ComposeResult:
        """The arms across the screen, the details below them."""
        self.beside.add_class("-beside")
        yield self.list
        with self._details:
            yield self.about
            yield self.beside

    def lay_out(self) -> None:
        """Show the arms and the detail; where there is room, the newest requests beside the detail."""
        wide = self.room == THREE and not self.zoomed
        self.list.display = not self.zoomed or self.active == 0
        self.about.display = wide or self.active == 1 or (not self.zoomed and self.active == 0)
        self.beside.display = wide or self.active == 2
        self._details.display = self.about.display or self.beside.display
        self.list.styles.height = "1fr" if self.zoomed else 3 + max(1, min(len(self.table.rows), _MAX_ARMS))

    # reading ------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the route again, and the report and the requests where they are due or visible."""
        source, epoch, clock = self.desk.source, self.epoch, self.desk.clock
        self._again = self._again or self.desk.reread
        self.ask("list", lambda: source.traffic(epoch, clock()), self._looked, about=(epoch, source.at))
        if self.beside.display or self.tab == "requests":
            self._ask_requests()

    def _ask_requests(self) -> None:
        source, until = self.desk.source, self._shown.until if self._shown else None
        self.ask("requests", lambda: source.newest(until), self._came, about=(until, source.at))

    def _looked(self, outcome: Outcome[Traffic]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.traffic = outcome.value
        shown, tab = self._shown, self.tab
        if self.epoch is not None and (shown is None or shown.number != self.epoch):
            self.desk.failed(Outcome(error=f"no epoch #{self.epoch} here", hint="the epochs tab lists all epochs"))
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
        if self._reading != asked and (known is None or self._again or known.rested(self.now())):
            self._again, self._reading = False, asked
            self.ask("report", lambda: source.report(shown, clock), self._reported)

    def _reported(self, outcome: Outcome[Reading]) -> None:
        self._reading = None
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
                self.tail.turn(pane, self._explain)

    def _explain(self, pane: Pane, outcome: Outcome[Any]) -> None:
        """Show why there are no numbers: there are no traces yet, or they cannot be read."""
        traffic = self.traffic
        if traffic is not None and traffic.problem:
            pane.turn("empty" if traffic.untraced else "error", traffic.problem, traffic.hint)
        else:
            pane.turn("error", outcome.error, outcome.hint)

    @property
    def _shown(self) -> Epoch | None:
        return self.traffic.shown if self.traffic is not None else None

    @property
    def _current(self) -> Reading | None:
        """The report that was read last, if it is of the epoch and the moment that are shown."""
        number, read = self._shown.number if self._shown is not None else None, self.reading
        same = read is not None and (read.report.epoch, read.moment) == (number, self.desk.source.at)
        return read if same else None

    @property
    def report(self) -> RouteReport | None:
        """The report of the epoch that is shown, if it was read."""
        return self._current.report if self._current is not None else None

    def refilter(self) -> None:
        """Apply the filter to the arms, with the figures that were read last."""
        if self.traffic is not None:
            # Traces that cannot be read now may have changed since the report: a verdict based on it would be a guess.
            read = None if self.traffic.problem else self._current
            decided, notes = (read.decision, read.notes) if read is not None else (None, None)
            self.traffic = msgspec.structs.replace(self.traffic, decision=decided, notes=notes)
            rows = texts.arm_rows(self.traffic, self.report)
            self.show_rows(rows, self.texts(rows), _EMPTY)

    def tick(self) -> None:
        """Update the ages, also the one of the last request."""
        super().tick()
        if self.display and self.table.rows:
            self.recount()

    def recount(self) -> None:
        """Show the state of the route above the list."""
        super().recount()
        if self.traffic is not None and not self.filter_text and not self.table.sort_name:
            read_at = self._current.at if self._current is not None else None
            self.list.describe(*texts.summary(self.traffic, self.app.size.width, self.now(), read_at))

    def select(self) -> None:
        """Show the arm under the cursor in the arm tab."""
        if self.tab == "arm":
            self.draw_tab()

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the open tab."""
        shown, tab = self._shown, self.tab
        self.about.title(f"epoch #{shown.number}" if shown is not None else "")
        if self.traffic is None or shown is None:
            self.about.turn("empty", *_EMPTY.split("\n", 1))
            return
        self.about.put({"epochs": self.epochs, "requests": self.tail.inside}.get(tab, self.about.bodies[0]))
        self.said.display = tab in ("epochs", "requests")
        draw = self._drawing(tab, self.traffic)
        if tab == "requests":
            self.tail.turn(self.about, self._explain)
            if top:
                self._ask_requests()
        elif tab == "epochs":
            self.said.show(lambda _width: headline(epochs_sentence(self.epochs.rows, self.now())))
            self.about.turn("ready")
        elif draw is not None:
            self.about.show(draw, top=top, ages=tab == "arm")
        elif self.traffic.problem or self._failure is not None:
            self._explain(self.about, self._failure or Outcome())
        else:
            self.about.turn("loading", "reading the report of the epoch …")

    def _drawing(self, tab: str, traffic: Traffic) -> Draw | None:
        """What draws a tab with a document; None while the report it needs is missing."""
        report, item, now = self.report, self.table.current, self.now
        if tab == "ladder":
            return lambda width: ladder(traffic, report, width)
        if tab == "arm":
            return lambda _width: tabs.arm(item, traffic, now()) if item is not None else []
        if report is None:
            return None
        shadow = report.shadow
        if tab == "shadow" and shadow is not None:
            return lambda width: tabs.shadow_tab(report, shadow, traffic, width)
        return lambda width: tabs.comparison(report, traffic, width)

    # moving -------------------------------------------------------------------------------------------

    def drill(self) -> None:
        """Open the detail of an arm, the report of an epoch, or the walk of a request."""
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
            self.desk.failed(Outcome(error=f"{argument} is no epoch number", hint="`:traffic 12` opens epoch #12"))

    def back(self) -> bool:
        """Leave the detail, then a past epoch."""
        went = super().back()
        if not went and self.epoch is not None:
            self._open_epoch(None)
            went = True
        return went

    def target(self) -> str:
        """SHA of the arm under the cursor."""
        item: texts.ArmRow | None = self.table.current
        return item.arm.sha if item is not None else ""

    def reason(self, action: str) -> str | None:
        """Core's reason where it would refuse a change of the route or of an arm."""
        if self.traffic is None:
            return "the route is still being read" if action in _ROUTE | _ARM else None
        if action in _ROUTE:
            return self.traffic.refused(action)
        if action in _ARM | {"lineage", "incident"} and not self.target():
            return "no arm selected"
        return self.traffic.denied.get(self.target(), {}).get(action) if action in _ARM else None

    def crumbs(self) -> tuple[str, ...]:
        """The epoch if it is a past one, and the tab."""
        past = (f"epoch #{self.epoch}",) if self.epoch is not None else ()
        return (*past, "requests" if self.active == 2 else self.tab) if self.active else past

    def copies(self) -> list[tuple[str, str]]:
        """Names of what is under the cursor, and the equivalent commands."""
        body = self.pane.body
        epoch = self.epochs.current if body is self.epochs else self._shown
        return tabs.copies(self.table.current, epoch, self.tail.under(body), self.desk.source.at)

    def export(self) -> tuple[str, Any] | None:
        """The report, as ``spine route report --json`` has it."""
        found = self.report
        return (f"traffic-epoch-{found.epoch}", builtins(found)) if found is not None else None
