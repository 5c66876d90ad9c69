"""The statuses of drift, and the one rule that gives them."""

from __future__ import annotations

from typing import Literal

WATCH = 0.10
ACT = 0.25
"""The two PSI thresholds are the common rule of thumb from credit scoring."""
SIGNIFICANT = 0.01
"""Largest false discovery rate at which a PSI counts as drift, and largest p at which two figures contradict."""

Status = Literal["insufficient", "stable", "watch", "act"]
LEVELS: tuple[Status, ...] = ("insufficient", "stable", "watch", "act")


def status_of(psi: float, p: float) -> Status:
    """The status of a figure that rests on enough requests; ``p`` is corrected where several are judged."""
    if psi < WATCH or p >= SIGNIFICANT:
        return "stable"
    return "act" if psi >= ACT else "watch"
