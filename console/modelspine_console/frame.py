"""The lines around a screen: header, breadcrumbs and footer.

Pure drawing from values. It does not know where they come from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from math import ceil
from typing import Literal

import msgspec

from modelspine_console.action import Action, show_key
from modelspine_console.draw.format import status
from modelspine_console.draw.sanitize import Line, cells, fill, row, safe
from modelspine_console.draw.theme import Role

Link = Literal["connecting", "live", "paused", "stale", "disconnected"]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the header shows."""

    env: str
    ledger: str
    writing: float | None
    """Seconds until write mode ends; None in read-only mode."""
    link: Link
    age: float | None
    """Seconds since the ledger last answered."""
    now: datetime
    at: str | None
    """The moment that is shown; None for the present."""
    demo: bool = False
    """Whether the bundled demo is shown, whose week and time are simulated."""


def header(context: Context, width: int) -> Line:
    """The top line: environment, ledger, mode, moment, connection and time."""
    edge = safe(" ▸ ", "faint")
    left = row(
        safe(" "), safe(context.env or "…", "warn" if context.env == "prod" else "strong"), edge, safe(context.ledger)
    )
    if context.demo:
        left = row(safe(" "), safe("DEMO", "warn"), edge, safe("simulated week, invented models", "muted"))
    if context.writing is None:
        left = row(left, edge, safe("READ-ONLY", "muted"))
    else:
        left = row(left, edge, safe(f"WRITE {_left(context.writing)}", "warn"))
    if context.at is not None:
        left = row(left, safe("   "), safe(f"AT {context.at[:19]}Z", "warn"))
    age = "" if context.age is None else f" {_span(context.age)}"
    link = status(context.link, shown=f"{context.link}{age}")
    right = row(link, safe("   "), safe(f"{context.now:%H:%M:%S} UTC ", "muted"))
    if left.cell_length + right.cell_length >= width:  # the moment that is shown matters more than the clock
        right = row(link, safe(" "))
    return fill(left, right, width)


def crumbs(parts: Sequence[str], width: int) -> Line:
    """The breadcrumbs, the last part in the accent colour."""
    pieces: list[Line] = [safe(" ")]
    for number, part in enumerate(parts):
        if number:
            pieces.append(safe(" ▸ ", "faint"))
        pieces.append(safe(part, "accent" if number == len(parts) - 1 else "muted", limit=60))
    return fill(row(*pieces), safe(""), width)


def hints(actions: Sequence[tuple[Action, str | None]], screens: Sequence[tuple[str, str, bool]], width: int) -> Line:
    """The footer: the screens, the keys of changes, then other keys; those that cannot be used now are grey.

    The keys of changes and of help are never left out: where room is short, they lose their titles.
    """
    names = sum(cells(key) + cells(title) + 3 for key, title, _ in screens)
    changes = any(action.mutates for action, _ in actions)
    brief = names > width // 2 + 8 * (not changes)  # the keys need room too, so only the open screen is named
    pieces = [_screen(*screen, brief=brief) for screen in screens]
    used = 1 + sum(piece.cell_length + 2 for piece in pieces)
    required = [each for each in actions if each[0].mutates or each[0].id == "help"]
    untitled = _untitled(required, width - used)
    for number, (action, reason) in enumerate(actions):
        edge = number == 0 or action.mutates != actions[number - 1][0].mutates
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


def _screen(key: str, title: str, here: bool, *, brief: bool) -> Line:
    name = safe(f" {title}", "strong" if here else "muted")
    return safe(key, "key") if brief and not here else row(safe(key, "key"), name)


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


def _left(seconds: float) -> str:
    """The time left, rounded up, so that it never reads 0 before it is over."""
    return f"{ceil(seconds)}s" if seconds <= 60 else f"{ceil(seconds / 60)}min"
