"""The line at the bottom where a filter or a command is typed.

It never has the focus: the app passes it every key while it is open, so that the keys of one burst are handled in
order. It does not know what the text means.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.strip import Strip
from textual.widget import Widget

from modelspine_console.draw.sanitize import row, safe, strip
from modelspine_console.widgets.document import palette_of
from modelspine_console.widgets.line_editor import Editor


class Prompt(Widget):
    """One editable line behind a sign, ``/`` or ``:``."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Prompt { height: 1; width: 1fr; display: none; }"

    def __init__(self, *, changed: Callable[[], None], done: Callable[[bool], None]) -> None:
        """``changed`` is called after each edit, ``done`` with True on enter and with False on escape."""
        super().__init__(id="prompt")
        self.sign = "/"
        self.note = ""
        self._editor = Editor()
        self._changed = changed
        self._done = done

    @property
    def text(self) -> str:
        """The text that was typed."""
        return self._editor.text

    def open(self, sign: str, text: str, note: str) -> None:
        """Show the line with a text to edit and a note behind it."""
        self.sign, self.note = sign, note
        self._editor.put(text)
        self.display = True
        self.refresh()

    def close(self) -> None:
        """Hide the line."""
        self.display = False

    def type(self, text: str) -> None:
        """Insert text at the caret."""
        self._edit(lambda: self._editor.type(text))

    def paste(self, text: str) -> None:
        """Insert the first line of a pasted text at the caret."""
        self._edit(lambda: self._editor.paste(text))

    def key(self, key: str, character: str | None) -> bool:
        """Edit the text or close the prompt; False for a key that does neither."""
        if key in ("enter", "escape") or (key in ("backspace", "ctrl+h") and not self.text):
            self._done(key == "enter")
            return True
        return self._edit(lambda: self._editor.key(key, character))

    def render_line(self, y: int) -> Strip:
        """The sign, the text with its caret, and a note."""
        del y
        line = row(safe(f" {self.sign}", "accent"), self._editor.line(), safe(f"   {self.note}", "faint"))
        return strip(line, self.size.width, palette_of(self))

    def _edit(self, change: Callable[[], bool | None]) -> bool:
        before = self.text
        used = change()
        if self.text != before:
            self._changed()
        self.refresh()
        return used is not False
