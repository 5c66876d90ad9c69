"""The footer, whose keys can be clicked. It does not know what they do."""

from __future__ import annotations

from collections.abc import Callable

from textual.events import Click

from modelspine_console.widgets.document import Lines


class Footer(Lines):
    """One line that tells where it was clicked, and what it says."""

    def __init__(self, clicked: Callable[[int, str], None]) -> None:
        """``clicked`` is called with the column of the click and the text of the line."""
        super().__init__(base="bar")
        self._clicked = clicked

    def on_click(self, event: Click) -> None:
        """Report the click."""
        lines = self._draw(self.size.width)
        if lines:
            self._clicked(event.x, lines[0].plain)
