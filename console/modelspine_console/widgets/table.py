"""A table that draws only the visible lines, so that a million rows open as fast as ten.

It asks a column for the text of a cell only when that cell is drawn, and does not know what a row is. (Textual's own
DataTable renders each cell when the row is added.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from modelspine_console.draw.sanitize import Line, cells, cut, row, safe, strip
from modelspine_console.draw.theme import Role
from modelspine_console.widgets.column import GUTTER, Column, cell_of, widths
from modelspine_console.widgets.document import palette_of


class Table(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows under a fixed head, with a cursor, marks, an order and a filter."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Table { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }"

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: Table) -> None:
            super().__init__()
            self.table = table

    class Chosen(Moved):
        """A row was double-clicked."""

    class Sorted(Moved):
        """A click on the head chose another order."""

    def __init__(
        self,
        columns: Sequence[Column],
        key: Callable[[Any], Hashable],
        *,
        head: bool = True,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.key = key
        self.head = int(head)
        self.rows: Sequence[Any] = ()
        self.order: Sequence[int] = range(0)
        self.cursor = 0
        self.marks: dict[Hashable, Any] = {}
        self.hidden: frozenset[str] = frozenset()
        """Titles of the columns that the operator does not want to see."""
        self.sorted_by = -1
        self.backwards = False
        self.presorted = False
        """Whether the rows are loaded in the order that is chosen, so that they need not be sorted here."""
        self.dimmed = False
        self._passing: Sequence[int] = range(0)
        """The rows that pass the filter, in the order in which they were loaded."""
        self._drawn: dict[int, str] = {}
        """Place of a row → the text it was last drawn with."""
        self._clicked = -1
        """The place that the last single click was on."""
        self._shown: tuple[int, list[tuple[Column, int]]] = (-1, [])

    # what is in it ----------------------------------------------------------------------------------

    def load(self, rows: Sequence[Any], passing: Sequence[int] | None = None) -> None:
        """Show these rows, or those of them with the indexes ``passing``; the cursor stays on its row."""
        held, at = self.current, self.at if rows is self.rows else None
        self.rows = rows
        self._passing = range(len(rows)) if passing is None else passing
        self._arrange(held, at)

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Replace the columns; the order of the rows is kept."""
        self.columns = tuple(columns)
        self._shown = (-1, [])
        self.refresh()

    def hide(self, titles: Collection[str]) -> None:
        """Leave out the columns with these titles, but never the most important one."""
        self.hidden = frozenset(titles)
        self._shown = (-1, [])
        self.refresh()

    @property
    def shown(self) -> list[Any]:
        """The rows that pass the filter, in their order."""
        return [self.rows[index] for index in self.order]

    @property
    def current(self) -> Any | None:
        """The row under the cursor."""
        return self.rows[self.order[self.cursor]] if self.order else None

    @property
    def at(self) -> int:
        """The index of the row under the cursor, in the order in which the rows were loaded; 0 without one."""
        return self.order[self.cursor] if self.order else 0

    @property
    def sorts(self) -> bool:
        """Whether it shows the rows in another order than that in which they were loaded."""
        return not self.presorted and (self.backwards or self.sorted_by >= 0)

    def seek(self, key: Hashable) -> bool:
        """Put the cursor on the row with this key; False if it is not shown."""
        for place, index in enumerate(self.order):
            if self.key(self.rows[index]) == key:
                self.go(place)
                return True
        return False

    def sort(self, column: int, *, backwards: bool) -> None:
        """Sort by a column; -1 is the order in which the rows were loaded."""
        held, at = self.current, self.order[self.cursor] if self.order else None
        self.sorted_by, self.backwards = column, backwards
        self._shown = (-1, [])
        self._arrange(held, at)

    def next_sort(self) -> None:
        """Sort by the next sortable column; after the last one, by the order in which the rows were loaded."""
        able = [-1, *(n for n, column in enumerate(self.columns) if column.sort)]
        self.sort(able[(able.index(self.sorted_by) + 1) % len(able)], backwards=False)

    @property
    def sort_name(self) -> str:
        """The column it is sorted by, with an arrow if reversed; empty for the original order."""
        name = self.columns[self.sorted_by].title if self.sorted_by >= 0 else ""
        return f"{name} ↓" if name and self.backwards else name or ("reversed" if self.backwards else "")

    def mark(self) -> None:
        """Mark the row under the cursor, or unmark it."""
        if (current := self.current) is not None:
            key = self.key(current)
            if self.marks.pop(key, None) is None:
                self.marks[key] = current
            self.refresh_line(self.cursor + self.head)

    def _arrange(self, held: Any | None, at: int | None) -> None:
        """Sort again; the cursor goes to the row ``held`` if it is still shown. ``at`` is its index where known."""
        passing = self._passing
        sort = self.columns[self.sorted_by].sort if self.sorted_by >= 0 else None
        if sort is not None and not self.presorted:
            by, rows = sort, self.rows
            passing = sorted(passing, key=lambda index: by(rows[index]))
        self.order = passing[::-1] if self.backwards and not self.presorted else passing
        self.virtual_size = Size(self.size.width, len(self.order) + self.head)
        self.cursor = self._place_of(held, at)
        self._into_sight()
        self.refresh()
        now = self.current
        # Rows are compared by key, because reading again makes new objects for the same rows.
        if (held is None) != (now is None) or (held is not None and self.key(held) != self.key(now)):
            self.post_message(self.Moved(self))

    def _place_of(self, held: Any | None, at: int | None) -> int:
        """The place of a row in the order; if it is not shown, the place of the cursor, or the last one."""
        place = min(self.cursor, max(len(self.order) - 1, 0))
        if held is None or not self.order:
            return place
        if at is not None:  # the same rows in another order: a search for a number is quick
            return self.order.index(at) if at in self.order else place
        key = self.key(held)
        if self.key(self.rows[self.order[place]]) != key:  # the row is usually where it was: search only if not
            places = (p for p, index in enumerate(self.order) if self.key(self.rows[index]) == key)
            place = next(places, place)
        return place

    # moving -----------------------------------------------------------------------------------------

    def go(self, place: int) -> None:
        """Put the cursor on the row at a place in the order."""
        place = max(0, min(place, len(self.order) - 1))
        if place == self.cursor or not self.order:
            return
        before, self.cursor = self.cursor, place
        if not self._into_sight():
            self.refresh_line(before + self.head)
            self.refresh_line(place + self.head)
        self.post_message(self.Moved(self))

    def move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.go(self.cursor + rows)

    def jump(self, *, end: bool) -> None:
        """Go to the first or the last row."""
        self.go(len(self.order) - 1 if end else 0)

    @property
    def page(self) -> int:
        """The number of visible rows."""
        return max(1, self.size.height - self.head)

    def _into_sight(self) -> bool:
        """Scroll the cursor into view; True if that scrolled."""
        top = self.scroll_offset.y
        want = min(max(top, self.cursor - self.page + 1), self.cursor)
        if want == top or self.size.height == 0:
            return False
        self.scroll_to(y=want, animate=False)
        return True

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self.virtual_size = Size(self.size.width, len(self.order) + self.head)
        self._into_sight()

    def on_focus(self) -> None:
        """Redraw: the cursor's colour shows whether the table has the focus."""
        self.refresh()

    on_blur = on_focus

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked row; a double click opens it. A click on the head sorts by that column."""
        if event.y < self.head:
            self._click_head(event.x)
            return
        place = event.y - self.head + self.scroll_offset.y
        if place < len(self.order):
            self.go(place)
            # The first click of a double one may have opened this table: then the second chooses nothing in it.
            if event.chain == 2 and place == self._clicked:
                self.post_message(self.Chosen(self))
            self._clicked = place if event.chain == 1 else -1

    def tick(self) -> None:
        """Redraw the visible rows whose text has changed, such as by an age."""
        width, top = self.size.width, self.scroll_offset.y
        for place in range(top, min(top + self.page, len(self.order))):
            if self._row_line(place, width).plain != self._drawn.get(place):
                self.refresh_line(place - top + self.head)

    def _click_head(self, x: int) -> None:
        """Sort by the column at ``x``; where it is sorted by that already, reverse the order."""
        edge = GUTTER
        for column, room in self._widths(self.size.width):
            edge += room + 2
            if x < edge:
                place = self.columns.index(column)
                if column.sort is not None:
                    self.sort(place, backwards=place == self.sorted_by and not self.backwards)
                    self.post_message(self.Sorted(self))
                return

    # drawing ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The head, or one row."""
        width = self.size.width
        palette = palette_of(self)
        if y < self.head:
            return strip(self._head_line(width), width, palette, "head")
        place = y - self.head + self.scroll_offset.y
        if place >= len(self.order):
            return strip(safe(""), width, palette)
        base: Role = "stale" if self.dimmed else ""
        if place == self.cursor:
            base = "cursor" if self.has_focus else "cursor_away"
        line = self._row_line(place, width)
        self._drawn[place] = line.plain
        return strip(line, width, palette, base)

    def _row_line(self, place: int, width: int) -> Line:
        item = self.rows[self.order[place]]
        here = safe("▌" if place == self.cursor else " ", "accent")
        marked = safe("◆" if self.key(item) in self.marks else " ", "accent")
        pieces = [cut(cell_of(column, item, room), room, right=column.right) for column, room in self._widths(width)]
        return row(here, marked, row(*pieces, gap=2))

    def _head_line(self, width: int) -> Line:
        pieces = []
        for column, room in self._widths(width):
            chosen = self.sorted_by >= 0 and self.columns[self.sorted_by] is column
            if not chosen:
                pieces.append(cut(safe(column.title, "head"), room, right=column.right))
                continue
            # The arrow stays where the title is cut, because it is what tells an order from its reverse.
            title = cut(safe(column.title, "accent"), min(cells(column.title), room - 2))
            arrow = safe(" ↓" if self.backwards else " ↑", "accent")
            pieces.append(cut(row(title, arrow), room, right=column.right))
        return row(safe(" " * GUTTER), row(*pieces, gap=2))

    def _widths(self, width: int) -> list[tuple[Column, int]]:
        """The columns there is room for, each with its width; kept until the width changes."""
        if self._shown[0] != width:
            chosen = self.columns[self.sorted_by] if self.sorted_by >= 0 else None
            self._shown = (width, widths(self.columns, width, chosen=chosen, hidden=self.hidden))
        return self._shown[1]
