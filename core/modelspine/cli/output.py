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
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from modelspine.errors import Unavailable
from modelspine.signs import TERMINAL_STYLES, Role, sign_of
from modelspine.text import cell_width, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_LONGEST_TEXT = 4_000
"""Characters of one cell or line. Nothing real is longer, and one hostile value must not fill a screen."""
_MIN_WIDTH = 40
_FOLDS_ABOVE = 20
"""A column with a cell wider than this may be folded; narrower ones hold words and ids that must stay whole."""
_NARROWEST_FOLD = 16
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
            self._draw(_text(pieces), soft_wrap=True)
        else:
            self.write(_joined(pieces) + "\n")

    def paragraph(self, *pieces: Piece, indent: int = 0) -> None:
        """Write a sentence, wrapped at words on a terminal."""
        if self._terminal:
            from rich.padding import Padding

            self._draw(Padding(_text(pieces), (0, 0, 0, indent), expand=False))
        else:
            self.write(" " * indent + _joined(pieces) + "\n")

    def table(self, head: Sequence[str] | None, rows: Iterable[Sequence[Piece]], *, right: Sequence[str] = ()) -> None:
        """Write columns under dim headings (none with ``head=None``); those named in ``right`` hold numbers.

        On a terminal too narrow for the columns, each row becomes a block of name and value.
        """
        cells = [[_cell(piece) for piece in row] for row in rows]
        if head is not None:
            cells.insert(0, [Cell(visible(name), "muted") for name in head])
        if not cells:
            return
        numeric = [head is not None and head[column] in right for column in range(len(cells[0]))]
        widths = [max(cell_width(row[column].text) for row in cells) for column in range(len(cells[0]))]
        if not self._terminal:
            for row in cells:
                self.write(_aligned(row, widths, numeric) + "\n")
        elif head is None or sum(_needed(widths)) <= self._width:
            self._draw_table(cells, widths, numeric)
        else:
            self._draw_blocks(head, cells[1:])

    def pairs(self, pairs: Iterable[tuple[str, Piece]], *, indent: int = 0) -> None:
        """Write name and value, a pair a line; on a terminal a value wraps under itself."""
        self.table(None, [(Cell(" " * indent + name, "muted"), value) for name, value in pairs])

    def tree(self, root: Branch) -> None:
        """Write a tree: with guides on a terminal, indented by two spaces a level elsewhere."""
        if not self._terminal:
            self._indent_tree(root, 0)
            return
        from rich.tree import Tree

        drawn = Tree(_text(root.label), guide_style="muted")
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
                theme=Theme({role: style for role, style in TERMINAL_STYLES.items() if role}, inherit=False),
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

    def _draw_table(self, cells: Sequence[Sequence[Cell]], widths: Sequence[int], numeric: Sequence[bool]) -> None:
        from rich.table import Table

        table = Table.grid(padding=(0, len(_GAP), 0, 0))
        for width, right in zip(widths, numeric, strict=True):
            table.add_column(
                justify="right" if right else "left", no_wrap=right or width <= _FOLDS_ABOVE, overflow="fold"
            )
        for row in cells:
            table.add_row(*(_text([cell]) for cell in row))
        self._draw(table)

    def _draw_blocks(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            self.table(
                None, [(Cell(name, "muted"), cell) for name, cell in zip(head, row, strict=True) if cell.text.strip()]
            )

    def _indent_tree(self, branch: Branch, depth: int) -> None:
        self.write(_GAP * depth + _joined(branch.label) + "\n")
        for child in branch.children:
            self._indent_tree(child, depth + 1)


def status_cell(status: str, word: str = "") -> Cell:
    """A status as its sign and its word (or another ``word``), in its colour."""
    sign = sign_of(status)
    return Cell(f"{sign.glyph} {word or status}", sign.role)


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


def escape_unsafe(json_text: str) -> str:
    r"""JSON text in which every character that a terminal could obey or a reader not see is a ``\u`` escape."""
    return json_text if json_text.isascii() and "\x7f" not in json_text else _UNSAFE.sub(_escape, json_text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # JSON writes a character above U+FFFF as two UTF-16 surrogates
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _cell(piece: Piece) -> Cell:
    """A piece whose text is safe to show."""
    text, role = (piece.text, piece.role) if isinstance(piece, Cell) else (piece, "")
    return Cell(visible(text, _LONGEST_TEXT), role)


def _joined(pieces: Iterable[Piece]) -> str:
    return "".join(_cell(piece).text for piece in pieces)


def _text(pieces: Iterable[Piece]) -> Text:
    """The pieces as rich's text, which is never parsed for markup."""
    from rich.text import Text

    cells = [_cell(piece) for piece in pieces]
    return Text.assemble(*((cell.text, cell.role) for cell in cells))


def _aligned(row: Sequence[Cell], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    parts = []
    for cell, width, right in zip(row, widths, numeric, strict=True):
        blank = " " * (width - cell_width(cell.text))
        parts.append(blank + cell.text if right else cell.text + blank)
    return _GAP.join(parts).rstrip()


def _needed(widths: Sequence[int]) -> list[int]:
    """The least columns each column can be shown in, gap included."""
    return [(width if width <= _FOLDS_ABOVE else _NARROWEST_FOLD) + len(_GAP) for width in widths]


def _grow(tree: Tree, children: Iterable[Branch]) -> None:
    for child in children:
        _grow(tree.add(_text(child.label)), child.children)
