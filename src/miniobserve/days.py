"""Days (UTC): as ``YYYY-MM-DD``, as a number since 1970, and as a span of nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from miniobserve.schema import DAY_NS, storable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = -719_162, 2_932_896
"""The first and the last day that a date can have."""


def day_range(day: str) -> tuple[int, int]:
    """Return the first nanosecond of a day (``YYYY-MM-DD``, UTC) and of the next day.

    A day before 1677 or after 2262, which no stored time can reach, gives an empty span at that end.

    Raises:
        ValueError: ``day`` is not a valid date.

    """
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    first = (start - EPOCH) // timedelta(microseconds=1) * 1000
    return storable(first), storable(first + DAY_NS)


def day_number(day: str) -> int:
    """Return the number of a day ``YYYY-MM-DD``: days since 1970."""
    return day_range(day)[0] // DAY_NS


def date_of(number: int) -> str:
    """Return a day as ``YYYY-MM-DD``; the nearest one that a date can have."""
    return (EPOCH + timedelta(days=max(_NUMBERS[0], min(number, _NUMBERS[1])))).date().isoformat()
