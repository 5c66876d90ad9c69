"""A screen whose whole list is read at once, with a detail pane that has a fixed set of tabs.

It does not know what the rows are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from modelspine_console.data.jobs import Outcome
from modelspine_console.screens.base import View

NO_ENTRIES = "no entries registered\nregister a run or a bundle directory: `spine register RUN_ID|BUNDLE_DIR`"


class Listing(View):
    """A list read in one fetch: loading, filtering, going to a row by name."""

    EMPTY = ""
    """The message if there are no rows, and its hint on a second line."""
    GO_HINT = "/ filters, esc clears the filter"
    """The hint if a row that was named is not there."""
    data: Any = None
    """What was read last."""
    _texts: Sequence[str] = ()
    _sought = ""
    """A name to go to as soon as the list has been read."""

    # what each screen defines -------------------------------------------------------------------------

    def read(self) -> Any:
        """Read the list; called in a background thread."""
        raise NotImplementedError

    def rows_of(self, data: Any) -> Sequence[Any]:
        """The rows of what was read; by default, it is the rows."""
        rows: Sequence[Any] = data
        return rows

    def key_of(self, name: str) -> Hashable:
        """The table's key of the row that a name means."""
        return name

    def name_of(self, item: Any) -> str:
        """What a row is called in breadcrumbs and titles."""
        raise NotImplementedError

    # reading ------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the list again."""
        self.ask("list", lambda: self.searchable(self.read()), self.loaded, about=(self.desk.source.at,))

    def searchable(self, data: Any) -> tuple[Any, list[str]]:
        """What was read, with the texts of its rows; made in the background, because a list can be very long."""
        return data, self.texts(self.rows_of(data))

    def loaded(self, outcome: Outcome[Any]) -> None:
        """Show what was read."""
        if outcome.value is None:
            self.lost(outcome)
            return
        self.data, self._texts = outcome.value
        self.refilter()
        if self._sought:
            self.go(self._sought)
        self.select()

    def refilter(self) -> None:
        """Apply the filter."""
        if self.data is not None:
            self.show_rows(self.rows_of(self.data), self._texts, self.EMPTY)
            if not self.table.order:
                self.select()

    def select(self) -> None:
        """Show the row under the cursor."""
        self.draw_tab()

    def go(self, argument: str) -> None:
        """Put the cursor on the row that a name means, as soon as the list has been read."""
        self._sought = argument
        if self.data is None or not argument:
            return
        self._sought = ""
        if not self.table.seek(self.key_of(argument)):
            self.desk.failed(Outcome(error=f"no {self.ITEM} {argument} here", hint=self.GO_HINT))

    def crumbs(self) -> tuple[str, ...]:
        """The row and the tab, when the detail pane has the focus."""
        item = self.table.current
        return (self.name_of(item), self.tab) if item is not None and self.active else ()
