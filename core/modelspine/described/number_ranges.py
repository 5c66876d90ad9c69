"""Ranges of numbers as names of evaluation buckets, such as ``label/> 3.2 to 5``: made on one set, found again later.

The edges are the deciles of the items, so the ranges hold about equally many. The name says the whole range, so that a
report alone tells in which bucket a number belongs. It does not know what the numbers mean.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from modelspine.stats import decile_edges

_NUMBER = r"(-?[0-9][0-9.e+-]*)"
_BELOW = re.compile(f"≤ {_NUMBER}")
_BETWEEN = re.compile(f"> {_NUMBER} to {_NUMBER}")
_ABOVE = re.compile(f"> {_NUMBER}")


def edges_of(values: Iterable[float]) -> tuple[float, ...]:
    """The upper edges of up to ten ranges, the last of which is open; fewer where values repeat."""
    return tuple(decile_edges(Counter(map(_rounded, values))))


def range_of(edges: Sequence[float], value: float) -> str:
    """The name of the range that holds a number."""
    place = bisect_left(edges, _rounded(value))
    if not edges:
        return "any"
    if place == 0:
        return f"≤ {_shown(edges[0])}"
    if place == len(edges):
        return f"> {_shown(edges[-1])}"
    return f"> {_shown(edges[place - 1])} to {_shown(edges[place])}"


def holds(name: str, value: float) -> bool:
    """Whether the range of this name holds a number; False for a name that is no range."""
    value = _rounded(value)
    if name == "any":
        return True
    try:
        if (found := _BELOW.fullmatch(name)) is not None:
            return value <= float(found[1])
        if (found := _BETWEEN.fullmatch(name)) is not None:
            return float(found[1]) < value <= float(found[2])
        found = _ABOVE.fullmatch(name)
        return found is not None and value > float(found[1])
    except ValueError:  # such as 1.2.3
        return False


def _rounded(value: float) -> float:
    """The number that its shown form has, so that a value at an edge is on the same side wherever it is looked up."""
    return float(_shown(value))


def _shown(value: float) -> str:
    return f"{value + 0.0:.9g}"  # + 0.0 makes 0 of -0
