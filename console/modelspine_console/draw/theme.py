"""The two colour themes, and the style of each role in them.

Everything on screen is drawn in a role; no other module names a colour. It does not know what is drawn.
"""

from __future__ import annotations

from typing import Literal

from textual.color import Color
from textual.style import Style
from textual.theme import Theme

Role = Literal[
    "", "ground", "muted", "faint", "strong", "accent", "good", "warn", "bad", "cursor", "cursor_away", "bar", "key",
    "head", "heat0", "heat1", "heat2", "heat3", "heat4", "stale", "caret", "prod",
]  # fmt: skip

_DUSK: dict[str, str] = {
    "bg": "#15181d", "fg": "#d5d9e0", "muted": "#8b93a1", "faint": "#5b6370", "strong": "#f2f4f8",
    "accent": "#7fb4ff", "good": "#86c793", "warn": "#e3bd6d", "bad": "#ee8080",
    "cursor": "#263449", "away": "#20252d", "bar": "#1b1f26",
    "prod": "#4d2229",
    "heat0": "#7c2f38", "heat1": "#80502f", "heat2": "#6f6630", "heat3": "#3f6148", "heat4": "#2b4436",
}  # fmt: skip
_PAPER: dict[str, str] = {
    "bg": "#fbfaf7", "fg": "#2b2f36", "muted": "#69707c", "faint": "#a3a9b3", "strong": "#0d0f12",
    "accent": "#1f5fbf", "good": "#2c7a3f", "warn": "#8a6100", "bad": "#b3261e",
    "cursor": "#d6e4fa", "away": "#ecebe6", "bar": "#f1efe9",
    "prod": "#f6d3cd",
    "heat0": "#f3b6b0", "heat1": "#f5cfae", "heat2": "#efe3ad", "heat3": "#cfe5c8", "heat4": "#e2efdd",
}  # fmt: skip
_COLOURS = {"dusk": _DUSK, "paper": _PAPER}
NAMES = tuple(_COLOURS)


class Palette:
    """The style of each role in one theme; ``plain`` is for terminals with sixteen colours or fewer."""

    def __init__(self, name: str, *, plain: bool = False) -> None:
        self.name = name
        self.plain = plain
        self._styles = _plain(_COLOURS[name]) if plain else _full(_COLOURS[name])

    def style(self, role: str) -> Style:
        """The style of a role; the empty style for a name that is no role."""
        return self._styles.get(role, _NOTHING)

    def of(self, role: str | Style) -> Style:
        """The style that a span of Content refers to, by role or directly."""
        return role if isinstance(role, Style) else self.style(role)


_NOTHING = Style.null()


def _full(colours: dict[str, str]) -> dict[str, Style]:
    of = {name: Color.parse(value) for name, value in colours.items()}
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


def _plain(colours: dict[str, str]) -> dict[str, Style]:
    """Keep the foreground colours; where the full theme uses a background, use reverse, bold or underline instead."""
    styles = {
        name: Style(foreground=style.foreground, bold=style.bold, italic=style.italic)
        for name, style in _full(colours).items()
    }
    return {
        **styles,
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
    of = _COLOURS[name]
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
        dark=name == "dusk",
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
