"""Conversions between times as people type them, as traces store them (UTC nanoseconds), and as the ledger does.

The ledger's format is RFC 3339 in UTC with six fractional digits, so that comparing texts compares times.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelspine.errors import BadInput
from modelspine.text import visible

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def moment(text: str) -> str:
    """A time that a person typed, in the ledger's format. Without a zone it is UTC; a date means the end of that day.

    Raises:
        BadInput: the text is not an ISO 8601 date or time.
    """
    try:
        when = datetime.fromisoformat(text)
        if len(text) <= len("2026-11-22"):
            when += timedelta(days=1, microseconds=-1)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return when.astimezone(UTC).strftime(FORMAT)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{visible(text, 60)!r} is not a time", "write it as 2026-11-22, 2026-11-22T14:03 or 2026-11-22T14:03:11Z"
        ) from error


def ledger_time(ns: int) -> str:
    """A trace's time (UTC nanoseconds since 1970) in the ledger's format."""
    return (_EPOCH + timedelta(microseconds=ns // 1_000)).strftime(FORMAT)


def nanoseconds(moment: datetime | str) -> int:
    """A moment, or a time in the ledger's format, as UTC nanoseconds since 1970 with microsecond precision."""
    # Integer division, because a float of today's nanoseconds is only exact to about 200 of them.
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (when - _EPOCH) // timedelta(microseconds=1) * 1_000


def after_ns(at: str) -> int:
    """The exclusive upper bound, in UTC nanoseconds since 1970, of the traces that existed at a ledger time."""
    return nanoseconds(at) + 1_000  # ledger times are whole microseconds: that microsecond is still included


def age(at: str, now: datetime) -> str:
    """How long ago a ledger time was, in one unit: ``40 s``, ``12 min``, ``3 h``, ``6 d``."""
    # Clocks of two hosts may disagree by seconds: an event "from the future" is shown as 0 s.
    seconds = max(0.0, (now - datetime.fromisoformat(at)).total_seconds())
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // 86_400)} d"
