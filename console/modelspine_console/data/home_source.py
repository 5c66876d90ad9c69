"""What the Home screen reads from core: a glance at every poll, and the figures of a day less often.

Part of ``data.source``; it does not know the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from modelspine.overview.day import DayFigures
    from modelspine.overview.glance import Glance
    from modelspine.spine import Spine

_REST = 10
"""Figures are read again after this many times the time that took, so reading takes at most a tenth of the time."""
_LEAST = timedelta(seconds=10)
"""How often they are read at most, however short that takes."""


class DayRead(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a day, with when they were read and how long that took."""

    figures: DayFigures
    seq: int
    """The newest event they rest on."""
    moment: str | None
    """The moment they describe; None for the present."""
    at: datetime
    took: timedelta

    def is_due(self, seq: int, moment: str | None, now: datetime) -> bool:
        """Whether they have to be read again."""
        return (self.seq, self.moment) != (seq, moment) or now - self.at >= max(_LEAST, _REST * self.took)


class HomeSource:
    """Reads for the Home screen; a part of ``Source``."""

    _spine: Spine
    at: str | None

    def glance(self, now: datetime) -> Glance:
        """What the ledger and a few rows of the traces say about the moment that is shown."""
        from modelspine.overview.glance import glance  # it is not on the way to the first frame

        return glance(self._spine, now, self.at)

    def day(self, seen: Glance, moment: str | None, clock: Callable[[], datetime]) -> DayRead:
        """The figures of the day that ends where a glance at a moment says."""
        from modelspine.overview.day import day_figures

        began = clock()
        found = day_figures(self._spine, seen, began, moment)
        ended = clock()
        return DayRead(figures=found, seq=seen.seq, moment=moment, at=ended, took=ended - began)

    def servers(self, now: datetime) -> int | None:
        """How many servers answer requests; None where they are not Spine's, so that their number is not known.

        Raises:
            Unavailable, Damaged: the traces cannot be read.
        """
        from modelspine.overview.glance import servers

        return servers(self._spine, now).answering
