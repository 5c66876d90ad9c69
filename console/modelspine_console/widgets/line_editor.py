"""One line of text being typed: its characters, its caret, and the keys that change them.

What is typed or pasted is made visible before it is kept, so a paste cannot talk to the terminal. It knows
neither where the line is drawn nor what the text means.
"""

from __future__ import annotations

from modelspine.text import visible
from modelspine_console.draw.sanitize import Line, row, safe

LONGEST = 300
_STEPS = {"left": -1, "right": 1, "home": -LONGEST, "end": LONGEST, "ctrl+a": -LONGEST, "ctrl+e": LONGEST}


class Editor:
    """A text and a caret in it."""

    def __init__(self, text: str = "") -> None:
        self.text = ""
        self.at = 0
        self.put(text)

    def put(self, text: str) -> None:
        """Go on from this text."""
        self.text = visible(text, LONGEST)
        self.at = len(self.text)

    def type(self, text: str) -> None:
        """Put text in at the caret."""
        piece = visible(text, LONGEST - len(self.text))
        self.text = self.text[: self.at] + piece + self.text[self.at :]
        self.at += len(piece)

    def paste(self, text: str) -> None:
        """A paste is typing, its first line only."""
        self.type(text.splitlines()[0] if text else "")

    def key(self, key: str, character: str | None) -> bool:
        """Edit; False where the key does not edit."""
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

    def line(self, *, caret: bool = True) -> Line:
        """The text, with its caret where it is being typed."""
        if not caret:
            return safe(self.text)
        before, under, after = self.text[: self.at], self.text[self.at : self.at + 1], self.text[self.at + 1 :]
        return row(safe(before), safe(under or " ", "caret"), safe(after))
