"""Conversions between times as people type them, as traces store them (UTC nanoseconds), and as the ledger does.

The ledger's format is RFC 3339 in UTC with six fractional digits, so that comparing texts compares times.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from modelspine.errors import BadInput
from modelspine.text import visible

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_TO_END = timedelta(days=1, microseconds=-1)
"""From the beginning of a day to its end."""
_LAST_NS = 2**63 - 1
"""The last time that a trace store can hold, in 2262."""
_LEAST = 3
"""Letters that name a weekday."""


HINT = (
    "write it as 2026-11-22, 2026-11-22T14:03, thursday, yesterday 14:00, 08:15, 20m or 3d (that long ago), or #16 "
    "(an event of the ledger); all in UTC"
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"-?(\d{1,6}) ?(s|m|min|h|d|w)(?: ago)?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))? ?(?:utc|z)?", re.ASCII)
_EVENT = re.compile(r"#(\d{1,9})", re.ASCII)


def moment(text: str, now: datetime | None = None) -> str:
    """A time that a person typed, in the ledger's format.

    Without a zone it is UTC. A date, or a word for a day, means the end of that day. A weekday or a clock time alone
    means the newest one that has begun. ``now`` is the present, from which words count; by default the clock's.

    Raises:
        BadInput: the text is not a time.
    """
    now = (datetime.now(UTC) if now is None else now).astimezone(UTC)
    try:
        when = _spoken(" ".join(text.lower().split()), now)
        return (_written(text) if when is None else when).astimezone(UTC).strftime(FORMAT)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{visible(text, 60)!r} is not a time", HINT) from error


def event_number(text: str) -> int | None:
    """The seq of the event that a person named as a time, such as ``#16``; None for any other text."""
    found = _EVENT.fullmatch(text.strip())
    return int(found[1]) if found is not None else None


def day(text: str, now: datetime | None = None) -> str:
    """A day that a person typed, as YYYY-MM-DD: a date, a weekday, ``today``, ``yesterday`` or ``3d``.

    Raises:
        BadInput: the text is not a day.
    """
    now = (datetime.now(UTC) if now is None else now).astimezone(UTC)
    try:
        words = " ".join(text.lower().split())
        if ":" in words or words == "now":
            raise ValueError("a time of a day is no day")
        when = _spoken(words, now)
        return (date.fromisoformat(text) if when is None else when.date()).isoformat()
    except (ValueError, OverflowError) as error:
        hint = "write it as 2026-11-22, yesterday, thursday or 3d (three days ago)"
        raise BadInput(f"{visible(text, 40)!r} is not a day", hint) from error


def _written(text: str) -> datetime:
    """An ISO 8601 date or time."""
    when = datetime.fromisoformat(text)
    if len(text) <= len("2026-11-22"):
        when += _TO_END
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def _spoken(words: str, now: datetime) -> datetime | None:
    """A time in words, in lower case and with single spaces; None if the text has no such form."""
    if words == "now":
        return now
    if (ago := _AGO.fullmatch(words)) is not None:
        return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    if _CLOCK.fullmatch(words) is not None:
        return _newest(_at(now, words), now, days=1)
    name, _, clock = words.partition(" ")
    if name in ("today", "yesterday"):
        return _at(now - timedelta(days=int(name == "yesterday")), clock)
    number = next((n for n, known in enumerate(_DAYS) if len(name) >= _LEAST and known.startswith(name)), None)
    if number is None:
        return None
    weekday = now - timedelta(days=(now.weekday() - number) % 7)
    return _newest(_at(weekday, clock), now, days=7) if clock else _at(weekday, "")


def _at(day: datetime, clock: str) -> datetime:
    """A clock time of a day; without one, the end of the day."""
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    if not clock:
        return midnight + _TO_END
    found = _CLOCK.fullmatch(clock)
    if found is None:
        raise ValueError("no clock time")
    return midnight.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0))


def _newest(when: datetime, now: datetime, *, days: int) -> datetime:
    """A repeated time, or the one before it where it is still ahead."""
    return when if when <= now else when - timedelta(days=days)


def ledger_time(ns: int) -> str:
    """A trace's time (UTC nanoseconds since 1970) in the ledger's format."""
    return (_EPOCH + timedelta(microseconds=ns // 1_000)).strftime(FORMAT)


def nanoseconds(moment: datetime | str) -> int:
    """A moment, or a time in the ledger's format, as UTC nanoseconds since 1970 with microsecond precision."""
    # Integer division, because a float of today's nanoseconds is only exact to about 200 of them.
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (when - _EPOCH) // timedelta(microseconds=1) * 1_000


def trace_ns(at: datetime) -> int:
    """When a request began, as UTC nanoseconds since 1970.

    Raises:
        BadInput: the time has no zone, or no trace can have it.
    """
    if at.utcoffset() is None:
        raise BadInput("`at` has no time zone", "use datetime.now(UTC)")
    found = nanoseconds(at)
    if not 0 <= found <= _LAST_NS:
        raise BadInput(f"`at` is {at.isoformat()}, and a trace begins between 1970 and 2262", "give the request's time")
    return found


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
