"""The colour themes, and the style of each role in them.

Everything on screen is drawn in a role; no other module names a colour. It does not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from textual.color import Color
from textual.style import Style
from textual.theme import Theme

Role = Literal[
    "", "ground", "muted", "faint", "strong", "accent", "good", "warn", "bad", "cursor", "cursor_away", "bar", "key",
    "head", "heat0", "heat1", "heat2", "heat3", "heat4", "stale", "caret", "prod",
]  # fmt: skip


class Colour(NamedTuple):
    """One colour of a theme: for terminals with 16.7 million colours, and its number in xterm's table of 256."""

    hex: str
    number: int


def _table(**colours: tuple[str, int]) -> dict[str, Colour]:
    return {name: Colour(*value) for name, value in colours.items()}


_DUSK = _table(
    bg=("#15181d", 234), fg=("#d5d9e0", 253), muted=("#8b93a1", 246), faint=("#6a7280", 243), strong=("#f2f4f8", 255),
    accent=("#7fb4ff", 111), good=("#86c793", 114), warn=("#e3bd6d", 179), bad=("#ee8080", 210),
    cursor=("#263449", 238), away=("#20252d", 236), bar=("#1b1f26", 235), prod=("#4d2229", 52),
    heat0=("#7c2f38", 88), heat1=("#80502f", 94), heat2=("#6f6630", 58), heat3=("#3f6148", 23), heat4=("#2b4436", 22),
)  # fmt: skip
_PAPER = _table(
    bg=("#fbfaf7", 231), fg=("#2b2f36", 236), muted=("#636a76", 241), faint=("#858b96", 245), strong=("#0d0f12", 233),
    accent=("#1f5fbf", 25), good=("#2c7a3f", 28), warn=("#8a6100", 94), bad=("#b3261e", 124),
    cursor=("#d6e4fa", 189), away=("#ecebe6", 254), bar=("#f1efe9", 255), prod=("#f6d3cd", 224),
    heat0=("#f3b6b0", 217), heat1=("#f5cfae", 223), heat2=("#efe3ad", 229), heat3=("#cfe5c8", 194),
    heat4=("#e2efdd", 195),
)  # fmt: skip
# Blue, yellow and orange stay apart for the common kinds of colour blindness; red and green do not.
_COLOUR_BLIND = _table(
    bg=("#14171c", 234), fg=("#dadde3", 253), muted=("#9299a6", 247), faint=("#6d7583", 243), strong=("#ffffff", 231),
    accent=("#cbb8ff", 183), good=("#5cb8f0", 75), warn=("#fff3a6", 229), bad=("#f06a3c", 202),
    cursor=("#2d3340", 238), away=("#22262e", 236), bar=("#1b1f25", 235), prod=("#5a2b00", 58),
    heat0=("#8f3f00", 130), heat1=("#6e4a22", 94), heat2=("#4d4f55", 239), heat3=("#2d4f73", 24), heat4=("#17335c", 17),
)  # fmt: skip
_CONTRAST = _table(
    bg=("#000000", 16), fg=("#ffffff", 231), muted=("#d0d0d0", 252), faint=("#b2b2b2", 249), strong=("#ffffff", 231),
    accent=("#87d7ff", 117), good=("#5fff87", 84), warn=("#ffd75f", 221), bad=("#ffafaf", 217),
    cursor=("#00306b", 17), away=("#303030", 236), bar=("#1c1c1c", 234), prod=("#5f0000", 52),
    heat0=("#7a0000", 88), heat1=("#6b3f00", 94), heat2=("#454500", 58), heat3=("#004a1a", 22), heat4=("#003a3a", 23),
)  # fmt: skip
_COLOURS = {"dusk": _DUSK, "paper": _PAPER, "colour-blind": _COLOUR_BLIND, "high-contrast": _CONTRAST}
NAMES = tuple(_COLOURS)
LIGHT = "paper"
"""The theme with a light ground; all others are dark."""
COLOUR_BLIND = "colour-blind"
"""The theme that does not set green against red."""
_SIXTEEN = {
    "faint": "ansi_bright_black", "accent": "ansi_cyan", "good": "ansi_green", "warn": "ansi_yellow", "bad": "ansi_red",
}  # fmt: skip
"""Roles in a terminal with sixteen colours, which can be read on a dark and on a light ground."""


