"""Dialogs to read a text and to choose from a list.

They know nothing about entries; a choice returns the number of the chosen line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from modelspine_console.draw.sanitize import SENT, Line, fill, safe, toast
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.document import Doc, Draw, Lines
from modelspine_console.widgets.prompt import Prompt
from modelspine_console.widgets.table import Table

Result = TypeVar("Result")
_MAX_CHOICES = 14
"""Lines of a list of choices before it scrolls."""


class Dialog(ModalScreen[Result]):
    """A title with the keys to leave, above what the dialog shows."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical { width: 88; max-width: 96%; height: auto; max-height: 80%; padding: 1 2; background: $surface; }
    Dialog Doc { height: auto; }
    """

    def __init__(self, title: Line, keys: str, *content: Widget) -> None:
        super().__init__()
        self.title_line = title
        self._head = Lines(base="bar")
        self._head.show(lambda width: [fill(title, safe(keys, "faint"), width)])
        self._content = content

    def compose(self) -> Any:
        """The title and the content."""
        yield Vertical(self._head, *self._content)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


class Reader(Dialog[None]):
    """A text to read; ``y`` copies ``copied``."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("j,down", "move(1)"),
        Binding("k,up", "move(-1)"),
        Binding("ctrl+d,pagedown", "move(10)"),
        Binding("ctrl+u,pageup", "move(-10)"),
        Binding("g,home", "end(False)"),
        Binding("G,end", "end(True)"),
        Binding("escape,q,enter,question_mark", "leave"),
        Binding("y", "copy"),
    ]

    def __init__(
        self, title: str, draw: Draw, *, copied: str = "", keys: str = "", above: Widget | None = None
    ) -> None:
        """``keys`` replaces the keys that the title names, and ``above`` is shown between title and text."""
        self._doc = Doc()
        keys = keys or ("y to copy   Esc to close" if copied else "Esc to close")
        super().__init__(safe(title, "accent"), keys, *([above] if above is not None else []), self._doc)
        self._draw = draw
        self._copied = copied

    def on_mount(self) -> None:
        """Show the text, and give it the height it needs once it has been folded."""
        self.redraw()
        self._doc.styles.height = min(max(4, self.app.size.height - 10), len(self._doc.lines) or 30)
        self._doc.focus()

    def redraw(self) -> None:
        """Make the text again."""
        self._doc.show(lambda width: [safe(""), *self._draw(width)])
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._doc.styles.height = max(1, min(len(self._doc.lines), int(self.app.size.height * 0.8) - 4))

    def action_move(self, rows: int) -> None:
        """Scroll."""
        self._doc.move(rows)

    def action_end(self, end: bool) -> None:
        """Scroll to the first or the last line."""
        self._doc.jump(end=end)

    def action_copy(self) -> None:
        """Copy the text."""
        if self._copied:
            self.app.copy_to_clipboard(self._copied)
            toast(self.app, SENT)


def has_words(text: str, typed: str) -> bool:
    """Whether every word that was typed is in a text; ``rollback`` is found in "roll back" too."""
    whole = text.lower()
    together = whole.replace(" ", "")
    return all(word in whole or word in together for word in typed.lower().split())


class Choice(Dialog[int | None]):
    """A list to choose a line from, narrowed by typing if ``typed`` is set; returns the line's number."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape,q", "leave"),
        Binding("enter", "choose"),
        Binding("j,down,ctrl+n", "move(1)"),
        Binding("k,up,ctrl+p", "move(-1)"),
    ]

    def __init__(self, title: str, items: Sequence[tuple[str, str]], *, typed: bool = False) -> None:
        self._items = list(enumerate(items))
        self._typed = typed
        self._prompt = Prompt(changed=self._narrow, done=self._typing_done)
        self._prompt.sign = "›"
        self._prompt.display = typed
        columns = (
            Column("", 22, lambda item: safe(item[1][0], "strong")),
            Column("", 20, lambda item: safe(item[1][1], "muted", limit=200), grow=True),
        )
        self._table = Table(columns, lambda item: item[0], head=False)
        self._none = Lines()
        """Says that nothing matches; without it, an empty list looks as if it were still being read."""
        keys = "Enter to choose   Esc to close"
        super().__init__(safe(title, "accent"), keys, self._prompt, self._none, self._table)

    def on_mount(self) -> None:
        """Show the whole list."""
        self._narrow()
        self._table.styles.height = max(1, min(len(self._items), _MAX_CHOICES, self.app.size.height - 8))
        self._table.focus()

    @property
    def typist(self) -> Prompt | None:
        """What is being typed into."""
        return self._prompt if self._typed else None

    def _narrow(self) -> None:
        found = [item for item in self._items if has_words(" ".join(item[1]), self._prompt.text)]
        self._none.display = not found
        self._none.show(lambda _width: [safe(f"  ○ no matches for {self._prompt.text}", "warn")])
        self._table.load(found)

    def _typing_done(self, kept: bool) -> None:
        if kept:
            self.action_choose()
        else:
            self.action_leave()

    def on_table_chosen(self) -> None:
        """Choose the line that was double-clicked."""
        self.action_choose()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._table.move(rows)

    def action_choose(self) -> None:
        """Return the line under the cursor."""
        current = self._table.current
        self.dismiss(current[0] if current is not None else None)
