"""The dialog with the keys that can be pressed now, in as many columns as there is room for, narrowed by typing.

It knows no action; it draws what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, ClassVar

from textual.binding import Binding

from modelspine_console.dialogs.dialogs import Reader, has_words
from modelspine_console.draw.sanitize import Line, cut, folded, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.widgets.prompt import Prompt

Entry = tuple[str, str, str | None]
"""The keys of an action, what it does, and the reason if it cannot be done now."""
Group = tuple[str, Sequence[Entry]]
_KEYS_WIDTH = 14
"""Cells of the keys."""
_COLUMN_WIDTH = 52
"""Cells that a column needs at least."""
_GAP = 3


class Help(Reader):
    """The keys by group; ``/`` narrows them."""

    DEFAULT_CSS = """
    Help > Vertical { width: 96%; max-width: 190; }
    """
    BINDINGS: ClassVar[list[Any]] = [Binding("slash", "search")]

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._prompt = Prompt(changed=self._narrowed, done=self._searched)
        self._searching = False
        super().__init__("keys", self._lines, keys="/ to search   Esc to close", above=self._prompt)

    @property
    def typist(self) -> Prompt | None:
        """What is being typed into; None while the keys of the dialog are commands."""
        return self._prompt if self._searching else None

    def action_search(self) -> None:
        """Start to narrow the keys."""
        self._searching = True
        self._prompt.open("/", self._prompt.text, "words that must all be found")
        self.redraw()

    def _searched(self, kept: bool) -> None:
        """Keep what is found; or, on escape, show all keys again."""
        self._searching = False
        if not kept or not self._prompt.text:
            self._prompt.clear()
            self._prompt.close()
        self.redraw()

    def _narrowed(self) -> None:
        self.redraw()

    def _lines(self, width: int) -> Sequence[Line]:
        found = narrowed(self._groups, self._prompt.text)
        return help_lines(found, width) or [safe(f"○ no matches for {self._prompt.text}", "warn")]


def narrowed(groups: Sequence[Group], text: str) -> list[Group]:
    """The groups with the entries in which every word of a text is found; groups without one are left out."""
    found = [
        (name, [entry for entry in rows if has_words(f"{name} {entry[0]} {entry[1]}", text)]) for name, rows in groups
    ]
    return [group for group in found if group[1]]


def help_lines(groups: Sequence[Group], width: int) -> list[Line]:
    """Keys and what they do, by group, in columns of nearly the same height that never cut a group of few keys."""
    many = max(1, min(3, (width + _GAP) // (_COLUMN_WIDTH + _GAP)))
    room = (width + _GAP) // many - _GAP
    blocks = [_block(name, rows, room) for name, rows in groups]
    columns = _spread(blocks, many)
    empty = cut(safe(""), room)
    return [row(*(line or empty for line in lines), gap=_GAP) for lines in zip_longest(*columns)]


def _spread(blocks: Sequence[Sequence[Line]], many: int) -> list[list[Line]]:
    """The blocks in at most ``many`` columns of the least height that keeps every block whole."""
    height = max((len(block) for block in blocks), default=0)
    while True:
        columns: list[list[Line]] = [[]]
        for block in blocks:
            if columns[-1] and len(columns[-1]) + 1 + len(block) > height:
                columns.append([])
            columns[-1] += [*([safe("")] if columns[-1] else []), *block]
        if len(columns) <= many:
            return columns if blocks else []
        height += 1


def _block(name: str, rows: Sequence[Entry], width: int) -> list[Line]:
    """One group: its name, and a line for each entry; what cannot be done now is grey, with the reason."""
    lines = [cut(safe(name, "accent"), width)]
    for keys, text, reason in rows:
        roles: tuple[Role, Role] = ("faint", "faint") if reason else ("key", "")
        shown = safe(f"{text} ({reason})" if reason else text, roles[1])
        first, *more = folded(shown, max(20, width - _KEYS_WIDTH - 1))
        lines.append(cut(row(cut(safe(keys, roles[0]), _KEYS_WIDTH), safe(" "), first), width))
        lines += [cut(row(safe(" " * (_KEYS_WIDTH + 1)), part), width) for part in more]
    return lines
