"""How a status, a count, an age and other values read on every screen.

Pure functions from values to lines. It does not know where a line is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.signs import WORDS, Sign, sign_of
from modelspine.text import counted
from modelspine.times import age as age_of
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from modelspine.gate.eval_report import CostPerQuality

CONSOLE_SIGNS: dict[str, Sign] = {
    # the connection to the ledger
    "live": Sign("●", "good"),
    "paused": Sign("‖", "warn"),
    "stale": Sign("○", "warn"),
    "disconnected": Sign("✖", "bad"),
    "connecting": Sign("◌", "muted"),
    # a day of drift without a report
    "no report": Sign("○", "warn"),
    # the verdict on a canary
    "inconclusive": Sign("◐", "warn"),
    "no_data": Sign("○", "muted"),
}
"""Signs of the statuses that only the console shows; all others are in ``modelspine.signs``."""
_DASH = "–"


def status(word: str, *, shown: str | None = None) -> Line:
    """A status as sign and word in its colour; ``shown`` replaces the word."""
    sign = CONSOLE_SIGNS.get(word) or sign_of(word)
    return row(safe(f"{sign.glyph} ", sign.role), safe(WORDS.get(word, word) if shown is None else shown, sign.role))


def entry_status(entry: Any) -> Line:
    """An entry's status in one word: production or its arm where it takes traffic, else its registry status."""
    if entry.production:
        return status("production")
    return status(entry.arms[0] if entry.arms else entry.status)


def bullet(glyph: str, text: object, role: Role, *, text_role: Role | None = None, limit: int = 400) -> Line:
    """An indented remark behind a coloured glyph; the text has the glyph's colour unless ``text_role`` is given."""
    return row(safe(f" {glyph} ", role), safe(text, role if text_role is None else text_role, limit=limit))


def count(value: Any) -> Line:
    """``k/n`` with its share in percent; a dash where nothing was counted."""
    if value is None:
        return dash(None)
    if not value.n:
        return safe(f"{value.k:,}/0", "muted")
    return row(safe(f"{value.k:,}/{value.n:,} ", "muted"), safe(f"{100 * value.k / value.n:5.1f} %"))


def right_answers(cost: CostPerQuality | None) -> Line:
    """What right answers cost at the gate, with its unit and its noise."""
    if cost is None:
        return safe("not measured at the gate", "muted")
    noise = f"   {cost.low:.3g} to {cost.high:.3g} in {counted(cost.runs, 'run')}"
    return row(safe(f"{cost.usd:.3g} USD per million right answers"), safe(noise, "muted"))


def age(at: str, now: datetime) -> Line:
    """The time since ``at``, in one unit."""
    try:
        return safe(age_of(at, now), "muted")
    except ValueError:  # a damaged ledger or trace may hold any text here
        return safe("?", "muted")


def ago(at: str, now: datetime, seq: int | None = None) -> Line:
    """The time since ``at`` as a phrase, with the number of the event where one is given."""
    return row(age(at, now), safe(" ago" if seq is None else f" ago  #{seq}", "muted"))


def when(at: str) -> Line:
    """A ledger time, to the second."""
    return safe(at[:19].replace("T", " ") + "Z" if len(at) > 19 else at)


def milliseconds(seconds: float) -> str:
    """A duration in milliseconds, without its unit."""
    return f"{seconds * 1000:.1f}"


def dash(value: object) -> Line:
    """A value, or a dash where there is none."""
    return safe(value) if value not in (None, "") else safe(_DASH, "faint")


def pairs(items: Iterable[tuple[str, Line]], *, indent: int = 1) -> list[Line]:
    """Names and values in two aligned columns."""
    listed = list(items)
    width = max((len(name) for name, _ in listed), default=0)
    return [row(safe(" " * indent), safe(f"{name:<{width}}  ", "muted"), value) for name, value in listed]


def hidden_columns(titles: Iterable[str]) -> Line:
    """The note under a table that names the columns there is no room for."""
    return safe(f" hidden: {', '.join(titles)} (zoom, or widen the window)", "faint")


def heading(text: str) -> list[Line]:
    """A heading inside a document, with an empty line above it."""
    return [safe(""), safe(f" {text}", "accent")]


def headline(text: str, role: Role = "strong") -> list[Line]:
    """The sentence above a document that says what the document shows, with an empty line below it."""
    return [safe(f" {text}", role, limit=600), safe("")]


def tree(value: Any, *, indent: int = 1) -> list[Line]:
    """A JSON value as indented lines, one for each scalar."""
    if isinstance(value, dict | list | tuple):
        members = value.items() if isinstance(value, dict) else (("·", item) for item in value)
        lines = [line for name, item in members for line in _member(str(name), item, indent)]
        return lines or [row(safe(" " * indent), dash(None))]
    return [row(safe(" " * indent), safe(_scalar(value), limit=2000))]


def _member(name: str, item: Any, indent: int) -> list[Line]:
    label = row(safe(" " * indent), safe(name, "muted", limit=80))
    if isinstance(item, dict | list | tuple) and item:
        flat = _flat(item)
        return [label, *tree(item, indent=indent + 2)] if flat is None else [row(label, safe("  "), flat)]
    return [row(label, safe("  "), safe(_scalar(item), limit=2000))]


def _flat(item: Any) -> Line | None:
    """A short list of scalars on one line; None for anything else."""
    if isinstance(item, dict) or any(isinstance(part, dict | list | tuple) for part in item):
        return None
    text = ", ".join(_scalar(part) for part in item)
    return safe(text) if len(text) <= 100 else None


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, dict | list | tuple):
        return _DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def builtins(value: Any) -> Any:
    """A core value as plain data that can be written as JSON."""
    return msgspec.to_builtins(value)
