"""What every screen has: panes side by side, a list first, a filter.

It draws, sorts and filters; it does not decide anything about entries, and it opens no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from textual.app import ComposeResult

from modelspine_console.data import filter as filters
from modelspine_console.data.jobs import Outcome
from modelspine_console.screens.asking import Asking
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

ONE, TWO, THREE = 1, 2, 3
"""How many panes there is room for."""
_NARROW, _WIDE = 84, 140


class View(Asking):
    """One screen of the console."""

    NAME = ""
    TITLE = ""
    FIELDS: frozenset[str] = frozenset()
    """Names that ``field:value`` knows in the filter."""
    PROMPT = ""
    """What the filter prompt says beside itself, where that is not its fields."""
    ALWAYS = False
    """Read again at every look, not only when the ledger moved."""
    LIST = 4
    """Share of the width the list takes, of ten."""

    DEFAULT_CSS = """
    View { height: 1fr; width: 1fr; }
    View > Pane.-detail { border-left: solid $edge; }
    View.-alone > Pane.-detail { border-left: none; }
    """

    def __init__(self, table: Table, *details: Pane) -> None:
        super().__init__(id=self.NAME)
        self.list = Pane(self.TITLE, table)
        self.table = table
        self.panes = [self.list, *details]
        self.filter_text = ""
        self.filter = filters.Filter()
        self.zoomed = False
        self.active = 0
        self.room = TWO
        self._none = ""

    def compose(self) -> ComposeResult:
        """The panes."""
        self.list.styles.width = f"{self.LIST}fr"
        yield self.list
        for pane in self.panes[1:]:
            pane.add_class("-detail")
            pane.styles.width = f"{10 - self.LIST}fr"
            yield pane

    def on_mount(self) -> None:
        """Read for the first time."""
        for pane in self.panes[1:]:
            pane.turn("empty", "nothing is chosen")
        self.list.turn("loading", f"reading the {self.TITLE.lower()} …")
        self.lay_out()
        self.reload()

    # what a view has to say ---------------------------------------------------------------------------

    def reload(self) -> None:
        """Read what the list shows again."""
        raise NotImplementedError

    def select(self) -> None:
        """The cursor of the list moved: show what it stands on."""

    def drill(self) -> None:
        """Enter: by default, go to the detail."""
        self.activate(1)

    def go(self, argument: str) -> None:
        """Show what a jump named."""

    def crumbs(self) -> tuple[str, ...]:
        """Where this is, behind the screen's own name."""
        return ()

    def copies(self) -> list[tuple[str, str]]:
        """What can be copied: name and text, the id first."""
        return []

    def export(self) -> tuple[str, Any] | None:
        """A name for a file, and what goes into it."""
        return None

    def target(self) -> str:
        """SHA of the entry this is about, or nothing."""
        return ""

    def requests(self) -> str:
        """The filter that shows the requests this is about, or nothing."""
        return f"sha:{self.target()}" if self.target() else ""

    def goal(self, _verb: str) -> tuple[str, str]:
        """SHA of the entry (or the day) a change here would be about, and the reason to suggest for it."""
        return self.target(), ""

    def walked(self) -> Any:
        """The walk that is shown, where one is."""
        return None

    def reason(self, _action: str) -> str | None:
        """Why an action of this screen cannot be done now; None where it can."""
        return None

    # filter -----------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Show only rows that match."""
        if text == self.filter_text:
            return
        self.filter_text = text
        self.filter = filters.parse(text, self.FIELDS)
        self.refilter()

    def asked(self) -> str:
        """The text a filter prompt starts with."""
        return self.filter_text

    def settle(self) -> None:
        """Enter ended a filter prompt: a list that is only a page may now ask its store."""

    def narrow(self, text: str) -> None:
        """A filter prompt says this now."""
        self.set_filter(text)

    def refilter(self) -> None:
        """Apply the filter to what is loaded."""

    def show_rows(
        self, rows: Any, haystack: tuple[str, ...], fields: Mapping[str, Callable[[Any], str]], none: str
    ) -> None:
        """Put rows into the list, those that pass the filter, and say how many."""
        wanted = self.filter

        def passes(index: int) -> bool:
            item = rows[index]
            return wanted.matches(haystack[index], lambda name: fields[name](item) if name in fields else None)

        self.table.load(rows, passes if wanted.terms else None)
        self._none = none
        self.recount()

    def recount(self) -> None:
        """Say how many rows are shown, and why where there are none."""
        shown, total = len(self.table.order), len(self.table.rows)
        if not total:
            self.list.turn("empty", *self._none.split("\n", 1))
        elif not shown:
            self.list.turn("nomatch", f"none of {total:,} matches", f"/{self.filter_text}   esc clears the filter")
        else:
            self.list.turn("ready")
        sort = f"  sort: {self.table.sort_name}" if self.table.sort_name else ""
        asked = f"  /{self.filter_text}" if self.filter_text else ""
        self.list.describe(f"{shown:,} of {total:,}{asked}{sort}")

    def lost(self, outcome: Outcome[Any], pane: Pane | None = None) -> None:
        """A fetch failed: what is shown stays; where nothing is, the reason is. Nothing there yet is no failure."""
        target = pane or self.list
        bare = target.state != "ready" or (isinstance(target.body, Table) and not target.body.rows)
        if bare:
            target.turn("empty" if outcome.absent else "error", outcome.error, outcome.hint)
        if not (bare and outcome.absent):
            self.desk.failed(outcome)

    # panes ------------------------------------------------------------------------------------------

    def lay_out(self) -> None:
        """Show the panes there is room for, the active one always."""
        room = ONE if self.zoomed else self.room
        first = max(0, min(self.active, len(self.panes) - room)) if self.active >= room else 0
        shown = {0, self.active} if room == TWO <= self.active else set(range(first, first + room))
        for number, pane in enumerate(self.panes):
            pane.display = number in shown
        self.set_class(len(shown) == 1, "-alone")

    def activate(self, number: int) -> None:
        """Give a pane the keys."""
        self.active = number % len(self.panes)
        if not self.is_mounted:  # a key of a burst that also opened this screen
            return
        self.lay_out()
        body = self.panes[self.active].body
        self.screen.set_focus(body if body.display else None)
        self.desk.moved()

    def step(self, by: int) -> None:
        """Give the next pane the keys; one that is only there for width is passed over where there is none."""
        usable = [n for n, pane in enumerate(self.panes) if n <= 1 or pane.display]
        at = usable.index(self.active) if self.active in usable else 0
        self.activate(usable[(at + by) % len(usable)])

    def unfold(self, *, open_: bool) -> None:
        """Open or close the branch under the cursor."""

    def compare(self) -> None:
        """Compare what is marked, where that can be."""

    def verify(self) -> None:
        """Hash again what is behind this."""

    @property
    def pane(self) -> Pane:
        """The pane that has the keys."""
        return self.panes[self.active]

    def turn_tab(self, step: int) -> None:
        """Show another tab of the detail."""
        tabbed = self.pane if self.pane.tabs else next((pane for pane in self.panes if pane.tabs), None)
        if tabbed is not None:
            tabbed.tab = (tabbed.tab + step) % len(tabbed.tabs)
            tabbed.title(tabbed.heading)
            self.draw_tab()

    def draw_tab(self) -> None:
        """Draw the tab that was turned to."""

    def dim(self, dimmed: bool) -> None:
        """Draw everything as old, or not."""
        for pane in self.panes:
            pane.dim(dimmed)

    def back(self) -> bool:
        """Undo the last step inside this screen; False where there is none."""
        if not (self.zoomed or self.active):
            return False
        self.zoomed = False
        self.activate(0)
        return True

    def now(self) -> datetime:
        """The time."""
        return self.desk.clock()

    def on_table_moved(self, event: Table.Moved) -> None:
        """Follow a cursor."""
        event.stop()
        if event.table is self.table:
            self.select()
        else:
            self.select_inside()
        self.desk.moved()

    def select_inside(self) -> None:
        """The cursor of a table in the detail moved."""

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """A double click goes in."""
        event.stop()
        self.drill()


def room_of(width: int) -> int:
    """How many panes a terminal of this width has room for."""
    return ONE if width < _NARROW else THREE if width >= _WIDE else TWO


def document(title: str) -> Pane:
    """A pane that holds a document."""
    return Pane(title, Doc())
