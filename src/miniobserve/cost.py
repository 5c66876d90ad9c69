"""What a request cost: the seconds it held the machine, at the rate that held then.

The one place where seconds become money. The price is frozen on the trace with its rate and version;
whoever shows a cost reads that number. It does not measure time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CURRENCY = "USD"


class CostMeter(NamedTuple):
    """A rate for an hour of this machine; None where nobody knows it, and then nothing has a price."""

    rate_per_hour: float | None
    price_version: str

    def price(self, stages: Mapping[str, float]) -> float | None:
        """Price of these stage seconds, in ``CURRENCY``; None, never 0, where the rate or what was spent is unknown."""
        if self.rate_per_hour is None or not stages:
            return None
        return sum(stages.values()) * self.rate_per_hour / 3600.0


def by_stage(cost: float | None, stages: Mapping[str, float]) -> dict[str, float]:
    """A frozen price parted over its stages by their seconds; empty where there is no price or no second."""
    seconds = sum(stages.values())
    if cost is None or not seconds:
        return {}
    return {stage: cost * spent / seconds for stage, spent in stages.items()}
