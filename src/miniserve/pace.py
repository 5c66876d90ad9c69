"""Whether texts wake an idle worker or wait for a busy one, by how long batches take of late.

Where batches are short, two busy workers only make smaller batches, which cost more a text, and take a core from the
HTTP of the server. Where they are long, every worker is needed. This module knows nothing of processes.
"""

from __future__ import annotations

_SHORT = 0.005
"""Batches that usually take less seconds are short."""
_WEIGHT = 0.2
"""Of the newest batch in the average."""
HOLD_SECONDS = 0.02
"""The longest that a text waits for a busy worker while another one is idle."""


class Pace:
    """The usual length of a batch, and what follows from it."""

    def __init__(self, batch: int) -> None:
        """Begin as if batches were long; ``batch`` is the most texts in one."""
        self._batch = batch
        self._usual = 1.0

    def note(self, seconds: float) -> None:
        """Take a batch's length into the average."""
        self._usual += _WEIGHT * (seconds - self._usual)

    def holds(self, waiting: int, *, busy: bool) -> bool:
        """Whether so many texts wait for a busy worker, if there is one, although another one is idle."""
        return busy and self._usual < _SHORT and waiting < 2 * self._batch

    def part(self, waiting: int, idle: int) -> int:
        """The most texts for one of the idle workers: an equal part, or all that fits if that is soon done."""
        return self._batch if self._usual < _SHORT else min(self._batch, -(-waiting // idle))
