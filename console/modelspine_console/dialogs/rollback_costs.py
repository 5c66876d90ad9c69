"""What a rollback costs, as the dialog before it shows it: one line, and a table of the largest losses.

Pure drawing of core's values; it never blocks a rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelspine.text import counted
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, safe

if TYPE_CHECKING:
    from modelspine.gate.eval_report import Count
    from modelspine.release.rollback_cost import RollbackCost
    from modelspine_console.data.jobs import Outcome

    Found = Outcome[RollbackCost]

_MOST = 4
"""Buckets in the table: it stands above the fields, which have to stay in sight on a small terminal."""


def cost_line(found: Found | None) -> Line:
    """What the rollback costs, in a line; ``found`` is None while it is being computed."""
    if found is None:
        return safe("being computed …", "muted")
    if found.value is None:
        return safe(f"unknown: {found.error}", "warn", limit=400)
    cost = found.value
    return safe(cost.sentence(), "warn" if cost.losses or cost.reopened or cost.unknown else "", limit=400)


def cost_table(found: Found | None, width: int) -> list[Line]:
    """The buckets that lose most; empty if none does, or none is known to."""
    losses = found.value.losses if found is not None and found.value is not None else ()
    if not losses:
        return []
    heads = (Head("bucket", least=14), Head("production", right=True), Head("target", right=True),
             Head("items lost", right=True))  # fmt: skip
    rows = [
        [safe(loss.name), _count(loss.production), _count(loss.target), safe(f"{loss.items:,}", "bad")]
        for loss in losses[:_MOST]
    ]
    more = len(losses) - _MOST
    further = [safe(f" and {counted(more, 'other bucket')}", "muted")] if more > 0 else []
    return [*grid(heads, rows, width), *further, safe("")]


def _count(value: Count) -> Line:
    return safe(f"{value.k:,}/{value.n:,}")
