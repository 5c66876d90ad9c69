"""What can be typed behind ``:`` and ``/``: commands, fields, and the values that the open screens have read.

It reads no store: what no screen has read yet cannot be completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from modelspine.text import short
from modelspine_console.controllers.jump import COMMANDS
from modelspine_console.data.completion import Complete, Values, command_completion, filter_completion
from modelspine_console.data.export import FORMATS
from modelspine_console.draw.theme import NAMES
from modelspine_console.screens.base import View

_MAX_ROWS = 5_000
"""Rows whose values are offered; looking at more would make typing slow."""


def command_words(views: Mapping[str, View], projects: Values = tuple) -> Complete:
    """Completes a command, and its argument from what the screens have read; ``projects`` are those of ``:ctx``."""

    def rows(screen: str) -> Iterable[Any]:
        return islice(views[screen].table.shown, _MAX_ROWS) if screen in views else ()

    def entries() -> Iterable[str]:
        found = [entry for entry in rows("registry") if hasattr(entry, "semvers")]
        names = [semver for entry in found for semver in entry.semvers]
        return ["production", *names, *(short(entry.sha) for entry in found)]

    def keys(screen: str) -> Values:
        return lambda: (str(views[screen].table.key(item)) for item in rows(screen))

    values: dict[str, Values] = {
        "registry": entries, "lineage": entries, "drift": keys("drift"), "incident": keys("incident"),
        "traces": keys("incident"), "history": keys("ledger"), "ledger": keys("ledger"), "at": lambda: ("now",),
        "ctx": projects, "projects": projects, "theme": lambda: NAMES, "export": lambda: FORMATS,
    }  # fmt: skip
    return lambda text: command_completion(text, COMMANDS, values)


def filter_words(view: View) -> Complete:
    """Completes the name of one of the screen's fields, and its values in the rows that were read."""

    def values(name: str) -> Values:
        text = view.fields[name]
        return lambda: (text(item) for item in islice(view.table.rows, _MAX_ROWS))

    fields = {name: values(name) for name in view.fields}
    return lambda text: filter_completion(text, fields)
