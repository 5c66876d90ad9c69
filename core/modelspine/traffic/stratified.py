"""The difference of two arms over all epochs of a rollout, although the weight and the traffic changed between them.

Each epoch is compared by itself, because another weight gives an arm another share of the easy and the hard days:
adding up the requests of all epochs would compare Mondays with Sundays (Simpson's paradox). The differences are then
weighted by inverse variance. A learner may answer to one arm in one epoch and to the other in the next, so epochs are
not independent, and the variance of the whole is summed up by unit across epochs. Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from modelspine.stats import Difference, Sums, estimated, sums, variance_of_difference
from modelspine.traffic.votes import Stratum


class Pooled(msgspec.Struct, frozen=True, kw_only=True):
    """A difference over several epochs."""

    difference: Difference
    epochs: tuple[int, ...]
    """The epochs it rests on; an epoch with too few units in an arm is not among them."""
    units: int
    """Distinct units of both arms in these epochs."""


class _Part(msgspec.Struct, frozen=True):
    """One epoch's difference."""

    number: int
    value: float
    variance: float
    weight: float
    """Not normalised."""
    influence: Mapping[str, float]
    """Unit → how much it moves the difference; their squares sum up to ``variance``."""


def pooled(strata: Sequence[tuple[int, Stratum]], *, horizon: float, share: bool = True) -> Pooled | None:
    """The difference over all epochs that can be compared, with its confidence sequence; None if none of them can.

    The variance is Σᵢ (Σₑ wₑ φᵢₑ)²: the influence φ of a unit is added over the epochs it was seen in before it is
    squared (Liang and Zeger 1986, clusters), and is at least Σₑ wₑ² vₑ, that of independent epochs.

    Args:
        strata: the seq of each epoch with its votes.
        horizon: the number of units at which the interval is narrowest.
        share: whether amounts count some of the answers; otherwise the rate is a mean.
    """
    parts = [part for number, votes in strata if (part := _part(number, votes, share=share)) is not None]
    if not parts:
        return None
    total = math.fsum(part.weight for part in parts)
    moved: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for unit, influence in part.influence.items():
            moved[unit] += part.weight / total * influence
    independent = math.fsum((part.weight / total) ** 2 * part.variance for part in parts)
    variance = max(independent, math.fsum(influence**2 for influence in moved.values()))
    value = math.fsum(part.weight * part.value for part in parts) / total
    found = estimated(value, variance, len(moved), horizon=horizon, share=share)
    return Pooled(difference=found, epochs=tuple(part.number for part in parts), units=len(moved))


def _part(number: int, votes: Stratum, *, share: bool) -> _Part | None:
    stable, candidate = sums(votes.stable.values()), sums(votes.candidate.values())
    variance = variance_of_difference(stable, candidate, share=share)
    if not math.isfinite(variance):
        return None
    influence: dict[str, float] = {}
    for sign, arm, own in ((-1.0, stable, votes.stable), (1.0, candidate, votes.candidate)):
        for unit, (n, amount) in own.items():
            # Within one epoch a unit is in one arm; were it in both, its influences would add up.
            influence[unit] = influence.get(unit, 0.0) + sign * (amount - arm.rate * n) / (arm.n - n)
    raw = math.fsum(value**2 for value in influence.values())
    # The variance has lower limits that the influences do not know; scaled to it, they carry these limits along.
    scale = math.sqrt(variance / raw) if raw else 0.0
    return _Part(
        number=number,
        value=candidate.rate - stable.rate,
        variance=variance,
        weight=1.0 / _common_variance(stable, candidate, variance, share=share),
        influence={unit: value * scale for unit, value in influence.items()},
    )


def _common_variance(stable: Sums, candidate: Sums, variance: float, *, share: bool) -> float:
    """The variance of the difference if both arms were alike, which decides an epoch's weight.

    An arm that was lucky has a small variance of its own. If that decided, lucky epochs would count for more.
    """
    spread = (stable.squares + candidate.squares) / (stable.weights + candidate.weights)
    found = spread * (1 / stable.effective + 1 / candidate.effective)
    if share:
        near = (stable.y + candidate.y + 1) / (stable.n + candidate.n + 2)
        found = max(found, near * (1 - near) * (1 / stable.n + 1 / candidate.n))
    return found or variance or 1e-12
