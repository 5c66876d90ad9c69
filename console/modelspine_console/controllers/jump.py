"""What a command typed behind ``:`` means. Pure: it names a place and an argument, and goes nowhere itself."""

from __future__ import annotations

import msgspec

_ALIASES = {
    "list": "registry",
    "route": "traffic",
    "traces": "incident",
    "history": "ledger",
    "ctx": "info",
    "q": "leave",
    "quit": "leave",
}
_PLACES = {
    "home", "registry", "lineage", "traffic", "drift", "cost", "incident", "ledger", "at", "rw", "ro", "info", "error",
    "export", "help",
}  # fmt: skip
_NAMES = {name: name for name in _PLACES} | _ALIASES
COMMANDS = tuple(sorted(_NAMES))


class Jump(msgspec.Struct, frozen=True):
    """A place to go to, with an argument."""

    place: str
    argument: str = ""


def parse(text: str) -> Jump | None:
    """The place a command names, in full or by an unambiguous prefix, and its argument; None for any other text."""
    verb, _, argument = text.strip().partition(" ")
    if not verb:
        return None
    matches = {place for name, place in _NAMES.items() if name.startswith(verb.lower())}
    place = _NAMES.get(verb.lower()) or (matches.pop() if len(matches) == 1 else None)
    return Jump(place, argument.strip()) if place else None
