"""What two entries answer to the stored requests: core's sentence, the counts, and the mistakes of only one of them.

Pure drawing of core's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelspine.incident.counterfactual import sentence
from modelspine.words import words
from modelspine_console.draw.format import bullet, heading
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, row, safe

if TYPE_CHECKING:
    from modelspine.incident.counterfactual import Counterfactual, Mistake

_MOST = 12
"""Kinds of mistake that are listed for each entry; they are sorted by the users they reach."""


def counterfactual_lines(found: Counterfactual, names: Sequence[str], width: int) -> list[Line]:
    """The comparison of two entries called ``names``, in the order in which they were asked."""
    a, b = found.a, found.b
    counts = (
        ("right", a.right, b.right),
        ("only this one right", a.only_right, b.only_right),
        (f"wrong text {words().accepted}", a.false_accepts, b.false_accepts),
    )
    rows = [[safe(what, "muted"), safe(f"{one:,}"), safe(f"{two:,}")] for what, one, two in counts]
    heads = (Head("requests", least=12), *(Head(name, right=True) for name in names))
    lines = [row(safe(" "), safe(sentence(found, *names), "accent", limit=1000)), safe("")]
    if found.ungraded == found.requests:
        lines = [bullet("!", "the workload cannot judge any of these answers", "warn"), safe("")]
    lines += [*grid(heads, rows, width), safe("")]
    lines.append(safe(
        f" {found.requests:,} requests, {found.texts:,} distinct texts; different answers to {found.differ:,}; "
        f"not judged {found.ungraded:,}; without stored text {found.without_text:,}", "muted",
    ))  # fmt: skip
    for name, side in zip(names, (a, b), strict=True):
        if side.mistakes:
            lines += [*heading(f"{words().accepted} only by {name}"), *_mistakes(side.mistakes, width)]
    return lines


def _mistakes(mistakes: Sequence[Mistake], width: int) -> list[Line]:
    rows = [
        [safe(each.label), safe(f"{each.users:,}"), safe(f"{each.requests:,}"), safe(", ".join(each.examples), "muted")]
        for each in mistakes[:_MOST]
    ]
    heads = (Head("mistake", least=10), Head(words().units, right=True), Head("requests", right=True, rank=1),
             Head("for example", rank=2))  # fmt: skip
    further = len(mistakes) - _MOST
    return [*grid(heads, rows, width), *([safe(f" and {further:,} more", "muted")] if further > 0 else [])]
