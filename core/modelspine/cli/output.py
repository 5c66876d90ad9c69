"""How the headless commands answer: for a person on a terminal, for a pipe, or as JSON.

- On a terminal ``rich`` draws tables, trees and wrapped text at the terminal's width.
- Elsewhere (a pipe, a file, a CI log) each row, pair and paragraph is one line, however long, without colour.
  Columns are padded and two spaces apart, so that the output reads well and ``grep`` finds whole rows.
- With ``--json`` stdout gets one JSON value.

Every text passes through ``text.visible`` here, and none of it is read as markup. The module does not know what
a value means and opens nothing. ``rich`` is imported on the first use for a terminal: a pipe never waits for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

import msgspec

from modelspine.cli.safe_json import escape_unsafe
from modelspine.errors import Unavailable
from modelspine.signs import TERMINAL_STYLES, WORDS, Role, sign_of
from modelspine.text import cell_width, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

_LONGEST_TEXT = 10_000
"""Characters of one cell or line. Nothing real is longer, and one hostile value must not fill a screen."""
_MIN_WIDTH = 40
_LONGEST_WORD = 32
"""A column of single words (ids, times, short hashes) up to this width is never folded: they are copied whole."""
_LONGEST_LABEL = 20
"""The same for a column in which a cell holds several words."""
_NARROWEST_FOLD = 14
"""Columns below which folded text cannot be read."""
_GAP = "  "


class Cell(msgspec.Struct, frozen=True):
    """A piece of text and what its colour says."""

    text: str
    role: Role = ""


Piece = Cell | str


class Branch(msgspec.Struct, frozen=True):
    """A node of a tree: its label, and the nodes below it."""

    label: Sequence[Piece]
    children: Sequence[Branch] = ()


class Column:
    """The cells of one column, each of them safe to show, and the width they take and need."""

    def __init__(self, cells: Sequence[Cell], *, name: str = "", numeric: bool = False) -> None:
        self.name = name
        self.cells = cells
        self.numeric = numeric
        self.width = max(cell_width(cell.text) for cell in cells)
        longest = _LONGEST_LABEL if any(" " in cell.text for cell in cells) else _LONGEST_WORD
        self.folds = not numeric and self.width > longest
        self.least = _NARROWEST_FOLD if self.folds else self.width


class Out:
    """Where a command's answer goes. A reader that went away (``| head -1``) stops the output, not the command."""

    def __init__(
        self, stream: TextIO, *, json: bool = False, terminal: bool = False, colour: bool = False, width: int = 80
    ) -> None:
        self.json = json
        self._terminal = terminal
        self._colour = colour
        self._width = width
        self._stream: TextIO | None = stream
        self._drawing: Console | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Out:
        """The output that a command's flags and this terminal ask for."""
        terminal = sys.stdout.isatty()
        plain = getattr(args, "no_color", False) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        width = max(shutil.get_terminal_size().columns, _MIN_WIDTH)
        as_json = getattr(args, "json", False)
        return cls(sys.stdout, json=as_json, terminal=terminal, colour=terminal and not plain, width=width)

    def object(self, value: Any) -> None:
        """Write one JSON value: indented on a terminal, on one line elsewhere."""
        raw = msgspec.json.encode(value)
        if self._terminal:
            raw = msgspec.json.format(raw, indent=2)
        self.write(escape_unsafe(raw.decode()) + "\n")

    def line(self, *pieces: Piece) -> None:
        """Write one line. It is not wrapped, so that a command or a hash can be copied from it whole."""
        if self._colour:
            self._draw(_text(map(_cell, pieces)), soft_wrap=True)
        else:
            self.write(_joined(pieces) + "\n")

    def paragraph(self, *pieces: Piece, indent: int = 0) -> None:
        """Write a sentence, wrapped at words on a terminal."""
        if self._terminal:
            from rich.padding import Padding

            self._draw(Padding(_text(map(_cell, pieces)), (0, 0, 0, indent), expand=False))
        else:
            self.write(" " * indent + _joined(pieces) + "\n")

    def table(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[Piece]],
        *,
        right: Sequence[str] = (),
        optional: Sequence[str] = (),
    ) -> None:
        """Write columns under dim headings; those named in ``right`` hold numbers.

        Where a terminal is too narrow, the ``optional`` columns are left out one by one, the first named first; if
        that is not enough, each row becomes a block of name and value. A pipe always gets every column.
        """
        cells = [[_cell(piece) for piece in row] for row in rows]
        columns = [
            Column([_cell(Cell(name, "muted")), *(row[number] for row in cells)], name=name, numeric=name in right)
            for number, name in enumerate(head)
        ]
        if not self._terminal:
            self._write_aligned(columns)
            return
        for left_out in optional:
            if _fits(columns, self._width):
                break
            columns = [column for column in columns if column.name != left_out]
        if _fits(columns, self._width):
            self._draw_columns(columns)
        else:
            self._draw_blocks(head, cells)

    def grid(self, rows: Iterable[Sequence[Piece]]) -> None:
        """Write columns without headings; on a terminal the wide ones are wrapped under themselves."""
        cells = [[_cell(piece) for piece in row] for row in rows]
        columns = [Column(column) for column in zip(*cells, strict=True)]
        if self._terminal and columns:
            self._draw_columns(columns)
        else:
            self._write_aligned(columns)

    def pairs(self, pairs: Iterable[tuple[str, Piece]], *, indent: int = 0) -> None:
        """Write name and value, a pair a line; on a terminal a value wraps under itself."""
        self.grid((Cell(" " * indent + name, "muted"), value) for name, value in pairs)

    def tree(self, root: Branch) -> None:
        """Write a tree: with guides on a terminal, indented by two spaces a level elsewhere."""
        if not self._terminal:
            self._indent_tree(root, 0)
            return
        from rich.tree import Tree

        drawn = Tree(_text(map(_cell, root.label)), guide_style="muted")
        _grow(drawn, root.children)
        self._draw(drawn)

    def write(self, text: str) -> None:
        """Write text that is safe already to the stream.

        Raises:
            Unavailable: it cannot be written for another reason than that nobody reads it.
        """
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:
            self._stream = None
            detach_stdout(error)

    def _draw(self, renderable: RenderableType, *, soft_wrap: bool = False) -> None:
        from rich.console import Console
        from rich.theme import Theme

        if self._drawing is None:
            self._drawing = Console(
                color_system="standard" if self._colour else None,
                no_color=not self._colour,
                theme=Theme({role: style for role, style in TERMINAL_STYLES.items() if role}),
                width=self._width,
                markup=False,
                emoji=False,
                highlight=False,
            )
        # Captured and not printed: rich ends the process when the reader went away, a command must still finish.
        with self._drawing.capture() as captured:
            self._drawing.print(renderable, soft_wrap=soft_wrap)
        # rich pads each line to the table's width; trailing blanks would wrap when the window gets narrower.
        self.write("".join(f"{line.rstrip(' ')}\n" for line in captured.get().splitlines()))

    def _draw_columns(self, columns: Sequence[Column]) -> None:
        from rich.table import Table

        table = Table.grid(padding=(0, len(_GAP), 0, 0))
        for column in columns:
            justify: Literal["left", "right"] = "right" if column.numeric else "left"
            table.add_column(justify=justify, no_wrap=not column.folds, overflow="fold")
        for row in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*(_text([cell]) for cell in row))
        self._draw(table)

    def _draw_blocks(self, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            self.pairs((name, cell) for name, cell in zip(head, row, strict=True) if cell.text.strip())

    def _write_aligned(self, columns: Sequence[Column]) -> None:
        for row in zip(*(column.cells for column in columns), strict=True):
            padded = []
            for column, cell in zip(columns, row, strict=True):
                blank = " " * (column.width - cell_width(cell.text))
                padded.append(blank + cell.text if column.numeric else cell.text + blank)
            self.write(_GAP.join(padded).rstrip() + "\n")

    def _indent_tree(self, branch: Branch, depth: int) -> None:
        self.write(_GAP * depth + _joined(branch.label) + "\n")
        for child in branch.children:
            self._indent_tree(child, depth + 1)


def status_cell(status: str, word: str = "") -> Cell:
    """A status as its sign and its word (or another ``word``), in its colour."""
    sign = sign_of(status)
    return Cell(f"{sign.glyph} {word or WORDS.get(status, status)}", sign.role)


def share(k: int, n: int) -> str:
    """``k/n`` and its share with one decimal; a dash where nothing was counted."""
    return f"{k:,}/{n:,} {100 * k / n:.1f} %" if n else f"{k}/{n} –"


def detach_stdout(error: Exception) -> None:
    """Point stdout to nowhere after a write to it failed with ``error``.

    Raises:
        Unavailable: the reason was another one than a reader that went away, such as a full disk.
    """
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  (stays open until the process ends)
    finally:
        os.close(sink)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        why = visible(error.strerror or str(error), 80)
        raise Unavailable(
            f"the output could not be written: {why}", "the command itself finished and its changes are kept"
        ) from error


def _cell(piece: Piece) -> Cell:
    """A piece whose text is safe to show."""
    text, role = (piece.text, piece.role) if isinstance(piece, Cell) else (piece, "")
    return Cell(visible(text, _LONGEST_TEXT), role)


def _joined(pieces: Iterable[Piece]) -> str:
    return "".join(_cell(piece).text for piece in pieces)


def _text(cells: Iterable[Cell]) -> Text:
    """Cells that are safe to show as rich's text, which is never parsed for markup."""
    from rich.text import Text

    return Text.assemble(*((cell.text, cell.role) for cell in cells))


def _fits(columns: Iterable[Column], width: int) -> bool:
    return sum(column.least + len(_GAP) for column in columns) - len(_GAP) <= width


def _grow(tree: Tree, children: Iterable[Branch]) -> None:
    for child in children:
        _grow(tree.add(_text(map(_cell, child.label))), child.children)
