"""What less able terminals need: xterm's 256 colours by number, and ASCII in place of every other character.

Both are filters that Textual applies to what it has drawn, its borders and scroll bars included. They do not know what
is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from rich.cells import cell_len
from rich.color import Color, ColorType
from rich.style import Style
from textual import color as textual_color
from textual.filter import LineFilter

_ASCII = {
    "●": "*", "◐": "o", "○": ".", "◌": ":", "‖": "=", "…": "~", "✖": "x", "·": ".", "✔": "+", "‼": "E",
    "▸": ">", "▾": "v", "▌": "|", "◆": "#", "›": ">", "‹": "<", "▶": ">", "◀": "<", "▲": "^", "▼": "v",
    "→": ">", "←": "<", "↑": "^", "↓": "v", "–": "-", "—": "-", "−": "-", "×": "x", "Δ": "d", "≠": "!", "≥": ">",
    "≤": "<", "±": "~", "“": '"', "”": '"', "‘": "'", "’": "'", "«": "<", "»": ">",
    "─": "-", "━": "=", "┄": "-", "╸": "-", "│": "|", "┃": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+",
    "┤": "+", "┬": "+", "┴": "+", "┼": "+", "╭": "+", "╮": "+", "╰": "+", "╯": "+",
    "▁": "_", "▂": ".", "▃": ",", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#", "▏": "|", "▎": "|", "▍": "|",
    "▋": "|", "▊": "#", "▉": "#", "▐": "|", "░": ".", "▒": ":", "▓": "#", "■": "#", "□": "o",
    "␛": "^", "␡": "^", "␊": "^", "\xa0": " ", "•": "*", "µ": "u", "μ": "u", "¦": "|", "ˋ": "`", "´": "'",
    "Σ": "S", "χ": "x", "²": "2", "÷": "/",
}  # fmt: skip
"""Each sign of the console, and the ASCII character of its width that stands for it."""
_BRAILLE = range(0x2801, 0x2900)
_DOTS = ".:*#"
"""What a braille character of a plot becomes, by the number of its dots."""
_CUBE = (0, 95, 135, 175, 215, 255)
"""The six steps of each primary colour among xterm's colours 16 to 231; 232 to 255 are greys."""

Segments = list[Any]
"""Pieces of one line, as Textual passes them to a filter."""


@lru_cache(4096)
def ascii_text(text: str) -> str:
    """A text in printable ASCII that takes as many cells; a character without a sign of its own becomes ``?``."""
    return text if text.isascii() else "".join(char if char.isascii() else _ascii_of(char) for char in text)


def _ascii_of(char: str) -> str:
    if ord(char) in _BRAILLE:
        return _DOTS[((ord(char) & 0xFF).bit_count() - 1) // 2]
    return _ASCII.get(char) or "?" * cell_len(char)


def nearest(red: int, green: int, blue: int) -> int:
    """The number of the colour among xterm's 16 to 255 that is nearest to a mixture."""
    cube = [min(range(6), key=lambda step: abs(_CUBE[step] - part)) for part in (red, green, blue)]
    grey = max(0, min(23, round(((red + green + blue) / 3 - 8) / 10)))
    mixtures = {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]: tuple(_CUBE[step] for step in cube),
        232 + grey: (8 + 10 * grey,) * 3,
    }
    wanted = (red, green, blue)
    return min(mixtures, key=lambda n: sum((a - b) ** 2 for a, b in zip(mixtures[n], wanted, strict=True)))


class Ascii(LineFilter):
    """Replaces every character that is not ASCII, for terminals and fonts that cannot draw it."""

    def apply(self, segments: Segments, background: textual_color.Color) -> Segments:
        """The line in ASCII, as wide as it was."""
        del background
        return [piece._replace(text=ascii_text(piece.text)) for piece in segments]


class Indexed(LineFilter):
    """Names each colour by its number among xterm's 256.

    The theme says which number stands for each of its colours. Rounding to the nearest one, as Rich does, turns the
    dark grounds of cursor, bar and page into the same grey. Only mixtures of two colours are rounded.
    """

    def __init__(self, indexes: Callable[[], Mapping[str, int]]) -> None:
        """``indexes`` returns the numbers of the theme's colours, each by ``#rrggbb``."""
        super().__init__()
        self._indexes = indexes

    def apply(self, segments: Segments, background: textual_color.Color) -> Segments:
        """The line with numbered colours."""
        del background
        known = tuple(self._indexes().items())
        return [piece._replace(style=_indexed(piece.style, known) if piece.style else None) for piece in segments]


@lru_cache(2048)
def _indexed(style: Style, known: tuple[tuple[str, int], ...]) -> Style:
    numbers = dict(known)
    return style + Style(color=_numbered(style.color, numbers), bgcolor=_numbered(style.bgcolor, numbers))


def _numbered(colour: Color | None, numbers: Mapping[str, int]) -> Color | None:
    if colour is None or colour.type is not ColorType.TRUECOLOR or colour.triplet is None:
        return colour
    index = numbers.get(colour.triplet.hex)
    return Color.from_ansi(nearest(*colour.triplet) if index is None else index)
