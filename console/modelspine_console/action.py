"""One action of the operator as a value: its keys, its texts, where it applies and what runs it; and the screens.

The table of all actions is in ``keymap``. This module does not know how anything is done.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec

SCREENS: tuple[tuple[str, str, str], ...] = (
    ("0", "home", "Home"),
    ("1", "registry", "Registry"),
    ("2", "lineage", "Lineage"),
    ("3", "traffic", "Traffic"),
    ("4", "drift", "Drift"),
    ("5", "cost", "Cost"),
    ("6", "incident", "Incidents"),
    ("7", "ledger", "Ledger"),
)
"""Key, name and title of every screen."""
ANSWERS: tuple[tuple[str, str], ...] = (
    ("m", "model"),
    ("n", "inputs"),
    ("c", "corpus"),
    ("x", "rows"),
    ("b", "score"),
    ("a", "arm"),
    ("t", "gate"),
    ("f", "fix"),
)
"""Key and short name of the eight answers of an incident walk. The key is a letter of the name, apart from ``x`` for
the examples in the corpus and ``b`` for the score before deployment."""
CHANGE = "change (write mode)"
"""The group of the actions that change a store."""
GROUPS = ("go to", "move", "view", "copy & export", CHANGE, "console")
KEY_NAMES = {
    "question_mark": "?", "colon": ":", "slash": "/", "minus": "-", "equals_sign": "=", "exclamation_mark": "!",
    "less_than_sign": "<", "greater_than_sign": ">", "vertical_line": "|",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_parenthesis": "(", "right_parenthesis": ")",
    "escape": "esc", "pagedown": "pgdn", "pageup": "pgup",
    "down": "↓", "up": "↑", "left": "←", "right": "→",
    "plus": "+", "at": "@", "underscore": "_", "backslash": "\\",
}  # fmt: skip
"""Textual's name of a key → how it is written in help texts, if that differs."""
_SIGNS = {unicodedata.name(sign).lower().replace("-", "_").replace(" ", "_"): sign for sign in string.punctuation}
"""The same for the other signs, which Textual calls by their Unicode names."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action of the operator."""

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    group: str
    where: frozenset[str] = frozenset()
    """Names of the screens it applies to; empty means all of them."""
    run: Callable[[Any], object]
    """Performs it, given the controllers. It takes no other argument, so that no text on a screen can pass it one."""

    @property
    def mutates(self) -> bool:
        """True if it changes a store; such an action exists only in write mode, and its key is a capital letter."""
        return self.group == CHANGE

    @property
    def shown(self) -> str:
        """Its keys as they are written in help texts."""
        return " ".join(show_key(key) for key in self.keys)


def show_key(key: str) -> str:
    """A key as it is written in help texts."""
    modifier, plus, last = key.rpartition("+")
    return f"{modifier}{plus}{KEY_NAMES.get(last) or _SIGNS.get(last, last)}"
