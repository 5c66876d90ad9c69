"""Writes to the terminal only the cells that changed, in few bytes, because a console is often used over a slow ssh.

Textual writes whole widgets again, and both colours of every piece of text. This module keeps a copy of what the
terminal shows and compares each update with it. It does not know what is drawn; texts were made harmless before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.segment import ControlType
from rich.style import Style
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip as Piece

_GAP = 6
"""Cells between two changes from which on it takes fewer bytes to move the cursor than to write them again."""
_SHOWN_ON_BLANKS = frozenset({"4", "7", "9", "21", "51", "52", "53"})
"""Attributes that are visible on a space too: underlined, reversed, struck out, framed."""


class Look(NamedTuple):
    """How a cell is drawn, as parameters of the terminal's SGR sequence; empty for the terminal's default."""

    attributes: str
    front: str
    ground: str
    blank: bool = False
    """Whether the cell is a space, on which only the ground is visible."""


Cell = tuple[str, Look] | None
"""The text and the look of a cell; the second cell of a wide character has no text. None where it is not known."""
_DEFAULT = Look("", "", "")


class Shown:
    """What the terminal shows."""

    def __init__(self) -> None:
        self._size = Size()
        self._rows: list[list[Cell]] = []

    def forget(self) -> None:
        """Take nothing as known, so that the next update of a cell is written in any case."""
        self._size = Size()

    def changes(self, update: CompositorUpdate, size: Size) -> CompositorUpdate:
        """The part of an update of a terminal of this size that changes what it shows."""
        return _Changes(self, update, size)

    def take(self, update: CompositorUpdate, size: Size, console: Console) -> str:
        """What to write for an update; it is taken as written."""
        if size != self._size:
            self._size, self._rows = size, [[None] * size.width for _ in range(size.height)]
        pen, rows = _Pen(), self._rows
        for y, row in _drawn(update, console, rows):
            if row != rows[y]:
                for start, end in _runs(row, rows[y]):
                    pen.write(start, y, row[start:end])
                rows[y] = row
        return pen.text()


class _Changes(CompositorUpdate):
    """An update that writes only what changed."""

    def __init__(self, shown: Shown, update: CompositorUpdate, size: Size) -> None:
        self._shown, self._update, self._size = shown, update, size

    def render_segments(self, console: Console) -> str:
        """The text and the sequences for the terminal."""
        return self._shown.take(self._update, self._size, console)


class _Pen:
    """Collects what is written, and names only those colours and attributes that change."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._look = _DEFAULT

    def write(self, x: int, y: int, cells: Sequence[Cell]) -> None:
        """Write cells from a place on."""
        self._parts.append(f"\x1b[{y + 1};{x + 1}H")
        last: Look | None = None
        for cell in cells:
            if cell is not None:
                text, look = cell
                if look is not last:
                    self._turn(look)
                    last = look
                self._parts.append(text)

    def text(self) -> str:
        """Everything that was written; the terminal's default look is restored at its end."""
        return "".join([*self._parts, "\x1b[0m"]) if self._parts else ""

    def _turn(self, look: Look) -> None:
        """Change to a look; on a blank the front and what is not visible on it stay as they are."""
        now = self._look
        attributes, front, ground, blank = look
        if blank and not _SHOWN_ON_BLANKS.intersection(now.attributes.split(";")):
            attributes, front = now.attributes, now.front
        codes = []
        if attributes != now.attributes:
            if now.attributes:  # an attribute is ended by ending them all
                codes, now = ["0"], _DEFAULT
            codes.append(attributes)
        codes += [front or "39"] if front != now.front else []
        codes += [ground or "49"] if ground != now.ground else []
        self._look = Look(attributes, front, ground)
        if codes:
            self._parts.append(f"\x1b[{';'.join(filter(None, codes))}m")


