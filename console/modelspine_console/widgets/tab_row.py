"""One line whose parts can be clicked. It does not know what the parts are."""

from __future__ import annotations

from collections.abc import Callable

from textual import events

from modelspine_console.widgets.document import Lines


class TabRow(Lines):
    """A line that reports the cell that was clicked, together with its own width."""

    def __init__(self, clicked: Callable[[int, int], None]) -> None:
        super().__init__()
        self._clicked = clicked

    def on_click(self, event: events.Click) -> None:
        """Report the click."""
        event.stop()
        self._clicked(event.x, self.size.width)
