"""The list of entries: its columns, and what each is sorted by.

Pure drawing of core's values.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from modelspine.text import short
from modelspine.words import words
from modelspine_console.draw.format import age, count, dash, entry_status, status
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.widgets.column import Column

_GATE_RANKS = {"fail": 0, "error": 1, "pass": 2}
_RANKS = {"production": 0, "promoted": 2, "held": 3, "pending": 4, "tombstoned": 5}


def entry_columns(now: Callable[[], datetime]) -> tuple[Column, ...]:
    """The columns of an entry; a narrow list keeps accuracy, false accepts, gate and cost the longest."""
    return (
        Column("status", 12, entry_status, _status_rank),
        Column("entry", 12, _name, _semver, rank=1),
        Column("sha", 12, lambda e: safe(short(e.sha), "muted"), lambda e: e.sha, rank=8),
        Column("variant", 10, lambda e: dash(e.variant), lambda e: e.variant, rank=7),
        Column("accuracy", 19, lambda e: count(e.total), lambda e: -(e.accuracy or 0.0), right=True, rank=2),
        Column(words().false_accepts, 18, lambda e: count(e.false_accept), _false_accepts, right=True, rank=3),
        Column("gate", 7, lambda e: status(e.gate) if e.gate else dash(None), _gate_rank, rank=4),
        Column("USD/1M right", 12, _right_answers, _cost, right=True, rank=5),
        Column("age", 7, lambda e: age(e.registered_at, now()), lambda e: e.seq, right=True, rank=6),
    )


def _status_rank(entry: Any) -> tuple[int, int]:
    rank = 0 if entry.production else 1 if entry.arms else _RANKS.get(entry.status, 9)
    return rank, -entry.seq


def _name(entry: Any) -> Line:
    """The semver, else the start of the SHA, which then is the only name."""
    return safe(entry.semver) if entry.semver else safe(short(entry.sha), "muted")


def _gate_rank(entry: Any) -> int:
    """Sorts failures first, because they are what to look at, and entries that were never gated last."""
    return _GATE_RANKS.get(entry.gate or "", len(_GATE_RANKS))


def _semver(entry: Any) -> tuple[int, ...]:
    """Sorts the highest version first and entries without one last."""
    core = (entry.semver or "").lstrip("v").partition("-")[0]
    return tuple(-int(part) for part in core.split(".") if part.isdigit()) or (1,)


def _right_answers(entry: Any) -> Line:
    cost = entry.cost_per_quality
    return dash(f"{cost.usd:.3g}" if cost is not None else None)


def _cost(entry: Any) -> float:
    return float(entry.cost_per_quality.usd) if entry.cost_per_quality is not None else float("inf")


def _false_accepts(entry: Any) -> float:
    """Sorts entries that were never evaluated behind all others: no ratio reaches 2."""
    return entry.false_accept.ratio or 0.0 if entry.false_accept else 2.0
