"""The line at the bottom where a filter or a command is typed, with completion and history.

It never has the focus: the app passes it every key while it is open, so that the keys of one burst are handled in
order. It does not know what the text means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.strip import Strip
from textual.widget import Widget

from modelspine_console.data.completion import Complete, Completion, nothing
from modelspine_console.draw.sanitize import Line, cells, row, safe, strip
from modelspine_console.widgets.document import palette_of
from modelspine_console.widgets.line_editor import Editor

MAX_HISTORY = 50
"""Texts that are remembered behind each sign."""


class History:
    """The texts that were entered, oldest first, and the one that is shown while going through them."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)[-MAX_HISTORY:]
        self._at = len(self.texts)
        self._draft = ""

    def begin(self) -> None:
        """Go behind the newest text."""
        self._at, self._draft = len(self.texts), ""

    def add(self, text: str) -> None:
        """Remember a text as the newest one, once."""
        if text.strip():
            self.texts = [*(each for each in self.texts if each != text), text][-MAX_HISTORY:]
        self.begin()

    def step(self, by: int, typed: str) -> str | None:
        """The text one step older or newer; what was typed comes back behind the newest. None if there is no other."""
        to = self._at + by
        if not 0 <= to <= len(self.texts):
            return None
        if self._at == len(self.texts):
            self._draft = typed
        self._at = to
        return self.texts[to] if to < len(self.texts) else self._draft


class Prompt(Widget):
    """One editable line behind a sign, ``/`` or ``:``."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Prompt { height: 1; width: 1fr; display: none; }"

    def __init__(
        self, instead_of: Widget | None = None, *, changed: Callable[[], None], done: Callable[[bool], None]
    ) -> None:
        """``changed`` is called after each edit, ``done`` with True on enter and with False on escape.

        An open prompt takes the place of another line, if there is one, so that the screen above keeps its size and
        does not have to be drawn again.
        """
        super().__init__(id="prompt")
        self._instead_of = instead_of
        self.sign = "/"
        self.note = ""
        self.histories: dict[str, History] = {}
        """The texts entered behind each sign."""
        self._editor = Editor()
        self._complete: Complete = nothing
        self._found = Completion()
        self._turn = -1
        """Which of the words Tab has put in; -1 before it was pressed."""
        self._changed = changed
        self._done = done

    @property
    def text(self) -> str:
        """The text that was typed."""
        return self._editor.text

    def open(self, sign: str, text: str, note: str, complete: Complete = nothing) -> None:
        """Show the line with a text to edit, and a note behind it while there is nothing to complete."""
        self.sign, self.note, self._complete = sign, note, complete
        self._editor.put(text)
        self.histories.setdefault(sign, History()).begin()
        self._look_up()
        self._show(True)
        self.refresh()

    def clear(self) -> None:
        """Forget the text."""
        self._editor.put("")

    def close(self) -> None:
        """Hide the line."""
        self._show(False)

    def _show(self, shown: bool) -> None:
        # Both change in the same turn of the event loop: otherwise the screen would be laid out with one line less.
        # The prompt comes first, because ``clear_rule`` alone does not let Textual count the shown lines again.
        self.display = shown
        if self._instead_of is None:
            return
        if shown:
            self._instead_of.display = False
        else:
            self._instead_of.styles.clear_rule("display")
            self._instead_of.refresh(layout=True)

    def type(self, text: str) -> None:
        """Insert text at the caret."""
        self._edit(lambda: self._editor.type(text))

    def paste(self, text: str) -> None:
        """Insert the first line of a pasted text at the caret."""
        self._edit(lambda: self._editor.paste(text))

    def key(self, key: str, character: str | None) -> bool:
        """Edit or complete the text, go through the history, or close; False for a key that does none of these."""
        if key in ("enter", "escape") or (key in ("backspace", "ctrl+h") and not self.text):
            if key == "enter" and self.sign in self.histories:
                self.histories[self.sign].add(self.text)
            self._done(key == "enter")
            return True
        history = self.histories.get(self.sign)
        if history is not None and key in ("up", "down", "ctrl+p", "ctrl+n"):
            text = history.step(-1 if key in ("up", "ctrl+p") else 1, self.text)
            return text is None or self._edit(lambda: self._editor.put(text))
        if history is not None and key in ("tab", "shift+tab"):
            self._turn_word(1 if key == "tab" else -1)
            return True
        if key in ("right", "end", "ctrl+e") and self._rest and self._editor.at == len(self.text):
            return self._edit(lambda: self._editor.put(self.text + self._rest))
        return self._edit(lambda: self._editor.key(key, character))

    def render_line(self, y: int) -> Strip:
        """The sign, the text with its caret, and what it may become."""
        del y
        line = row(safe(f" {self.sign}", "accent"), self._editor.line(rest=self._rest))
        width = self.size.width
        return strip(row(line, safe("   "), self._words(width - line.cell_length - 4)), width, palette_of(self))

    @property
    def _rest(self) -> str:
        """What accepting the first word would add to the text."""
        found = self._found
        typed = self.text[found.start :]
        word = found.words[0] if found.words and typed and self._turn < 0 else ""
        return word[len(typed) :] if word.startswith(typed) else ""

    def _words(self, room: int) -> Line:
        """The warning, the words, as many as there is room for, or the note."""
        if self._found.warning:
            return safe(self._found.warning, "warn")
        if len(self._found.words) < 2 or not self.text:
            return safe(self.note, "faint")
        pieces: list[Line] = []
        first = max(0, self._turn)
        for number, word in enumerate(self._found.words[first:], first):
            room -= cells(word) + 2
            if room < 0:
                pieces.append(safe("…", "faint"))
                break
            pieces.append(safe(word, "accent" if number == self._turn else "faint", limit=80))
        return row(*pieces, gap=2)

    def _turn_word(self, by: int) -> None:
        """Put in what all words share; once that is there, one word after the other."""
        found = self._found
        if not found.words:
            return
        typed = self.text[found.start : self._editor.at]
        if self._turn < 0 and len(found.words) > 1 and len(found.common) > len(typed):
            word = found.common
        else:
            self._turn = (self._turn + by) % len(found.words) if self._turn >= 0 or by > 0 else len(found.words) - 1
            word = found.words[self._turn]
        turn, head, tail = self._turn, self.text[: found.start], self.text[self._editor.at :]
        self._edit(lambda: self._editor.put(head + word + tail, at=len(head) + len(word)))
        if len(found.words) > 1:  # the words stay until something else is typed
            self._found, self._turn = found, turn

    def _look_up(self) -> None:
        self._found, self._turn = self._complete(self.text[: self._editor.at]), -1

    def _edit(self, change: Callable[[], bool | None]) -> bool:
        before, at = self.text, self._editor.at
        used = change()
        if (self.text, self._editor.at) != (before, at):
            self._look_up()
        if self.text != before:
            self._changed()
        self.refresh()
        return used is not False
