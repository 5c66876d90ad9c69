"""One thing an operator can do, as a value: its keys, its words, where it holds, and what does it; and the screens.

Which there are is ``keymap``'s. It does not know how anything is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

SCREENS: tuple[tuple[str, str, str], ...] = (
    ("1", "registry", "Registry"),
    ("2", "lineage", "Lineage"),
    ("3", "traffic", "Traffic"),
    ("4", "drift", "Drift"),
    ("5", "cost", "Cost"),
    ("6", "incident", "Incident"),
    ("7", "ledger", "Ledger"),
)
"""Key, name and title of each screen there is."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an operator can do."""

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    group: str
    where: frozenset[str] = frozenset()
    """Names of the screens it holds on; none named means all."""
    mutates: bool = False
    """True where it changes something; such an action exists in write mode alone, and its key is a capital."""
    run: Callable[[Any], object]
    """Does it, given the console's controllers; it takes nothing else, so nothing on a screen can give it anything."""

    @property
    def shown(self) -> str:
        """Its keys as people write them."""
        return " ".join(show_key(key) for key in self.keys)


CHANGE = "change (write mode)"
"""The group of what changes something."""
GROUPS = ("go to", "move", "look", "take", CHANGE, "console")
_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "minus": "-",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "exclamation_mark": "!",
    "space": "space",
    "enter": "enter",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def show_key(key: str) -> str:
    """A key as people write it."""
    return _NAMES.get(key, key)
