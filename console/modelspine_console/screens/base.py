"""What all screens share: a list, its panes, the filter, and the layout of one to three columns.

It does not decide anything about entries, and it opens no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult

from modelspine_console.data import filter as filters
from modelspine_console.data.jobs import Outcome
from modelspine_console.screens.asking import Asking
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

ONE, TWO, THREE = 1, 2, 3
"""The number of panes there is room for."""
_TWO_FROM, _THREE_FROM = 84, 140
"""Widths of the terminal from which two and three panes fit."""
NO_ENTRIES = "no entries registered\nregister a run or a bundle directory: `spine register RUN_ID|BUNDLE_DIR`"
Fields = Mapping[str, Callable[[Any], str]]
"""Name of a filter field → its text in a row."""


class View(Asking):
    """One screen of the console."""

    NAME = ""
    ITEM = "entry"
    """What one row of the list is called."""
    READS = ""
    """What is being read, if not the screen's name says it."""
    FIELDS: ClassVar[Fields] = {}
    """The names that ``field:value`` accepts in the filter."""
    TABS: tuple[str, ...] = ()
    """The tabs of the detail pane, if they do not depend on what is shown."""
    ALWAYS = False
    """Whether to reload at every poll, not only when the ledger moved."""
    LIST = 5
    """The list's share of the width, in tenths."""

    DEFAULT_CSS = """
    View { height: 1fr; width: 1fr; }
    View > Pane.-detail { border-left: solid $edge; }
    View.-alone > Pane.-detail { border-left: none; }
    """

    def __init__(self, table: Table, *details: Pane) -> None:
        super().__init__(id=self.NAME)
        self.list = Pane(self.NAME, table)
        self.table = table
        self.panes = [self.list, *details]
        self.about = details[0]
        """The detail pane."""
        self.about.tabs = self.TABS
        self.filter_text, self.filter = "", filters.Filter()
        self.zoomed, self.active, self.room = False, 0, TWO
        self._empty = ""

    def compose(self) -> ComposeResult:
        """The panes."""
        self.list.styles.width = f"{self.LIST}fr"
        yield self.list
        for pane in self.panes[1:]:
            pane.add_class("-detail")
            pane.styles.width = f"{10 - self.LIST}fr"
            yield pane

    def on_mount(self) -> None:
        """Start reading."""
        for pane in self.panes[1:]:
            pane.turn("empty", "nothing selected")
        self.list.turn("loading", f"reading the {self.READS or self.NAME} …")
        self.lay_out()
        self.reload()

    # what each screen defines -------------------------------------------------------------------------

    def reload(self) -> None:
        """Read again what the list shows."""
        raise NotImplementedError

    def select(self) -> None:
        """Show what the list's cursor is on."""

    def drill(self) -> None:
        """Open what is under the cursor; by default, go to the detail pane."""
        self.activate(1)

    def go(self, argument: str) -> None:
        """Show what a command named."""

    def crumbs(self) -> tuple[str, ...]:
        """The breadcrumbs behind the screen's name."""
        return ()

    def copies(self) -> list[tuple[str, str]]:
        """What can be copied: name and text, the id first."""
        return []

    def export(self) -> tuple[str, Any] | None:
        """The name of an export file and its content; None if there is nothing to export."""
        return None

    def target(self) -> str:
        """SHA of the entry the screen is about; empty if there is none."""
        return ""

    def requests(self) -> str:
        """The filter that lists the requests the screen is about; empty if there are none."""
        return f"sha:{self.target()}" if self.target() else ""

    def goal(self) -> tuple[str, str]:
        """What a change made here would apply to, and the suggested reason for it."""
        return self.target(), ""

    def walked(self) -> Any:
        """The incident walk that is shown, if any."""
        return None

    def reason(self, _action: str) -> str | None:
        """Why an action of this screen cannot be done now; None if it can."""
        return None

    def unfold(self, *, open_: bool) -> None:
        """Open or close the branch under the cursor."""

    def compare(self, *, on_requests: bool = False) -> None:
        """Compare the marked rows, or what they answer to the stored requests."""

    def verify(self) -> None:
        """Verify what is shown."""

    def draw_tab(self) -> None:
        """Draw the open tab of the detail pane."""

    def select_inside(self) -> None:
        """Show what the cursor of a table in the detail pane is on."""

    # filter -------------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Show only the rows that match."""
        if text != self.filter_text:
            self.filter_text = text
            self.filter = filters.parse(text, self.FIELDS)
            self.refilter()

    def asked(self) -> str:
        """The text a filter prompt starts with."""
        return self.filter_text

    def settle(self) -> None:
        """The filter prompt was closed: a list that holds only a page of its store may now query the store."""

    def narrow(self, text: str) -> None:
        """The text in the filter prompt changed."""
        self.set_filter(text)

    def refilter(self) -> None:
        """Apply the filter to the rows that were read."""

    def texts(self, rows: Sequence[Any]) -> list[str]:
        """The lower-case text of each row that the words of a filter are searched in: the text of all its fields."""
        return [" ".join(text(item) for text in self.FIELDS.values()).lower() for item in rows]

    def show_rows(self, rows: Sequence[Any], texts: Sequence[str], empty: str) -> None:
        """Put the rows whose texts pass the filter into the list; ``empty`` is the message if there are no rows."""
        wanted, fields = self.filter, self.FIELDS

        def passes(index: int) -> bool:
            item = rows[index]
            return wanted.matches(texts[index], lambda name: fields[name](item) if name in fields else None)

        self.table.load(rows, passes if wanted.terms else None)
        self._empty = empty
        self.recount()

    def recount(self) -> None:
        """Show how many rows pass the filter, or why there are none."""
        shown, total = len(self.table.order), len(self.table.rows)
        if not total:
            self.list.turn("empty", *self._empty.split("\n", 1))
        elif not shown:
            self.list.turn("nomatch", f"no matches in {total:,} rows", f"/{self.filter_text}   esc clears the filter")
        else:
            self.list.turn("ready")
        sort = f"  sort: {self.table.sort_name}" if self.table.sort_name else ""
        asked = f"  /{self.filter_text}" if self.filter_text else ""
        self.list.describe(f"{shown:,} of {total:,}{asked}{sort}")

    def lost(self, outcome: Outcome[Any], pane: Pane | None = None) -> None:
        """Handle a failed fetch: keep what is shown; if nothing is, show the error. Missing data is not an error."""
        target = pane or self.list
        bare = target.state != "ready" or (isinstance(target.body, Table) and not target.body.rows)
        if bare:
            target.turn("empty" if outcome.absent else "error", outcome.error, outcome.hint)
        if not (bare and outcome.absent):
            self.desk.failed(outcome)

    # panes --------------------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        """The pane that has the focus."""
        return self.panes[self.active]

    @property
    def tab(self) -> str:
        """The open tab of the detail pane; empty if it has no tabs."""
        return self.about.tabs[self.about.tab] if self.about.tabs else ""

    def lay_out(self) -> None:
        """Show as many panes as there is room for, always including the one with the focus."""
        room = ONE if self.zoomed else self.room
        first = max(0, min(self.active, len(self.panes) - room)) if self.active >= room else 0
        shown = {0, self.active} if room == TWO <= self.active else set(range(first, first + room))
        for number, pane in enumerate(self.panes):
            pane.display = number in shown
        self.set_class(len(shown) == 1, "-alone")

    def activate(self, number: int) -> None:
        """Give a pane the focus."""
        self.active = number % len(self.panes)
        if not self.is_mounted:  # a key of the burst that opened this screen
            return
        self.lay_out()
        body = self.panes[self.active].body
        self.screen.set_focus(body if body.display else None)
        self.desk.moved()

    def step(self, by: int) -> None:
        """Give the next pane the focus; the third pane only if it is visible."""
        usable = [n for n, pane in enumerate(self.panes) if n <= 1 or pane.display]
        at = usable.index(self.active) if self.active in usable else 0
        self.activate(usable[(at + by) % len(usable)])

    def zoom(self) -> None:
        """Show only the pane with the focus, or all panes."""
        self.zoomed = not self.zoomed
        self.activate(self.active)

    def page(self, direction: int) -> None:
        """Move by half a page."""
        body = self.pane.body
        body.move(direction * max(1, body.size.height // 2))

    def turn_tab(self, step: int) -> None:
        """Show another tab of the detail pane."""
        if self.about.tabs:
            self.about.tab = (self.about.tab + step) % len(self.about.tabs)
            self.about.title(self.about.heading)
            self.draw_tab()
        self.desk.moved()

    def dim(self, dimmed: bool) -> None:
        """Draw everything as stale, or not."""
        for pane in self.panes:
            pane.dim(dimmed)

    def tick(self) -> None:
        """Update the ages that are shown."""
        for pane in self.panes:
            pane.tick()

    def back(self) -> bool:
        """Undo the last step inside this screen; False if there is none."""
        if not (self.zoomed or self.active):
            return False
        self.zoomed = False
        self.activate(0)
        return True

    def on_table_moved(self, event: Table.Moved) -> None:
        """Show what a cursor has moved to."""
        event.stop()
        if event.table is self.table:
            self.select()
        else:
            self.select_inside()
        self.desk.moved()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Open the row that was double-clicked."""
        event.stop()
        self.drill()


def room_of(width: int) -> int:
    """The number of panes a terminal of this width has room for."""
    return ONE if width < _TWO_FROM else THREE if width >= _THREE_FROM else TWO


def document(title: str) -> Pane:
    """A pane with a document."""
    return Pane(title, Doc())
