"""Whether texts wake an idle worker or wait for a busy one, by how long batches take of late.

More busy workers make smaller batches, which cost more a text. Where batches are very short, one busy worker is faster
than several. Where they are short, one core is left to the HTTP of the server. Where they are long, every worker is
needed. This module knows nothing of processes.
"""

from __future__ import annotations

from modelspine.settings import MOST_WORKERS

_VERY_SHORT = 0.005
"""Batches that usually take less seconds are very short."""
_WEIGHT = 0.2
"""Of the newest batch in the average."""
HOLD_SECONDS = 0.02
"""The longest that a text waits for a busy worker while another one is idle; batches that take less are short."""


class Pace:
    """The usual length of a batch, and what follows from it."""

    def __init__(self, batch: int, cores: int) -> None:
        """Begin as if batches were long; ``batch`` is the most texts in one."""
        self._batch = batch
        self._cores = cores
        self._usual = 1.0

    def note(self, seconds: float) -> None:
        """Take a batch's length into the average."""
        self._usual += _WEIGHT * (seconds - self._usual)

    def holds(self, waiting: int, *, busy: int) -> bool:
        """Whether so many texts wait for one of the busy workers, although another one is idle."""
        return waiting < 2 * self._batch and busy >= self._awake

    def part(self, waiting: int, *, idle: int, busy: int) -> int:
        """The most texts for one of the idle workers: an equal part of what is to be answered at the same time."""
        at_once = max(1, min(idle, self._awake - busy))
        return min(self._batch, -(-waiting // at_once))

    @property
    def _awake(self) -> int:
        """How many workers may be busy before texts wait for one of them."""
        if self._usual < _VERY_SHORT:
            return 1
        return max(1, self._cores - 1) if self._usual < HOLD_SECONDS else MOST_WORKERS
