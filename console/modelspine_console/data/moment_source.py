"""Reads moments of the ledger: one that a person typed, its neighbours, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from modelspine.ledger.clocks import events_until
from modelspine.ledger.moments import before_start, moment_of, neighbour
from modelspine.ledger.store import Event

if TYPE_CHECKING:
    from modelspine.spine import Spine
    from modelspine.traffic.two_moments import Between


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A moment to show."""

    at: str | None
    """None for the present."""
    note: str = ""
    """The newest event at that moment, or that the moment is before the first one."""
    early: bool = False
    """True if it is before the first event."""


def _shown(events: Sequence[Event], at: str | None) -> Shown:
    if at is None:
        return Shown(at=None, note="the present")
    if early := before_start(events, at):
        return Shown(at=at, note=early, early=True)
    newest = events_until(events, at)[-1]
    return Shown(at=at, note=f"after #{newest.seq} {newest.kind}, {newest.at[:19]}Z")


class MomentSource:
    """The part of the source that knows times."""

    _spine: Spine
    at: str | None

    def moment(self, text: str, now: datetime) -> Shown:
        """The moment that a person typed; empty or ``now`` is the present.

        Raises:
            BadInput: the text is not a time, or names an event that the ledger does not have.
        """
        if text.strip().lower() in ("", "now"):
            return Shown(at=None)
        events = self._spine.registry.events()
        return _shown(events, moment_of(events, text, now))

    def neighbour(self, by: int) -> Shown:
        """The moment of the event before the moment that is shown, or of the one after it."""
        events = self._spine.registry.events()
        return _shown(events, neighbour(events, self.at, by))

    def between(self, one: str, other: str, now: datetime) -> Between:
        """What changed between two moments that a person typed.

        Raises:
            BadInput: a text is not a time, or names an event that the ledger does not have.
        """
        from modelspine.traffic.two_moments import between

        events = self._spine.registry.events()
        return between(events, moment_of(events, one, now), moment_of(events, other, now))
