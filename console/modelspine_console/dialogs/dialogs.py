"""Dialogs: help, palette, a menu to choose from, and a text to read and copy.

Each is one list over one screen's middle. They know nothing of entries; they return what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from modelspine_console.draw.sanitize import Line, cut, fill, row, safe, toast
from modelspine_console.draw.theme import Role
from modelspine_console.widgets.document import Doc, Lines
from modelspine_console.widgets.prompt import Prompt
from modelspine_console.widgets.table import Column, Table

_CSS = """
{name} {{ align: center middle; }}
{name} > Vertical {{ width: 88; max-width: 96%; height: auto; max-height: 80%; padding: 1 2; background: $surface; }}
{name} Doc, {name} Table {{ height: {height}; }}
"""
_MOVES = (
    Binding("j,down", "move(1)"),
    Binding("k,up", "move(-1)"),
    Binding("ctrl+d,pagedown", "move(10)"),
    Binding("ctrl+u,pageup", "move(-10)"),
    Binding("g,home", "end(False)"),
    Binding("G,end", "end(True)"),
)


class Reader(ModalScreen[None]):
    """A text to read; ``y`` copies it."""

    DEFAULT_CSS = _CSS.format(name="Reader", height="auto")
    BINDINGS: ClassVar[list[Any]] = [*_MOVES, Binding("escape,q,enter,question_mark", "leave"), Binding("y", "copy")]

    def __init__(self, title: str, draw: Callable[[int], Sequence[Line]], *, copied: str = "") -> None:
        super().__init__()
        self._title = title
        self._draw = draw
        self._copied = copied
        self._doc = Doc()

    def compose(self) -> ComposeResult:
        """Title and text."""
        with Vertical():
            yield Lines(id="dialog-title", base="bar")
            yield self._doc

    def on_mount(self) -> None:
        """Draw."""
        foot = "y copy   esc close" if self._copied else "esc close"
        self.query_one(Lines).show(lambda width: [fill(safe(self._title, "accent"), safe(foot, "faint"), width)])
        self._doc.show(lambda width: [safe(""), *self._draw(width)])
        self._doc.styles.height = min(max(4, self.app.size.height - 10), len(self._doc.lines) or 30)
        self.call_after_refresh(self._fit)
        self._doc.focus()

    def _fit(self) -> None:
        self._doc.styles.height = max(1, min(len(self._doc.lines), int(self.app.size.height * 0.8) - 4))

    def action_move(self, rows: int) -> None:
        """Scroll."""
        self._doc.move(rows)

    def action_end(self, end: bool) -> None:
        """Go to an end."""
        self._doc.jump(end=end)

    def action_copy(self) -> None:
        """Copy the text."""
        if self._copied:
            self.app.copy_to_clipboard(self._copied)
            toast(self.app, "copied")

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


class Choice(ModalScreen[int | None]):
    """A list to choose one line of, narrowed by typing where ``typed`` is set; returns its number."""

    DEFAULT_CSS = _CSS.format(name="Choice", height="14")
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape,q", "leave"),
        Binding("enter", "choose"),
        Binding("j,down,ctrl+n", "move(1)"),
        Binding("k,up,ctrl+p", "move(-1)"),
    ]

    def __init__(self, title: str, items: Sequence[tuple[str, str]], *, typed: bool = False) -> None:
        super().__init__()
        self._title = title
        self._items = list(enumerate(items))
        self._typed = typed
        self._prompt = Prompt(changed=self._narrow, done=self._typed_out)
        self._prompt.sign = "›"
        self._prompt.display = typed
        columns = (
            Column(title="", width=22, cell=lambda item: safe(item[1][0], "strong")),
            Column(title="", width=20, cell=lambda item: safe(item[1][1], "muted", limit=200), grow=True),
        )
        self._table = Table(columns, lambda item: item[0], head=False)

    def compose(self) -> ComposeResult:
        """Title, what is typed, list."""
        with Vertical():
            yield Lines(id="dialog-title", base="bar")
            yield self._prompt
            yield self._table

    def on_mount(self) -> None:
        """Draw."""
        self.query_one(Lines).show(
            lambda width: [fill(safe(self._title, "accent"), safe("enter choose   esc close", "faint"), width)]
        )
        self._narrow()
        self._table.styles.height = max(1, min(len(self._items), 14, self.app.size.height - 8))
        self._table.focus()

    @property
    def typist(self) -> Prompt | None:
        """What takes the keys that type."""
        return self._prompt if self._typed else None

    def _narrow(self) -> None:
        words = self._prompt.text.lower().split()
        found = [item for item in self._items if all(word in f"{item[1][0]} {item[1][1]}".lower() for word in words)]
        self._table.load(found)

    def _typed_out(self, kept: bool) -> None:
        if kept:
            self.action_choose()
        else:
            self.action_leave()

    def on_table_chosen(self) -> None:
        """A double click chooses."""
        self.action_choose()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._table.move(rows)

    def action_choose(self) -> None:
        """Return what the cursor is on."""
        current = self._table.current
        self.dismiss(current[0] if current is not None else None)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


def help_lines(groups: Sequence[tuple[str, Sequence[tuple[str, str, str | None]]]], width: int) -> list[Line]:
    """Keys and what they do, by group; what cannot be done now is grey, with the reason."""
    lines: list[Line] = []
    for name, rows in groups:
        lines.append(safe(name, "accent"))
        for keys, text, reason in rows:
            shown = f"{text} ({reason})" if reason else text
            role: Role = "faint" if reason else ""
            lines.append(
                row(
                    cut(safe(keys, "faint" if reason else "key"), 14),
                    safe(" "),
                    cut(safe(shown, role), max(10, width - 16)),
                )
            )
        lines.append(safe(""))
    return lines[:-1]
