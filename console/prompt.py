"""The line at the bottom where a filter or a jump is typed.

What is typed or pasted is made visible before it is shown, so a paste cannot talk to the terminal.
It does not know what the text means.
"""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.lines import palette_of
from console.safe import row, safe, strip
from core.text import visible

_LONGEST = 300


class Prompt(Widget, can_focus=True):
    """One editable line behind a sign (``/`` or ``:``)."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Prompt { height: 1; width: 1fr; display: none; }"

    class Changed(Message):
        """The text is another one now."""

    class Done(Message):
        """Enter or escape ended it."""

        def __init__(self, *, kept: bool) -> None:
            super().__init__()
            self.kept = kept

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.sign = "/"
        self.note = ""
        self.text = ""
        self._at = 0

    def open(self, sign: str, text: str, note: str) -> None:
        """Show the line with a text to go on from."""
        self.sign, self.note = sign, note
        self.text = visible(text, _LONGEST)
        self._at = len(self.text)
        self.display = True
        # focus() would take effect after the keys that are waiting already, and those belong to the prompt.
        self.screen.set_focus(self)
        self.refresh()

    def close(self) -> None:
        """Put the line away."""
        self.display = False

    def type(self, text: str) -> None:
        """Put text in at the caret."""
        piece = visible(text, _LONGEST - len(self.text))
        self._set(self.text[: self._at] + piece + self.text[self._at :], self._at + len(piece))

    def on_paste(self, event: events.Paste) -> None:
        """A paste is typing, its first line only."""
        event.stop()
        self.type(event.text.splitlines()[0] if event.text else "")

    def on_key(self, event: events.Key) -> None:
        """Edit, or end."""
        if event.key in ("enter", "escape"):
            self.post_message(self.Done(kept=event.key == "enter"))
        elif event.key in ("backspace", "ctrl+h"):
            if self._at:
                self._set(self.text[: self._at - 1] + self.text[self._at :], self._at - 1)
            elif not self.text:
                self.post_message(self.Done(kept=False))
        elif event.key in ("ctrl+u", "ctrl+w"):
            keep = self.text[: self._at].rstrip().rpartition(" ")[0] if event.key == "ctrl+w" else ""
            self._set(keep + self.text[self._at :], len(keep))
        elif event.key in _STEPS:
            self._at = max(0, min(len(self.text), self._at + _STEPS[event.key]))
            self.refresh()
        elif event.key == "ctrl+c":
            return
        elif event.is_printable and event.character:
            self.type(event.character)
        event.stop()
        event.prevent_default()

    def render_line(self, y: int) -> Strip:
        """The sign, the text with its caret, and a note."""
        del y
        before, under, after = self.text[: self._at], self.text[self._at : self._at + 1], self.text[self._at + 1 :]
        line = row(
            safe(f" {self.sign}", "accent"),
            safe(before),
            safe(under or " ", "caret"),
            safe(after),
            safe(f"   {self.note}", "faint"),
        )
        return strip(line, self.size.width, palette_of(self))

    def _set(self, text: str, at: int) -> None:
        if text != self.text:
            self.text, self._at = text, at
            self.post_message(self.Changed())
        self.refresh()


_STEPS = {"left": -1, "right": 1, "home": -_LONGEST, "end": _LONGEST, "ctrl+a": -_LONGEST, "ctrl+e": _LONGEST}
