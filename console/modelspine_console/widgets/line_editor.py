"""One line of text that is being typed, its caret, and the keys that edit it.

What is typed or pasted is sanitized before it is kept, so that a paste cannot send control sequences to the terminal.
It knows neither where the line is drawn nor what the text means.
"""

from __future__ import annotations

from modelspine.text import visible
from modelspine_console.draw.sanitize import Line, row, safe

MAX_LENGTH = 300
_STEPS = {"left": -1, "right": 1, "home": -MAX_LENGTH, "end": MAX_LENGTH, "ctrl+a": -MAX_LENGTH, "ctrl+e": MAX_LENGTH}


class Editor:
    """A text and the caret in it."""

    def __init__(self, text: str = "") -> None:
        self.text = ""
        self.at = 0
        self.put(text)

    def put(self, text: str, *, at: int | None = None) -> None:
        """Replace the text, and put the caret at a place in it, or at its end."""
        self.text = visible(text, MAX_LENGTH)
        self.at = len(self.text) if at is None else min(at, len(self.text))

    def type(self, text: str) -> None:
        """Insert text at the caret."""
        piece = visible(text, MAX_LENGTH - len(self.text))
        self.text = self.text[: self.at] + piece + self.text[self.at :]
        self.at += len(piece)

    def paste(self, text: str) -> None:
        """Insert the first line of a pasted text."""
        self.type(text.splitlines()[0] if text else "")

    def key(self, key: str, character: str | None) -> bool:
        """Apply an editing key; False for a key that edits nothing."""
        if key in ("backspace", "ctrl+h"):
            at = max(0, self.at - 1)
            self.text, self.at = self.text[:at] + self.text[self.at :], at
        elif key == "delete":
            self.text = self.text[: self.at] + self.text[self.at + 1 :]
        elif key in ("ctrl+u", "ctrl+w"):
            keep = self.text[: self.at].rstrip().rpartition(" ")[0] if key == "ctrl+w" else ""
            self.text, self.at = keep + self.text[self.at :], len(keep)
        elif key in _STEPS:
            self.at = max(0, min(len(self.text), self.at + _STEPS[key]))
        elif character is not None and character.isprintable():
            self.type(character)
        else:
            return False
        return True

    def line(self, *, caret: bool = True, rest: str = "") -> Line:
        """The text as a line, with the caret where it is being typed, and behind its end how it may go on."""
        if not caret:
            return safe(self.text)
        before, under, after = self.text[: self.at], self.text[self.at : self.at + 1], self.text[self.at + 1 :]
        if not under and rest:
            under, rest = rest[0], rest[1:]
        elif under:
            rest = ""
        return row(safe(before), safe(under or " ", "caret"), safe(after), safe(rest, "faint"))
