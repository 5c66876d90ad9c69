"""The table of actions with the keys that an operator has set, by action id.

It accepts no key that would perform two actions, nor one that makes a change too easy to press.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import msgspec
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

from modelspine.errors import BadInput
from modelspine.text import visible
from modelspine_console.action import KEY_NAMES, Action, show_key
from modelspine_console.data.completion import did_you_mean

_BY_SHOWN_NAME = {shown: name for name, shown in KEY_NAMES.items()}
_NAMED = {*(key.value.rpartition("+")[2] for key in Keys), *KEY_NAME_REPLACEMENTS.values()}
_REFUSED = {
    "ctrl+i": "terminals send it as Tab", "ctrl+m": "terminals send it as Enter",
    "ctrl+h": "terminals send it as Backspace", "ctrl+left_square_bracket": "terminals send it as Esc",
}  # fmt: skip
"""Keys that cannot be told from others, each with the reason."""

_KEPT = {"go_back": "escape", "drill": "enter", "filter": "slash", "jump": "colon"}
"""Keys that may get company but stay, because prompts, dialogs and hints on every screen name them."""


def rebound(actions: Sequence[Action], keys: Mapping[str, str | Sequence[str]], origin: str) -> tuple[Action, ...]:
    """The actions with the keys that were set; ``origin`` names the file they were set in.

    Raises:
        BadInput: an action or a key is unknown, a key has two actions, or a change would be too easy to make.
    """
    known = {action.id for action in actions}
    for name in keys:
        if name not in known:
            hint = did_you_mean(name, known) or "the ids of all actions are in the table of keys in the README"
            raise BadInput(f"{origin}: there is no action {visible(name, 40)}", hint)
    changed = tuple(_rebound(action, keys[action.id], origin) if action.id in keys else action for action in actions)
    taken: dict[str, str] = {}
    for action in changed:
        for key in action.keys:
            other = taken.setdefault(key, action.id)
            if other != action.id:
                free = other if action.id in keys else action.id
                hint = f"set another key for {free} as well"
                raise BadInput(f"{origin}: {show_key(key)} is the key of both {other} and {action.id}", hint)
    return changed


def _rebound(action: Action, value: str | Sequence[str], origin: str) -> Action:
    names = tuple(_key_name(key, origin) for key in ([value] if isinstance(value, str) else value))
    if not names:
        raise BadInput(f"{origin}: {action.id} has no key", "set at least one, or remove the line")
    if action.mutates and not all(re.fullmatch("[A-Z]", name) for name in names):
        hint = "so that no key that is pressed by accident changes anything"
        raise BadInput(f"{origin}: {action.id} changes a store, and its key must be one capital letter", hint)
    if action.id in ("leave", "suspend") and not all(name.startswith("ctrl+") for name in names):
        hint = f"such as {action.shown}"
        raise BadInput(f"{origin}: {action.id} also works while you type, and its key must have ctrl", hint)
    kept = _KEPT.get(action.id)
    if kept is not None and kept not in names:
        key = show_key(kept)
        hint = f'add it: {action.id} = ["{key}", "{show_key(names[0])}"]'
        raise BadInput(f"{origin}: {action.id} keeps its key {key}, which texts on every screen name", hint)
    return msgspec.structs.replace(action, keys=names)


def _key_name(key: str, origin: str) -> str:
    """Textual's name of a key that is written as ``x``, ``X``, ``?``, ``ctrl+x``, ``f5`` or ``esc``."""
    modifier, plus, last = key.rpartition("+") if len(key) > 1 else ("", "", key)
    if len(last) == 1 and not last.isalnum() and last not in _BY_SHOWN_NAME:
        name = unicodedata.name(last, "").lower().replace("-", "_").replace(" ", "_")
        last = KEY_NAME_REPLACEMENTS.get(name, name)
    last = _BY_SHOWN_NAME.get(last, last)
    name = f"{modifier}{plus}{last}"
    alone = last in _NAMED or bool(last and key_to_character(last))
    if not alone or modifier not in ("", "ctrl", "shift", "alt", "ctrl+shift"):
        hint = "a key is written as x, X, ?, ctrl+x, alt+x, shift+f5, space, enter or pgdn"
        raise BadInput(f"{origin}: {visible(key, 20)!r} is no key", hint)
    if name in _REFUSED or re.fullmatch("alt\\+[0-9]", name):
        why = _REFUSED.get(name, "many terminals switch their tabs with it")
        raise BadInput(f"{origin}: {visible(key, 20)} cannot be a key", why)
    return name
