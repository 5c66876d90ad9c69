"""How a status, a count, a share, a size and a time read on every screen: glyph and word, n beside each ratio.

Pure. It does not know where anything is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from modelspine.times import age as age_of
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role

_STATUS: dict[str, tuple[str, Role]] = {
    "production": ("●", "good"),
    "promoted": ("○", ""),
    "pending": ("·", "muted"),
    "held": ("‖", "warn"),
    "tombstoned": ("✖", "bad"),
    "arm": ("◐", "accent"),
    "shadow": ("◌", "accent"),
    "verified": ("✔", "good"),
    "recorded": ("!", "warn"),
    "missing": ("✖", "bad"),
    "mismatch": ("✖", "bad"),
    "live": ("●", "good"),
    "paused": ("‖", "warn"),
    "stale": ("○", "warn"),
    "disconnected": ("✖", "bad"),
    "connecting": ("◌", "muted"),
    "accepted": ("✔", "good"),
    "dismissed": ("✖", "bad"),
    "revised": ("!", "warn"),
}
_GATES: dict[str, tuple[str, Role]] = {"pass": ("✔", "good"), "fail": ("✖", "bad")}
_DASH = "–"


def status(word: str, *, shown: str | None = None) -> Line:
    """A status: its glyph, its word and its colour."""
    glyph, role = _STATUS.get(word, ("·", "muted"))
    return row(safe(f"{glyph} ", role), safe(word if shown is None else shown, role))


def entry_status(entry: Any) -> Line:
    """An entry's status in one word: what takes traffic first."""
    if entry.production:
        return status("production")
    if entry.arms:
        return status("shadow" if entry.arms[0] == "shadow" else "arm", shown=entry.arms[0])
    return status(entry.status)


def gate_word(result: str) -> Line:
    """What a gate run decided: glyph, word and colour."""
    glyph, role = _GATES.get(result, ("‼", "warn"))
    return row(safe(f"{glyph} ", role), safe(result, role))


def count(value: Any) -> Line:
    """``k/n`` with its share; a dash where nothing was counted."""
    if value is None:
        return safe(_DASH, "faint")
    if not value.n:
        return safe(f"{value.k:,}/0", "muted")
    return row(safe(f"{value.k:,}/{value.n:,} ", "muted"), safe(f"{100 * value.k / value.n:5.1f} %"))


def counted(k: int, n: int) -> Line:
    """``k/n`` alone."""
    return safe(f"{k:,}/{n:,}")


def age(at: str, now: datetime) -> Line:
    """How long ago, in one unit."""
    try:
        return safe(age_of(at, now), "muted")
    except ValueError:
        return safe("?", "muted")


def when(at: str) -> Line:
    """A ledger time, to the second."""
    return safe(at[:19].replace("T", " ") + "Z" if len(at) > 19 else at)


def milliseconds(seconds: float) -> str:
    """A latency."""
    return f"{seconds * 1000:.1f} ms"


def dash(text: object) -> Line:
    """A value, or a dash where there is none."""
    return safe(text) if text not in (None, "") else safe(_DASH, "faint")


def pairs(items: Iterable[tuple[str, Line]], *, indent: int = 1) -> list[Line]:
    """Names and values in two aligned columns."""
    found = list(items)
    wide = max((len(name) for name, _ in found), default=0)
    return [row(safe(" " * indent), safe(f"{name:<{wide}}  ", "muted"), value) for name, value in found]


def left_out(titles: Iterable[str]) -> Line:
    """What a table says of columns there is no room for."""
    return safe(f" without {', '.join(titles)}: zoom (z) or widen the window", "faint")


def heading(text: str) -> list[Line]:
    """A heading inside a document, with air above it."""
    return [safe(""), safe(f" {text}", "accent")]


def tree(value: Any, *, indent: int = 1) -> list[Line]:
    """A JSON value as indented lines; one line a scalar."""
    pad = safe(" " * indent)
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _member(f"{key}", item, indent)] or [
            row(pad, safe("–", "faint"))
        ]
    if isinstance(value, list | tuple):
        return [line for item in value for line in _member("·", item, indent)] or [row(pad, safe("–", "faint"))]
    return [row(pad, safe(_scalar(value), limit=2000))]


def _member(name: str, item: Any, indent: int) -> list[Line]:
    label = row(safe(" " * indent), safe(name, "muted", limit=80))
    if isinstance(item, dict | list | tuple) and item:
        flat = _flat(item)
        if flat is not None:
            return [row(label, safe("  "), flat)]
        return [label, *tree(item, indent=indent + 2)]
    return [row(label, safe("  "), safe(_scalar(item), limit=2000))]


def _flat(item: Any) -> Line | None:
    """A short list of scalars on one line."""
    if isinstance(item, dict) or any(isinstance(part, dict | list | tuple) for part in item):
        return None
    text = ", ".join(_scalar(part) for part in item)
    return safe(text) if len(text) <= 100 else None


def _scalar(value: Any) -> str:
    if value is None:
        return _DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict | list | tuple):
        return "–"
    return str(value)


def builtins(value: Any) -> Any:
    """A core value as plain JSON-able data."""
    return msgspec.to_builtins(value)
