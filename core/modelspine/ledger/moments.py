"""Moments of a ledger: the time of an event, the event before and after a moment, and the ledger's start. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from modelspine.errors import BadInput
from modelspine.ledger.clocks import events_until
from modelspine.ledger.event import Event
from modelspine.times import event_number, moment


def moment_of(events: Sequence[Event], text: str, now: datetime | None = None) -> str:
    """The time that a text means, in the ledger's format: see ``times.moment``; ``#16`` is the time of event 16.

    Raises:
        BadInput: the text is not a time, or the ledger has no such event.
    """
    seq = event_number(text)
    if seq is None:
        return moment(text, now)
    if not 1 <= seq <= len(events):
        there = f"the ledger has #1 to #{len(events)}" if events else "the ledger is empty"
        raise BadInput(f"there is no event #{seq}", f"{there}: `spine history` lists them")
    return events[seq - 1].time


def before_start(events: Sequence[Event], at: str) -> str:
    """One sentence where a moment is before the ledger's first event; else empty."""
    if not events or events_until(events, at):
        return ""
    return f"{at[:19]}Z is before the ledger's start: its first event, #1, is of {events[0].at[:19]}Z"


def neighbour(events: Sequence[Event], at: str | None, by: int) -> str | None:
    """The moment one event earlier (``by`` < 0) or later than a moment; None stands for the present.

    From a moment between two events, one step back leads to the event before it. Events of one time are one step.
    """
    times = sorted({event.time for event in events})
    if by < 0:
        earlier = [each for each in times if at is None or each < at]
        # The present shows the newest event already, so that one step back from it shows the one before.
        if at is None:
            earlier = earlier[:-1] if len(earlier) > 1 else earlier
        return earlier[-1] if earlier else at
    later = [each for each in times if at is not None and each > at]
    return later[0] if later[:-1] else None
