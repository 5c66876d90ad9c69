r"""How the headless commands look: aligned columns, a few colours, and JSON.

Everything a terminal gets passes through ``text.visible`` here; JSON keeps the data as it is and only
writes characters a terminal could obey as ``\u`` escapes, which read back as the same text. It does not know
what any value means, opens nothing, and imports nothing heavy.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO

import msgspec

from modelspine.errors import Unavailable
from modelspine.text import cell_width, visible

Colour = Literal["", "good", "bad", "warn", "dim", "bold"]
_CODES = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
WIDE = 100
"""Columns to wrap at where the output is not a terminal."""


class Cell(msgspec.Struct, frozen=True):
    """One cell of a table: text that is already safe to show, and its colour."""

    text: str
    colour: Colour = ""


class Out:
    """Where a command's answer goes. A reader that went away (``| head -1``) stops the output, not the command."""

    def __init__(self, stream: TextIO, *, json: bool = False, colour: bool = False, width: int = WIDE) -> None:
        self.json = json
        self.colour = colour
        self.width = width
        self._stream: TextIO | None = stream

    @classmethod
    def of(cls, args: argparse.Namespace) -> Out:
        """The output that a command's flags and this terminal ask for."""
        tty = sys.stdout.isatty()
        plain = getattr(args, "no_color", False) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        width = shutil.get_terminal_size((WIDE, 24)).columns
        return cls(sys.stdout, json=getattr(args, "json", False), colour=tty and not plain, width=max(width, 40))

    def line(self, text: str = "") -> None:
        """One line of text that is safe already."""
        self.write(text + "\n")

    def object(self, value: Any) -> None:
        """One JSON value: indented on a terminal, on one line elsewhere."""
        raw = msgspec.json.encode(value)
        if self._stream is not None and self._stream.isatty():
            raw = msgspec.json.format(raw, indent=2)
        self.line(harmless(raw.decode()))

    def paint(self, text: str, colour: Colour) -> str:
        """``text`` in a colour, where there are colours."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and colour else text

    def table(self, head: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, right: Sequence[str] = ()) -> None:
        """Aligned columns under dim headings; the columns named in ``right`` hold numbers."""
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        widths = [max(cell_width(name), *(cell_width(r[i].text) for r in cells), 0) for i, name in enumerate(head)]
        for row in ([Cell(name, "dim") for name in head], *cells):
            parts = [
                self._pad(cell, width, right=name in right) for cell, width, name in zip(row, widths, head, strict=True)
            ]
            self.line("  ".join(parts).rstrip())

    def pairs(self, pairs: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
        """Name and value, one pair a line, values wrapped under themselves."""
        listed = list(pairs)
        wide = max((len(name) for name, _ in listed), default=0)
        for name, value in listed:
            lead = " " * indent + name.ljust(wide) + "  "
            for number, piece in enumerate(self.wrapped(value, len(lead))):
                start = self.paint(lead, "dim") if number == 0 else " " * len(lead)
                self.line(start + piece)

    def wrapped(self, text: str, used: int) -> list[str]:
        """``text`` broken into lines that fit beside ``used`` columns; never an empty list."""
        room = max(self.width - used, 20)
        return textwrap.wrap(text, room, break_on_hyphens=False, replace_whitespace=False) or [""]

    def write(self, text: str) -> None:
        """Write to the stream.

        Raises:
            Unavailable: it cannot be written for another reason than that nobody reads it.
        """
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:
            self._stream = None
            lost(error)

    def _pad(self, cell: Cell, width: int, *, right: bool) -> str:
        space = " " * (width - cell_width(cell.text))
        painted = self.paint(cell.text, cell.colour)
        return space + painted if right else painted + space


def lost(error: Exception) -> None:
    """Point stdout to nowhere once its reader went away.

    Raises:
        Unavailable: the reason was another one, such as a full disk.
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
        raise Unavailable(f"the output could not be written: {why}", "what the command did stays done") from error


def harmless(text: str) -> str:
    """JSON text with every character a terminal could obey, or a reader not see, as its escape."""
    return text if text.isascii() and "\x7f" not in text else _UNSAFE.sub(_escape, text)


def percent(k: int, n: int) -> str:
    """``k/n`` and its share with one decimal; a dash where nothing was counted."""
    return f"{k:,}/{n:,} {100 * k / n:.1f} %" if n else f"{k}/{n} –"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
