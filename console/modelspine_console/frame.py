"""The lines around a screen: header, tabs with breadcrumbs, and footer.

Pure drawing from values. It does not know where they come from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from math import ceil
from typing import Literal

import msgspec

from modelspine.text import counted
from modelspine_console.action import Action, show_key
from modelspine_console.draw.format import status
from modelspine_console.draw.sanitize import Line, cells, cut, fill, row, safe
from modelspine_console.draw.theme import Role

Link = Literal["connecting", "live", "paused", "stale", "disconnected"]
_USUAL = "ledger.db"
"""The name of a project's own ledger, which the header does not repeat."""
_NAME, _SHORT_NAME = 60, 16
"""Letters of a service's name in the header: at most, and where there is little room."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the header shows."""

    env: str
    service: str
    """The name of what is served."""
    ledger: str
    production: str
    """The name of the entry in production; empty before there is one, or where it is not known."""
    since: str
    """The age of that."""
    rollout: str
    """The candidate of the rollout and its share of traffic; empty if no rollout is in progress."""
    servers: int | None
    """Running servers; None where that is not known."""
    writing: float | None
    """Seconds until write mode ends; None in read-only mode."""
    link: Link
    age: float | None
    """Seconds since the ledger last answered."""
    read: float | None
    """Seconds since the open screen was read, where it is too long ago to be called live."""
    now: datetime
    at: str | None
    """The moment that is shown; None for the present."""
    project: str = ""
    """The project's name in the operator's list; empty for one that is not in it, or not opened by its name."""
    demo: bool = False
    """Whether the bundled demo is shown, whose week and time are simulated."""


def header(context: Context, width: int) -> Line:
    """The top line: environment, service, production, mode, moment, connection and time; the longest that fits."""
    link, servers = _link(context), _servers(context)
    short, medium = row(link, safe(" ")), row(link, servers, safe(" "))
    full = row(link, servers, safe(f"   {context.now:%H:%M:%S} UTC ", "muted"))
    # What is in production, the mode and the moment that is shown matter more than the clock and a long name.
    for parts, name, right in (
        (3, _NAME, full), (2, _NAME, full), (1, _NAME, full), (1, _SHORT_NAME, full), (1, _SHORT_NAME, medium),
        (1, _SHORT_NAME, short), (0, _SHORT_NAME, short), (0, 0, short),
    ):  # fmt: skip
        left = row(_left(context, parts, name), _mode(context))
        if left.cell_length + right.cell_length < width:
            break
    return fill(left, right, width)


def _left(context: Context, parts: int, name: int) -> Line:
    """Environment and service, with as many parts of what is in production as are asked for.

    ``name`` is how many letters of the service's name are shown; 0 leaves it out.
    """
    edge = safe(" ▸ ", "faint")
    if context.demo:
        invented = ", invented models" if parts == 3 else ""
        named = [safe(" DEMO", "warn"), *([edge, safe(f"simulated week{invented}", "muted")] if name else [])]
    else:
        prod = context.env == "prod"
        named = [safe(" PROD" if prod else f" {context.env or '…'}", "bad" if prod else "strong", limit=name or 8)]
        ledger = "" if context.ledger == _USUAL else f" ({context.ledger})"
        listed = f"{context.project}: " if context.project not in ("", context.service) else ""
        named += [edge, safe(f"{listed}{context.service}{ledger}", limit=name)] if name else []
    if context.production and parts >= 1:
        named += [edge if context.demo else safe(" "), safe(context.production, "good", limit=40)]
        named += [safe(f" since {context.since}", "muted")] if parts >= 3 else []
        if parts >= 2 and context.rollout:
            named += [safe(" · ", "faint"), safe(context.rollout, "accent", limit=60)]
    elif not context.production and parts >= 2 and context.env and not context.demo and context.at is None:
        named.append(safe(" nothing in production", "muted"))
    return row(*named, edge)


def _mode(context: Context) -> Line:
    left = context.writing
    mode = safe("READ-ONLY", "muted") if left is None else safe(f"WRITE {_left_of(left)}", "warn")
    return row(mode, safe(f"   AT {context.at[:19]}Z", "warn")) if context.at is not None else mode


def _link(context: Context) -> Line:
    """The connection; *live* only where the ledger and what the open screen shows were read within the interval."""
    if context.link == "live" and context.read is not None:
        return status("stale", shown=f"read {_span(context.read)} ago")
    age = "" if context.age is None else f" {_span(context.age)}"
    return status(context.link, shown=f"{context.link}{age}")


def _servers(context: Context) -> Line:
    if context.servers is None or context.demo or context.link not in ("live", "paused") or context.at is not None:
        return safe("")
    number = "no server" if not context.servers else counted(context.servers, "server")
    return safe(f" · {number}", "muted" if context.servers else "warn")


# the row of tabs ------------------------------------------------------------------------------------------

Tab = tuple[str, str, bool]
"""Key and title of a screen, and whether it is open."""
_SHORT = 3
"""Letters that are left of a longer title of a screen that is not open, where the breadcrumbs need the room."""
_WHOLE = 5
"""Titles of up to so many letters stay whole: cut, they would save too little to be worth reading."""


def tabs(screens: Sequence[Tab], parts: Sequence[str], width: int) -> Line:
    """The screens by key and name, and at the right end where in the open screen one is."""
    cut_to, gap = _fit(screens, parts, width)
    names = [row(safe(key, "key"), safe(f" {name}", "strong" if here else "muted"))
             for (key, _, here), name in zip(screens, _names(screens, cut_to), strict=True)]  # fmt: skip
    left = row(safe(" "), row(*names, gap=gap))
    room = width - left.cell_length - 2
    return fill(left, row(_crumbs(parts, room), safe(" ")), width) if len(parts) > 1 else fill(left, safe(""), width)