class Palette:
    """The style of each role in one theme; ``plain`` is for terminals with sixteen colours or fewer."""

    def __init__(self, name: str, *, plain: bool = False) -> None:
        self.name = name
        self.plain = plain
        self._styles = _plain(name) if plain else _full(_COLOURS[name])

    @property
    def indexes(self) -> Mapping[str, int]:
        """Each colour of the theme, as ``#rrggbb``, and its number in xterm's table of 256 colours."""
        return {colour.hex: colour.number for colour in _COLOURS[self.name].values()}

    def style(self, role: str) -> Style:
        """The style of a role; the empty style for a name that is no role."""
        return self._styles.get(role, _NOTHING)

    def of(self, role: str | Style) -> Style:
        """The style that a span of Content refers to, by role or directly."""
        return role if isinstance(role, Style) else self.style(role)


_NOTHING = Style.null()


def _full(colours: Mapping[str, Colour]) -> dict[str, Style]:
    of = {name: Color.parse(value.hex) for name, value in colours.items()}
    return {
        **{name: Style(foreground=of[name]) for name in ("muted", "faint", "accent", "good", "warn", "bad")},
        **{f"heat{n}": Style(foreground=of["strong"], background=of[f"heat{n}"]) for n in range(5)},
        "ground": Style(foreground=of["fg"], background=of["bg"]),
        "strong": Style(foreground=of["strong"], bold=True),
        "key": Style(foreground=of["accent"]),
        "head": Style(foreground=of["muted"]),
        "bar": Style(foreground=of["fg"], background=of["bar"]),
        "prod": Style(foreground=of["strong"], background=of["prod"]),
        "stale": Style(foreground=of["muted"], italic=True),
        "caret": Style(foreground=of["bg"], background=of["accent"]),
        "cursor": Style(background=of["cursor"]),
        "cursor_away": Style(background=of["away"]),
    }


def _plain(name: str) -> dict[str, Style]:
    """Colours of the terminal's own; where the full theme uses a background, use reverse, bold or underline instead.

    Rounded to sixteen colours, most of the theme's own become white, which cannot be told apart and cannot be read on
    a light ground. What is only muted has the terminal's colour of text.
    """
    styles = {role: Style(bold=style.bold, italic=style.italic) for role, style in _full(_COLOURS[name]).items()}
    sixteen = {**_SIXTEEN, **({"good": "ansi_cyan", "accent": "ansi_magenta"} if name == COLOUR_BLIND else {})}
    coloured = {role: Style(foreground=Color.parse(colour)) for role, colour in sixteen.items()}
    return {
        **styles,
        **coloured,
        "key": coloured["accent"],
        "ground": _NOTHING,
        "bar": _NOTHING,
        "strong": Style(bold=True),
        "cursor": Style(reverse=True),
        "cursor_away": Style(underline=True),
        "prod": Style(bold=True),
        "heat0": Style(reverse=True, bold=True),
        "heat1": Style(bold=True),
        "caret": Style(reverse=True),
    }


def theme(name: str) -> Theme:
    """The Textual theme for everything that Textual draws itself, such as scroll bars and toasts."""
    of = {part: colour.hex for part, colour in _COLOURS[name].items()}
    return Theme(
        name=name,
        primary=of["accent"],
        secondary=of["muted"],
        accent=of["accent"],
        warning=of["warn"],
        error=of["bad"],
        success=of["good"],
        foreground=of["fg"],
        background=of["bg"],
        surface=of["bar"],
        panel=of["away"],
        dark=name != LIGHT,
        variables={
            "scrollbar": of["away"],
            "scrollbar-hover": of["faint"],
            "scrollbar-active": of["accent"],
            "scrollbar-background": of["bg"],
            "scrollbar-background-hover": of["bg"],
            "scrollbar-background-active": of["bg"],
            "scrollbar-corner-color": of["bg"],
            "edge": of["away"],
        },
    )
