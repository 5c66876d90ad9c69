"""What a command typed behind ``:`` means. Pure: it names a place and an argument, and goes nowhere itself."""

from __future__ import annotations

import msgspec

from modelspine_console.data.completion import did_you_mean
from modelspine_console.draw.theme import NAMES

_ALIASES = {
    "list": "registry",
    "route": "traffic",
    "traces": "incident",
    "history": "ledger",
    "projects": "ctx",
    "q": "leave",
    "quit": "leave",
}
_PLACES = {
    "home", "registry", "lineage", "traffic", "drift", "cost", "incident", "ledger", "at", "rw", "ro", "info", "error",
    "ctx", "export", "help", "theme", "ascii", "columns",
}  # fmt: skip
_NAMES = {name: name for name in _PLACES} | _ALIASES
COMMANDS = tuple(sorted(_NAMES))
IN_PALETTE = (
    ("export as CSV", "export csv", "write the rows that are shown to a CSV file"),
    ("export a picture", "export svg", "write the screen to an SVG file"),
    *((f"theme {name}", f"theme {name}", "switch to this theme") for name in NAMES),
    ("ASCII", "ascii", "draw with ASCII characters only, or with all signs again"),
    ("projects", "ctx", "switch to another project of the list"),
    ("settings", "info", "show the settings in force, each with its origin"),
    ("write mode", "rw", "allow changes until ten minutes pass without a key"),
    ("read-only", "ro", "allow no more changes"),
    ("present", "at now", "return from a moment of the past"),
)
"""Commands that the palette lists in addition to the actions: title, what to type, and what it does."""


class Jump(msgspec.Struct, frozen=True):
    """A place to go to, with an argument."""

    place: str
    argument: str = ""


def parse(text: str) -> Jump | None:
    """The place a command names, in full or by an unambiguous prefix, and its argument; None for any other text."""
    verb, _, argument = text.strip().partition(" ")
    if not verb:
        return None
    matches = _meant(verb)
    place = _NAMES.get(verb.lower()) or (matches.pop() if len(matches) == 1 else None)
    return Jump(place, argument.strip()) if place else None


def not_understood(text: str) -> str:
    """Why a text is no command, and the commands that were probably meant."""
    verb = text.strip().partition(" ")[0]
    if len(_meant(verb)) > 1:
        names = sorted(name for name in _NAMES if name.startswith(verb.lower()))
        return f"{verb} is ambiguous: {', '.join(names)}"
    return f"unknown command {verb}; {did_you_mean(verb, COMMANDS) or 'press Tab behind : to see all commands'}"


def _meant(verb: str) -> set[str]:
    return {place for name, place in _NAMES.items() if name.startswith(verb.lower())}
