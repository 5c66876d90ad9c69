"""The lines around a screen: header, breadcrumbs, the keys that hold now.

Pure drawing from values. It does not know where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from console.actions import Action, show_key
from console.safe import Line, cells, fill, row, safe
from console.words import status

Link = Literal["connecting", "live", "paused", "stale", "disconnected"]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the header says."""

    env: str
    ledger: str
    readonly: bool
    link: Link
    age: float | None
    """Seconds since the stores last answered."""
    now: datetime
    at: str | None
    """The moment that is shown, where it is not now."""


def header(context: Context, width: int) -> Line:
    """The one line on top."""
    edge = safe(" ▸ ", "faint")
    left = row(
        safe(" "), safe(context.env or "…", "warn" if context.env == "prod" else "strong"), edge, safe(context.ledger)
    )
    if context.readonly:
        left = row(left, edge, safe("READ-ONLY", "muted"))
    if context.at is not None:
        left = row(left, safe("   "), safe(f"AT {context.at[:19]}Z", "warn"))
    old = "" if context.age is None else f" {_span(context.age)}"
    link = status(context.link, shown=f"{context.link}{old}")
    right = row(link, safe("   "), safe(f"{context.now:%H:%M:%S} UTC ", "muted"))
    return fill(left, right, width)


def crumbs(parts: Sequence[str], width: int) -> Line:
    """Where we are, the last part in the accent colour."""
    pieces: list[Line] = [safe(" ")]
    for number, part in enumerate(parts):
        if number:
            pieces.append(safe(" ▸ ", "faint"))
        pieces.append(safe(part, "accent" if number == len(parts) - 1 else "muted", limit=60))
    return fill(row(*pieces), safe(""), width)


def hints(actions: Sequence[tuple[Action, str | None]], screens: Sequence[tuple[str, str, bool]], width: int) -> Line:
    """The screens and the keys that hold now; what cannot be done is grey."""
    pieces: list[Line] = []
    used = 1
    for key, title, here in screens:
        piece = row(safe(key, "key"), safe(f" {title}", "strong" if here else "muted"))
        pieces.append(piece)
        used += piece.cell_length + 2
    pieces.append(safe("│", "faint"))
    used += 3
    for action, reason in actions:
        key = show_key(action.keys[0])
        if used + cells(key) + cells(action.title) + 3 > width:
            break
        blocked = reason is not None
        pieces.append(
            row(safe(key, "faint" if blocked else "key"), safe(f" {action.title}", "faint" if blocked else "muted"))
        )
        used += cells(key) + cells(action.title) + 3
    return row(safe(" "), row(*pieces, gap=2))


def too_small(width: int, height: int) -> list[Line]:
    """What is said where nothing else fits."""
    return [
        safe(" too small", "warn"),
        safe(f" {width}×{height}; needs 60×16", "muted"),
        safe(" q quits", "muted"),
    ]


def _span(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole}s" if whole < 120 else f"{whole // 60}min"
