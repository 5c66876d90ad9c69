"""A difference of two arms with its interval, as text. It measures nothing."""

from __future__ import annotations

from modelspine.stats import Difference


def points(found: Difference) -> str:
    """Format a difference of proportions and its interval in percentage points.

    The interval is cut at what is possible; where nothing else is left of it, the text says so.
    """
    whole = ", all that is possible" if found.low <= -1 and found.high >= 1 else ""
    return f"{100 * found.value:+.1f} pp [{100 * found.low:+.1f}, {100 * found.high:+.1f}{whole}]"


def milliseconds(found: Difference) -> str:
    """Format a difference of seconds and its interval in milliseconds."""
    return f"{1000 * found.value:+.1f} ms [{1000 * found.low:+.1f}, {1000 * found.high:+.1f}]"
