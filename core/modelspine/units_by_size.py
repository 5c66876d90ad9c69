"""Sums over units that were counted by their number of requests, so that millions of units are few rows.

What is summed up so can be added over files and machines, and gives the same variance as the units one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from modelspine.stats import Sums, summed


class Sized(NamedTuple):
    """Units with the same number of requests: what their amounts sum up to."""

    n: float
    """Requests of each of them."""
    units: int
    y: float
    """The sum of their amounts."""
    squares: float
    """The sum of the squares of their amounts."""


def sums_by_size(sized: Iterable[Sized]) -> Sums:
    """``stats.sums`` of units that were counted by their number of requests."""
    kept = [each for each in sized if each.n]
    units = sum(each.units for each in kept)
    total, right = math.fsum(each.n * each.units for each in kept), math.fsum(each.y for each in kept)
    rate = right / total if total else 0.0
    # Σ (y − rate · n)² over units of one size n; rounding may make a sum of equal amounts slightly negative.
    squares = [max(0.0, e.squares - 2 * rate * e.n * e.y + (rate * e.n) ** 2 * e.units) for e in kept]
    left_out = [(square, total - each.n) for square, each in zip(squares, kept, strict=True)] if units > 1 else []
    return summed(units, total, right, math.fsum(each.n * each.n * each.units for each in kept), left_out)
