"""What the times of events say, though one machine's clock may have been wrong when it wrote one.

``at`` never decreases with ``seq``, so after an event from a clock that was ahead it stands still. Writers then record
their own clock as well (``ledger.sealing``), and ``Event.time`` is that one. It does not know states or databases.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from modelspine.ledger.event import Event
from modelspine.ledger.sealing import AHEAD
from modelspine.text import visible
from modelspine.times import FORMAT


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Where a ledger stood at a time: the seq of the newest event then."""

    seq: int
    by_order: int
    """The same by the times ``at``, which never decrease. Where it differs, a clock was wrong and ``seq`` is unsure."""


class Jump(msgspec.Struct, frozen=True, kw_only=True):
    """An event whose time is far ahead of the clock of the next writer, or of this machine."""

    seq: int
    host: str
    at: str
    by: int | None
    """The seq of the event that contradicts it; None if only this machine's clock does."""
    clock: str


def cut_at(events: Sequence[Event], at: str, now: str | None = None) -> Cut:
    """Where a ledger stood at a time (RFC 3339, UTC, six digits).

    ``seq`` counts the events up to the last one that was written at or before that time by its writer's own clock. A
    clock that lies before the ledger's first event says nothing, so such an event has the time ``at``; unless the first
    event is what lies ahead, also of ``now``, this machine's clock.
    """
    by_order = bisect_right(events, at, key=_order)
    first = events[0].at if events else ""
    if first > _latest(now or datetime.now(UTC).strftime(FORMAT)):
        first = ""
    # From the end: an event with a clock of its own lies behind later times, so the times need not be sorted.
    for number in range(len(events), by_order, -1):
        if first <= events[number - 1].time <= at:
            return Cut(seq=number, by_order=by_order)
    return Cut(seq=by_order, by_order=by_order)


def events_until(events: Sequence[Event], at: str) -> list[Event]:
    """The events up to a time; see ``cut_at``."""
    return list(events[: cut_at(events, at).seq])


def jumps(events: Sequence[Event], now: str) -> Iterator[Jump]:
    """The events whose time jumped, oldest first, each once; ``now`` is this machine's clock."""
    looked_at = 0
    for number, event in enumerate(events):
        if "clock" not in event.body:
            continue
        # All events from here on are ahead of this writer. The first of them jumped, and each that follows one with a
        # clock of its own: that one was pushed ahead, and this one was not.
        first = bisect_right(events, _latest(event.time), key=_order)
        for other in range(max(first, looked_at), number):
            jumped = events[other]
            if "clock" not in jumped.body and (other == first or "clock" in events[other - 1].body):
                yield Jump(seq=jumped.seq, host=jumped.host, at=jumped.at, by=event.seq, clock=event.time)
        looked_at = number + 1
    if events and looked_at < len(events) and events[-1].time > _latest(now):
        yield Jump(seq=events[-1].seq, host=events[-1].host, at=events[-1].at, by=None, clock=now)


def jump_text(jump: Jump) -> str:
    """A jump in a sentence that names both times."""
    by = "this machine's clock" if jump.by is None else f"the clock of #{jump.by}, written after it,"
    return (
        f"the time of event #{jump.seq} jumped: {visible(jump.host, 40)} dated it {jump.at[:19]}Z, which is ahead of "
        f"{by} at {jump.clock[:19]}Z; one of the two clocks was wrong"
    )


def _order(event: Event) -> str:
    return event.at


def _latest(clock: str) -> str:
    """The latest time that is not taken for a jump by a clock."""
    try:
        return (datetime.fromisoformat(clock) + AHEAD).strftime(FORMAT)
    except OverflowError:
        return clock
