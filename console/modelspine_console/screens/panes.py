"""The panes of a screen: which of them are shown, above or beside each other, and which one has the focus.

It does not know what the panes show.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize

from modelspine_console.screens.asking import Asking
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

ONE, TWO, THREE = 1, 2, 3
"""The number of panes there is room for."""
_TWO_FROM, _THREE_FROM = 84, 140
"""Widths of the terminal from which two and three panes fit."""
_BELOW_FROM = 110
"""Width from which two details fit beside each other below a list."""
_HEADS = 2
"""Lines of a list's pane above its rows: the pane's head and the table's."""
_FEWEST = 5
"""Rows that a list above its details always has room for."""


class Panes(Asking):
    """A list and the panes of its details, with one of them in focus."""

    TABS: tuple[str, ...] = ()
    """The tabs of the detail pane, if they do not depend on what is shown."""
    LIST = 5
    """The list's share of the width, in tenths, where it stands beside its details."""
    BESIDE_FROM = 0
    """Cells that the list needs to stand beside its details; where it would get fewer, it stands above them."""
    LIST_LINES = 0
    """Further lines that the list's pane needs besides its heads and rows."""

    DEFAULT_CSS = """
    Panes { height: 1fr; width: 1fr; }
    Panes Pane.-detail { border-left: solid $edge; }
    Panes.-alone Pane.-detail { border-left: none; }
    Panes.-stacked { layout: vertical; }
    Panes.-stacked Pane.-first { border-left: none; }
    """

    def __init__(self, name: str, table: Table, details: Sequence[Pane]) -> None:
        super().__init__(id=name)
        self.list = Pane(name, table)
        self.table = table
        self.panes = [self.list, *details]
        self.about = details[0]
        """The detail pane."""
        self.about.tabs = self.TABS
        self.zoomed, self.active = False, 0
        self._magnified = False
        """Whether the zoom was asked for by its key, and so is a step of its own on the way back."""
        self.room = TWO
        self.stacked = False
        """Whether the list stands above its details."""
        self._details = Horizontal()

    def compose(self) -> ComposeResult:
        """The list and its details."""
        self.about.add_class("-first")
        for pane in self.panes[1:]:
            pane.add_class("-detail")
        yield self.list
        with self._details:
            yield from self.panes[1:]

    @property
    def pane(self) -> Pane:
        """The pane that has the focus."""
        return self.panes[self.active]

    @property
    def tab(self) -> str:
        """The open tab of the detail pane; empty if it has no tabs."""
        return self.about.tabs[self.about.tab] if self.about.tabs else ""

    def draw_tab(self) -> None:
        """Draw the open tab of the detail pane."""

    def tick(self) -> None:
        """Update the ages that are shown."""
        for pane in self.panes:
            pane.tick()

    def make_room(self, width: int) -> None:
        """Lay the panes out for a terminal of this width."""
        room = ONE if width < _TWO_FROM else THREE if width >= _THREE_FROM else TWO
        if room != self.room:
            self.room = room
            if self.is_mounted:
                self.lay_out()

    def lay_out(self) -> None:
        """Show as many panes as there is room for, always including the one with the focus."""
        width = self.app.size.width
        above = self._share(width, details=1) < self.BESIDE_FROM
        room = ONE if self.zoomed else THREE if above and width >= _BELOW_FROM else self.room
        first = max(0, min(self.active, len(self.panes) - room)) if self.active >= room else 0
        shown = {0, self.active} if room == TWO <= self.active else set(range(first, first + room))
        for number, pane in enumerate(self.panes):
            pane.display = number in shown
        details = sum(pane.display for pane in self.panes[1:])
        self._details.display = bool(details)
        self.stacked = self.list.display and bool(details) and self._share(width, details) < self.BESIDE_FROM
        self.set_class(len(shown) == 1, "-alone")
        self.set_class(self.stacked, "-stacked")
        self.list.styles.width = "1fr" if self.stacked else f"{self.LIST}fr"
        self.list.styles.height = "1fr"
        self._details.styles.width = "1fr" if self.stacked else f"{(10 - self.LIST) * max(1, details)}fr"
        self.fit_list()

    def _share(self, width: int, details: int) -> int:
        """Cells of the list where it stands beside this many panes."""
        return width * self.LIST // (self.LIST + (10 - self.LIST) * details)

    def fit_list(self) -> None:
        """Give a list above its details the lines that its rows need, at most half of the screen."""
        if self.stacked:
            others = _HEADS + self.LIST_LINES
            self.list.styles.height = others + max(_FEWEST, min(len(self.table.order), self.size.height // 2 - others))

    def on_resize(self, event: Resize) -> None:
        """Put the list above or beside its details, as the new width allows."""
        del event
        if self.BESIDE_FROM:
            self.lay_out()

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
        self.zoomed = self._magnified = not self.zoomed
        self.activate(self.active)

    def open_alone(self, number: int) -> None:
        """Give a pane the focus and the whole screen, in one step."""
        self.zoomed, self._magnified = True, False
        self.activate(number)

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

    def back(self) -> bool:
        """Undo the last step inside this screen; False if there is none."""
        if not (self.zoomed or self.active):
            return False
        alone = self.zoomed and self._magnified
        self.zoomed = self._magnified = False
        self.activate(self.active if alone else 0)
        return True
