"""What a text behind ``:`` means. Pure: it names a place and an argument, and goes nowhere itself."""

from __future__ import annotations

import msgspec

_NAMES = {
    "registry": "registry",
    "list": "registry",
    "lineage": "lineage",
    "traffic": "traffic",
    "route": "traffic",
    "drift": "drift",
    "cost": "cost",
    "incident": "incident",
    "traces": "incident",
    "ledger": "ledger",
    "history": "ledger",
    "at": "at",
    "rw": "rw",
    "ro": "ro",
    "info": "info",
    "ctx": "info",
    "error": "error",
    "export": "export",
    "help": "help",
    "q": "leave",
    "quit": "leave",
}
VERBS = tuple(_NAMES)


class Jump(msgspec.Struct, frozen=True):
    """A place to go to."""

    place: str
    argument: str = ""


def parse(text: str) -> Jump | None:
    """The jump a text means: a name or the start of exactly one, then its argument; None where it means nothing."""
    verb, _, argument = text.strip().partition(" ")
    if not verb:
        return None
    found = _NAMES.get(verb.lower())
    if found is None:
        near = {place for name, place in _NAMES.items() if name.startswith(verb.lower())}
        found = near.pop() if len(near) == 1 else None
    return Jump(found, argument.strip()) if found else None
