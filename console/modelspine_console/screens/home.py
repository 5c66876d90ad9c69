"""The Home screen: what an operator wants to know first, one line each, and every line opens the screen behind it.

It draws what core gathered. The figures of the day are read less often than the rest, because they take longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult

from modelspine.overview.lines import Fact, State, facts, sentence, span
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.base import Fields, View, document
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine.overview.day import DayFigures
    from modelspine.overview.glance import Glance
    from modelspine_console.data.home_source import DayRead

_EMPTY = "nothing is in production, and no entry is registered\nregister one: `spine register RUN_ID|BUNDLE_DIR`"
_GLYPHS: dict[State, tuple[str, Role]] = {
    "good": ("✔", "good"), "warn": ("!", "warn"), "bad": ("✖", "bad"), "muted": ("·", "muted"), "": ("·", ""),
}  # fmt: skip
_UNCHECKED: tuple[str, Role] = ("?", "warn")
_TITLES = {
    "production": "Registry", "rollout": "Traffic", "requests": "Traffic", "accuracy": "Drift", "drift": "Drift",
    "incidents": "Incidents", "holds": "Registry", "servers": "Traffic", "money": "Cost",
}  # fmt: skip
"""Line → the screen that Enter opens."""
_COMMANDS = {
    "production": "spine show production", "rollout": "spine route show", "requests": "spine traces list",
    "accuracy": "spine drift show", "drift": "spine drift show",
    "incidents": "spine traces list --outcome dismissed", "holds": "spine list", "servers": "spine info",
    "money": "spine cost",
}  # fmt: skip
"""Line → the command that says more."""
_WIDE = 100
"""Columns of a terminal from which the line above the list says what the time at its end is about."""
_OLD = 30.0
"""Seconds from which on the age of the figures is shown."""
_HEIGHT = 11
"""Lines of the list: its title, the facts, and one that parts it from the detail."""


class Facts(Table):
    """The lines of the overview; one click opens what a line is about."""

    def on_click(self, event: events.Click) -> None:
        """Open the line; the table itself has put the cursor on it."""
        place = event.y - self.head + self.scroll_offset.y
        if event.chain == 1 and self.head <= event.y and place < len(self.order):
            self.go(place)
            self.post_message(self.Chosen(self))


class HomeView(View):
    """What is in production, and whether anything needs attention."""

    NAME = "home"
    ITEM = "line"
    READS = "overview"
    ALWAYS = True
    TRACES = True
    DEFAULT_CSS = """
    HomeView { layout: vertical; }
    HomeView > Pane.-detail { border-left: none; border-top: solid $edge; }
    """
    FIELDS: ClassVar[Fields] = {
        "name": lambda fact: fact.name,
        "state": lambda fact: "not checked" if not fact.checked else fact.state or "fact",
        "text": lambda fact: fact.text,
    }

    def __init__(self) -> None:
        columns = (
            Column("", 12, _name),
            Column("", 20, lambda fact: safe(fact.text, _role(fact), limit=600), grow=True),
        )
        super().__init__(Facts(columns, lambda fact: fact.name, head=False), document("detail"))
        self.seen: Glance | None = None
        self.read: DayRead | None = None
        self._again = False
        """Whether the figures are to be read again even if they are not due."""
        self._asked: tuple[str | None] | None = None
        """The moment of the figures that are being read; they are not requested twice, however the ledger moves."""

    def compose(self) -> ComposeResult:
        """The list above the detail, each as wide as the screen."""
        yield self.list
        self.about.add_class("-detail")
        yield self.about

    def lay_out(self) -> None:
        """Show both, or only the one with the focus."""
        self.list.display = not self.zoomed or self.active == 0
        self.about.display = not self.zoomed or self.active == 1
        self.list.styles.height = "1fr" if self.zoomed else _HEIGHT

    # reading ------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Look again, and read the figures of the day where they are due."""
        source, clock = self.desk.source, self.desk.clock
        self._again = self._again or self.desk.reread
        self.ask("list", lambda: source.glance(clock()), self._looked, about=(source.at,))

    def _looked(self, outcome: Outcome[Glance]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.seen = outcome.value
        self.refilter()
        self._ask_day(outcome.value)

    def _ask_day(self, seen: Glance) -> None:
        source, clock, moment = self.desk.source, self.desk.clock, self.desk.source.at
        due = self.read is None or self._again or self.read.is_due(seen.seq, moment, self.now())
        if due and self._asked != (moment,):
            self._again, self._asked = False, (moment,)
            self.ask("day", lambda: source.day(seen, moment, clock), self._came)

    def _came(self, outcome: Outcome[DayRead]) -> None:
        self._asked = None
        if outcome.value is None:
            self.desk.failed(outcome)
        else:
            self.read = outcome.value
        self.refilter()

    @property
    def _day(self) -> DayFigures | None:
        """The figures that were read last, if they are of the moment that is shown."""
        same = self.read is not None and self.read.moment == self.desk.source.at
        return self.read.figures if self.read is not None and same else None

    # drawing ------------------------------------------------------------------------------------------

    def refilter(self) -> None:
        """Apply the filter to the lines, with the ages of this moment."""
        if self.seen is None:
            return
        found = facts(self.seen, self._day, self.now()) if self.seen.entries else ()
        if list(found) != list(self.table.rows) or self.list.state != "ready":
            self.show_rows(found, self.texts(found), _EMPTY)
            self.draw_tab(top=False)
        self.recount()
        self.list.title(sentence(found) if found else "home")

    def recount(self) -> None:
        """Show how many lines pass the filter, where there is one."""
        super().recount()
        if not self.filter_text and not self.table.sort_name:
            self.list.describe(self._figures() if self.table.rows else "")

    def _figures(self) -> str:
        """Which time the figures cover, and how old they are where that is long."""
        if self._day is None or self.read is None:
            return ""
        seconds = (self.now() - self.read.at).total_seconds()
        old = f" · {seconds:.0f} s old" if seconds >= _OLD else ""
        wide = self.app.size.width >= _WIDE  # the sentence needs the room more than this word
        return f"{'figures: ' if wide else ''}{span(self._day)}{old}"

    def set_filter(self, text: str, *, again: bool = False) -> None:
        """Show only the lines that match."""
        super().set_filter(text, again=again)
        if self.seen is not None and self.seen.entries:
            self.show_rows(self.table.rows, self.texts(self.table.rows), _EMPTY)

    def tick(self) -> None:
        """Update the ages."""
        self.refilter()
        super().tick()

    def select(self) -> None:
        """Show the line under the cursor in full."""
        self.draw_tab()

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the line under the cursor in full, with what it opens."""
        fact: Fact | None = self.table.current
        if fact is None:
            self.about.title("detail")
            self.about.turn("empty", "nothing selected")
            return
        self.about.title(fact.name)
        self.about.show(_detail(fact), top=top)

    # moving -------------------------------------------------------------------------------------------

    def drill(self) -> None:
        """Open the screen the line is about."""
        fact: Fact | None = self.table.current
        if fact is None:
            return
        day = self._day
        if fact.name == "production" and self.target():
            self.desk.open_view("registry", self.target())
        elif fact.name == "holds":
            self.desk.open_filtered("registry", "status:held" if self.seen is not None and self.seen.held else "")
        elif fact.name == "incidents":
            self.desk.open_filtered("incident", "outcome:dismissed" if day is not None and day.dismissed else "")
        elif fact.name in ("accuracy", "drift") and day is not None and day.drift is not None:
            self.desk.open_view("drift", day.drift.day)
        else:
            self.desk.open_view({"Incidents": "incident"}.get(_TITLES[fact.name], _TITLES[fact.name].lower()))

    def target(self) -> str:
        """SHA of the entry in production."""
        stable = self.seen.production if self.seen is not None else None
        return stable.sha if stable is not None else ""

    def reason(self, action: str) -> str | None:
        """A lineage and the list of requests need an entry in production."""
        return "nothing is in production" if action in ("lineage", "incident") and not self.target() else None

    def crumbs(self) -> tuple[str, ...]:
        """The line, when the detail pane has the focus."""
        fact: Fact | None = self.table.current
        return (fact.name,) if fact is not None and self.active else ()

    def copies(self) -> list[tuple[str, str]]:
        """The line, and the commands that say the same or more."""
        fact: Fact | None = self.table.current
        found = [("sha in production", self.target())] if self.target() else []
        if fact is not None:
            found = [("line", f"{fact.name}: {fact.text}"), ("command", _COMMANDS[fact.name]), *found]
        return [*found, ("overview command", "spine info --json")]

    def export(self) -> tuple[str, Any] | None:
        """What is shown, as ``spine info --json`` has it."""
        if self.seen is None:
            return None
        return "home", builtins({"now": self.seen, "day": self._day, "lines": self.table.shown})


def _role(fact: Fact) -> Role:
    return "" if fact.state == "good" else fact.state


def _name(fact: Any) -> Line:
    glyph, role = _GLYPHS[fact.state] if fact.checked or fact.state == "muted" else _UNCHECKED
    return row(safe(f"{glyph} ", role), safe(fact.name, role if fact.state in ("warn", "bad") else "muted"))


def _detail(fact: Fact) -> Callable[[int], Sequence[Line]]:
    lines = [safe(f" {fact.text}", _role(fact), limit=1000), safe("")]
    if fact.hint:
        lines += [row(safe(" to do    ", "muted"), safe(fact.hint)), safe("")]
    lines.append(row(safe(" enter    ", "key"), safe(f"opens the {_TITLES[fact.name]} screen", "muted")))
    lines.append(row(safe(" command  ", "muted"), safe(_COMMANDS[fact.name], "muted")))
    return lambda _width: lines
