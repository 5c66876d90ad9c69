"""How long a pool waits before it replaces a worker process that was lost."""

from __future__ import annotations

PATIENCE = 3
"""Processes that may be lost in a row, without an answer between them, before the next one is started with a pause."""
LONGEST_PAUSE = 30.0


def pause_after(losses: int) -> float:
    """Return the seconds before the next start: none for the first losses in a row, then ½, 1, 2, … up to 30."""
    more = min(losses - PATIENCE, 10)
    return 0.0 if more <= 0 else min(LONGEST_PAUSE, 2.0 ** (more - 2))
