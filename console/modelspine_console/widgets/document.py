"""Widgets that show lines made by ``draw.sanitize``: a fixed number of them, and a document that scrolls.

They do not know what the lines say, and they parse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from modelspine_console.draw.sanitize import Line, folded, safe, strip
from modelspine_console.draw.theme import Palette, Role

_EMPTY_LINE = safe("")
Draw = Callable[[int], Sequence[Line]]
"""Makes the lines to show for a given width."""


class Painted(Protocol):
    """What an app must provide so that its widgets can be drawn."""

    palette: Palette


def palette_of(widget: Widget) -> Palette:
    """The palette of the app a widget is in."""
    return cast("Painted", widget.app).palette


class Lines(Widget):
    """A fixed number of lines, made by a function each time they are drawn."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Lines { height: 1; width: 1fr; }"

    def __init__(self, *, base: Role = "", id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.base: Role = base
        self._draw: Draw = lambda _width: ()

    def show(self, draw: Draw) -> None:
        """Show these lines from now on."""
        self._draw = draw
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        lines = self._draw(self.size.width)
        line = lines[y] if y < len(lines) else _EMPTY_LINE
        return strip(line, self.size.width, palette_of(self), self.base)


class Doc(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines that can be scrolled; long ones are folded to the width."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Doc { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None, fitted: Callable[[], None] = lambda: None) -> None:  # noqa: A002
        """``fitted`` is called when the lines were folded to another size of the widget."""
        super().__init__(id=id)
        self._fitted = fitted
        self._draw: Draw = lambda _width: ()
        self._lines: list[Line] = []
        self._room = Size()
        self._ages = False
        self.dimmed = False

    def show(self, draw: Draw, *, top: bool = True, ages: bool = False) -> None:
        """Show these lines from now on; ``top`` scrolls back to the first one.

        With ``ages`` they are made again every second, because they say how long ago something was.
        """
        self._draw, self._ages = draw, ages
        self._room = Size()
        if top:
            self.scroll_to(y=0, animate=False)
        self._layout_lines()
        self.refresh()

    def tick(self) -> None:
        """Make the lines again if they show ages, and draw them if one has changed."""
        if self._ages and self.size.width > 0:
            before, self._room = [line.plain for line in self._lines], Size()
            self._layout_lines(draw=False)
            if before != [line.plain for line in self._lines]:
                self.refresh()

    @property
    def lines(self) -> Sequence[Line]:
        """The lines that are shown, folded."""
        return self._lines

    def on_resize(self) -> None:
        """Fold to the new width."""
        self._layout_lines()
        self._fitted()

    def move(self, rows: int) -> None:
        """Scroll by rows."""
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False)

    def jump(self, *, end: bool) -> None:
        """Go to the first or the last line."""
        self.scroll_to(y=len(self._lines) if end else 0, animate=False)

    def render_line(self, y: int) -> Strip:
        """One line of the viewport."""
        at = y + self.scroll_offset.y
        line = self._lines[at] if at < len(self._lines) else _EMPTY_LINE
        return strip(line, self.size.width, palette_of(self), "stale" if self.dimmed else "")

    def _layout_lines(self, *, draw: bool = True) -> None:
        """Fold the lines to the width of the widget."""
        room = self.size
        if room == self._room or room.width <= 0:
            return
        self._room = room
        # A scroll bar takes a column, but whether there is one is known only once the lines are folded: the second
        # pass folds beside it.
        for width in (room.width, room.width - self.styles.scrollbar_size_vertical):
            self._lines = [part for line in self._draw(width) for part in folded(line, width)]
            self.virtual_size = Size(width, len(self._lines))
            if len(self._lines) <= room.height:
                break
        if draw:
            self.refresh()