def _drawn(update: CompositorUpdate, console: Console, rows: list[list[Cell]]) -> Iterator[tuple[int, list[Cell]]]:
    """Each row that an update draws in, as it is to be; a row may come in several parts."""
    x = y = 0
    row: list[Cell] | None = None
    system = COLOR_SYSTEMS[console.color_system or "truecolor"]
    for text, style, control in update.__rich_console__(console, console.options):  # type: ignore[attr-defined]
        if control:
            kind, *place = control[0]
            if kind is ControlType.CURSOR_MOVE_TO:
                if row is not None and place[1] != y:
                    yield y, row
                    row = None
                x, y = place
        elif text != "\n" and y < len(rows):
            row = rows[y][:] if row is None else row
            cells = _cells(text, _codes(style, system))[: len(row) - x]
            row[x : x + len(cells)] = cells
            x += len(cells)
    if row is not None:
        yield y, row


@lru_cache(1024)
def _codes(style: Style | None, system: ColorSystem) -> str:
    """The parameters of the SGR sequence for a style."""
    return Piece.render_ansi(style, system) if style is not None else ""


@lru_cache(4096)
def _cells(text: str, codes: str) -> list[Cell]:
    """The cells of a text whose look has these SGR parameters."""
    look = _look(codes)
    blank = _blank(look)
    if text.isascii():
        return [(char, blank if char == " " else look) for char in text]
    sizes = [get_character_cell_size(char) for char in text]
    if sum(sizes) != cell_len(text):  # signs that are drawn as one
        return [(text, look), *[("", look)] * (cell_len(text) - 1)]
    cells: list[Cell] = []
    for char, size in zip(text, sizes, strict=True):
        if size == 0 and cells and cells[-1] is not None:  # it is drawn over the one before it
            at = -1 if cells[-1][0] else -2
            before = cells[at]
            cells[at] = (f"{before[0] if before else ''}{char}", look)
        elif size:
            cells += [(char, blank if char == " " else look), *[("", look)] * (size - 1)]
    return cells


@lru_cache(1024)
def _look(codes: str) -> Look:
    attributes, front, ground = [], "", ""
    parts = iter(codes.split(";"))
    for part in parts:
        if part in ("38", "48"):
            kind = next(parts)
            colour = ";".join((part, kind, *(next(parts) for _ in range(3 if kind == "2" else 1))))
            front, ground = (colour, ground) if part == "38" else (front, colour)
        elif part[:1] in ("3", "9") and len(part) == 2:
            front = part
        elif (part[:1] == "4" and len(part) == 2) or part[:2] == "10":
            ground = part
        elif part:
            attributes.append(part)
    return Look(";".join(attributes), "" if front == "39" else front, "" if ground == "49" else ground)


@lru_cache(1024)
def _blank(look: Look) -> Look:
    """The look of a space: without what cannot be seen on it."""
    seen = _SHOWN_ON_BLANKS.intersection(look.attributes.split(";"))
    return look if seen else Look("", "", look.ground, blank=True)


def _runs(row: Sequence[Cell], before: Sequence[Cell]) -> list[tuple[int, int]]:
    """Where a row has changed, as (start, end): whole words, and near changes together."""
    found: list[tuple[int, int]] = []
    for x, cell in enumerate(row):
        if cell is before[x] or cell == before[x] or cell is None or (found and x < found[-1][1]):
            continue
        start, end = x, x + 1
        while start > 0 and _in_word(row[start - 1]):
            start -= 1
        while end < len(row) and _in_word(row[end]):
            end += 1
        if found and start - found[-1][1] <= _GAP and None not in row[found[-1][1] : start]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _in_word(cell: Cell) -> bool:
    return cell is not None and cell[0] != " "


class ThriftyApp(App[int], inherit_bindings=False):
    """An app that writes only the cells that changed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shown = Shown()

    def repaint(self) -> None:
        """Write every cell again, whatever the terminal shows."""
        self._shown.forget()
        for screen in self.screen_stack:
            screen.refresh(layout=True)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            renderable = self._shown.changes(renderable, self.size)
        super()._display(screen, renderable)
