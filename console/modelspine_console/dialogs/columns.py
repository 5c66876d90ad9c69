"""The dialog to choose the columns of a list; each choice shows at once.

It does not know what is in the columns.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import Binding

from modelspine_console.dialogs.dialogs import Dialog
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table


class Columns(Dialog[None]):
    """The titles of a table's columns, each with a sign whether it is shown."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape,q,c", "leave"),
        Binding("space,enter", "switch"),
        Binding("j,down", "move(1)"),
        Binding("k,up", "move(-1)"),
        Binding("a", "show_all"),
    ]

    def __init__(self, table: Table) -> None:
        self._chosen = table
        # The most important column always has room, so leaving it out would change nothing.
        first = min(table.columns, key=lambda column: column.rank)
        titles = [column.title for column in table.columns if column is not first and column.title]
        self._at_choice = {column.title for column in table.columns if column.only_sorted}
        """Titles of columns that are not shown unless they are chosen here, or sorted by."""
        columns = (Column("", 2, self._sign), Column("", 20, safe, grow=True))
        self._titles = Table(columns, lambda title: title, head=False)
        self._rows = titles
        super().__init__(safe("columns", "accent"), "Space: show or hide   a: all   Esc to close", self._titles)

    def on_mount(self) -> None:
        """Show the titles."""
        self._titles.load(self._rows)
        self._titles.styles.height = max(1, min(len(self._rows), self.app.size.height - 8))
        self._titles.focus()

    def on_table_chosen(self) -> None:
        """Show or hide the column that was double-clicked."""
        self.action_switch()

    def action_switch(self) -> None:
        """Show or hide the column under the cursor."""
        title = self._titles.current
        if title is not None:
            self._chosen.hide(self._chosen.hidden ^ {title})
            self._titles.refresh()

    def action_show_all(self) -> None:
        """Show every column there is room for."""
        self._chosen.hide(())
        self._titles.refresh()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._titles.move(rows)

    def _sign(self, title: str) -> Line:
        shown = (title in self._chosen.hidden) is (title in self._at_choice)
        return safe("✔", "good") if shown else safe("○", "muted")
