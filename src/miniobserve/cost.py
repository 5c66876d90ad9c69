"""The cost of a request: the seconds it used the machine, at the hourly rate configured at that time.

This is the only place where seconds become money. The price is stored on the trace with its rate and version, and
every report reads it from there. This module does not measure time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CURRENCY = "USD"


class CostMeter(NamedTuple):
    """The machine's hourly rate; without one, requests have no price."""

    rate_per_hour: float | None
    price_version: str

    def price(self, stages: Mapping[str, float]) -> float | None:
        """Return the price of these stage seconds in ``CURRENCY``: seconds × hourly rate / 3600.

        The price is None, never 0, if the rate or the seconds are unknown.
        """
        if self.rate_per_hour is None or not stages:
            return None
        return sum(stages.values()) * self.rate_per_hour / 3600.0


def by_stage(cost: float | None, stages: Mapping[str, float]) -> dict[str, float]:
    """Split a stored price over its stages in proportion to their seconds; empty without a price or seconds."""
    seconds = sum(stages.values())
    if cost is None or not seconds:
        return {}
    return {stage: cost * spent / seconds for stage, spent in stages.items()}