def tab_at(screens: Sequence[Tab], parts: Sequence[str], width: int, x: int) -> int | None:
    """The number of the tab that is drawn at a cell of the row; None between two tabs and right of them."""
    cut_to, gap = _fit(screens, parts, width)
    start = 1
    for number, ((key, _, _), name) in enumerate(zip(screens, _names(screens, cut_to), strict=True)):
        end = start + cells(key) + 1 + cells(name)
        if start <= x < end:
            return number
        start = end + gap
    return None


def _names(screens: Sequence[Tab], cut_to: int) -> list[str]:
    whole = _WHOLE if cut_to else 0
    return [title if here or len(title) <= whole else title[:cut_to] for _, title, here in screens]


def _fit(screens: Sequence[Tab], parts: Sequence[str], width: int) -> tuple[int, int]:
    """How many letters of a title and which gap leave the room that the breadcrumbs need.

    Where even short titles leave too little, only the open screen is named. Its name then stands in its tab alone.
    """
    needed = sum(cells(part) + 3 for part in parts) if len(parts) > 1 else 0
    less = needed - cells(parts[0]) + 1 if needed else 0
    for cut_to, gap, crumbs in ((99, 2, needed), (99, 1, needed), (_SHORT, 2, needed), (_SHORT, 1, less)):
        names = zip(screens, _names(screens, cut_to), strict=True)
        if 1 + sum(cells(key) + 1 + cells(name) + gap for (key, _, _), name in names) + crumbs <= width:
            return cut_to, gap
    return 0, 1


def _crumbs(parts: Sequence[str], room: int) -> Line:
    """The breadcrumbs, the last part in the accent colour; the first parts go where there is no room for them."""
    for first in range(len(parts)):
        pieces = [safe("… ▸ ", "faint")] if first else []
        for number, part in enumerate(parts[first:], start=first):
            pieces += [safe(" ▸ ", "faint")] if number > first else []
            pieces.append(safe(part, "accent" if number == len(parts) - 1 else "muted", limit=60))
        line = row(*pieces)
        if line.cell_length <= room or first == len(parts) - 1:
            break
    return line if line.cell_length <= room else cut(line, max(room, 0))


# the footer -----------------------------------------------------------------------------------------------


def hints(actions: Sequence[tuple[Action, str | None]], width: int) -> Line:
    """The footer: the keys of changes, then other keys; those that cannot be used now are grey.

    The keys of changes and of help are never left out: where room is short, they lose their titles.
    """
    pieces: list[Line] = []
    used = 1
    required = [each for each in actions if each[0].mutates or each[0].id == "help"]
    untitled = _untitled(required, width - used)
    for number, (action, reason) in enumerate(actions):
        edge = number > 0 and action.mutates != actions[number - 1][0].mutates
        room = _room(action, untitled) + 3 * edge
        if used + room > width:
            break
        pieces += [safe("│", "faint")] if edge else []
        strong: tuple[Role, Role] = ("warn", "warn") if action.mutates else ("key", "muted")
        first, second = strong if reason is None else ("faint", "faint")
        title = "" if action.id in untitled else f" {action.title}"
        pieces.append(row(safe(show_key(action.keys[0]), first), safe(title, second)))
        used += room
    return row(safe(" "), row(*pieces, gap=2))


def _room(action: Action, untitled: Collection[str]) -> int:
    """Cells of a key with its title and the gap behind it."""
    return cells(show_key(action.keys[0])) + 2 + (0 if action.id in untitled else cells(action.title) + 1)


def _untitled(actions: Sequence[tuple[Action, str | None]], room: int) -> set[str]:
    """Ids of the changes that lose their title so that all keys fit: first those that cannot be done, then the last."""
    room -= 3 * len({action.mutates for action, _ in actions})
    untitled: set[str] = set()
    for _, (action, _) in sorted(enumerate(actions), key=lambda each: (each[1][1] is None, -each[0])):
        if sum(_room(each, untitled) for each, _ in actions) <= room:
            break
        untitled |= {action.id} if action.mutates else set()
    return untitled


def action_at(actions: Sequence[tuple[Action, str | None]], footer: str, x: int) -> Action | None:
    """The action whose key or title is at a cell of the footer's text; None between two of them."""
    end = 0
    for action, _ in actions:
        key = show_key(action.keys[0])
        text = f"{key} {action.title}"
        start = footer.find(f" {text}", end)
        if start < 0 and action.mutates:  # it may have lost its title
            text, start = key, footer.find(f" {key} ", end)
        if start < 0:
            continue
        end = start + 1 + len(text)
        if start < x < end:
            return action
    return None


def too_small(width: int, height: int, key: str = "q") -> list[Line]:
    """The message that is shown where nothing else fits; ``key`` quits."""
    return [
        safe(" window too small", "warn"),
        safe(f" {width}×{height}; needs 60×16", "muted"),
        safe(f" {key} quits", "muted"),
    ]


def _span(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole}s" if whole < 120 else f"{whole // 60}min"


def _left_of(seconds: float) -> str:
    """The time left, rounded up, so that it never reads 0 before it is over."""
    return f"{ceil(seconds)}s" if seconds <= 60 else f"{ceil(seconds / 60)}min"
