"""Statistics of two traffic arms (always-valid intervals) and of two reports (intervals and exact p-values).

A learner stays in one arm and some learners send many requests, so every variance is taken over the unit of
randomisation and not over requests. A fixed-horizon statistic has ``fixed`` in its name; everything else about arms
stays valid however often it is read. Implemented here because SciPy takes a second to import and is not in the base
install. It does not know traces, routes or models.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from modelspine.student_t import student_t_p

ALPHA = 0.05
"""Probability that a confidence sequence ever misses the true value."""
FEW_UNITS = 5
"""Minimum units in an arm: with fewer, the variance between units is unknown and there is no interval."""
SRM_UNITS = 100
"""Minimum units of both arms for a check of the split (sample-ratio mismatch)."""
SRM_ALARM = 100.0
"""Bayes factor above which the split counts as a sample-ratio mismatch."""
# Concentration of the Dirichlet prior around the set split: the larger, the smaller the mismatches it is tuned to.
_SRM_K = 100.0
# The variance of a t distribution is finite only above 2 degrees of freedom, and close to 2 too large to be of use.
_LEAST_FREEDOM = 3.0
SIGNIFICANT = 0.05
"""p-value below which a change is reported as unlikely to be chance."""
_Z = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


class Sums(msgspec.Struct, frozen=True):
    """Sums over an arm's units, each with ``n`` requests and an amount ``y`` (a count among them, or a total)."""

    units: int = 0
    n: float = 0.0
    y: float = 0.0
    weights: float = 0.0
    """Σ n² over units."""
    squares: float = 0.0
    """Σ (y - rate · n)² over units."""
    variance: float = 0.0
    """Variance of ``rate``: jackknife over units, so that a unit with many requests counts in full."""

    @property
    def rate(self) -> float:
        """The rate y / n, a share or a mean over requests; requires n ≥ 1."""
        return self.y / self.n

    @property
    def effective(self) -> float:
        """Effective sample size (Kish): the number of equally weighted units with the same information."""
        return self.n * self.n / self.weights if self.weights else 0.0

    @property
    def least_share_variance(self) -> float:
        """Lower limit for the variance of a share: that with one success and one failure added.

        Without it an arm that has only successes would have a variance of 0, as if its rate were certain.
        """
        near = (self.y + 1) / (self.n + 2)
        return near * (1 - near) / self.n


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's rate minus the stable arm's."""

    value: float
    low: float
    high: float
    """``low`` and ``high`` are the ends of the always-valid 95 % interval (a confidence sequence)."""
    fixed_p: float
    """p-value of a fixed-horizon z-test by unit: valid for a single look at an n chosen beforehand."""


def sums(units: Iterable[tuple[float, float]] | Mapping[tuple[float, float], int]) -> Sums:
    """Sum (n, y) over units, given one by one or counted by their (n, y); units with n = 0 are ignored.

    Units that are alike are summed up at once: of many thousand, there are few different ones.

    The variance of the rate is the jackknife estimate: how much the rate moves when each unit is left out.
    """
    alike = units if isinstance(units, Mapping) else Counter(units)
    kept = [(n, y, times) for (n, y), times in alike.items() if n]
    number = sum(times for *_, times in kept)
    total, right = math.fsum(times * n for n, _, times in kept), math.fsum(times * y for _, y, times in kept)
    left_out = [(times * (y - right / total * n) ** 2, total - n) for n, y, times in kept] if number > 1 else []
    return summed(number, total, right, math.fsum(times * n * n for n, _, times in kept), left_out)


def summed(units: int, total: float, right: float, weights: float, left_out: Sequence[tuple[float, float]]) -> Sums:
    """The sums of units; ``left_out`` are squares of residuals, each with the requests of all other units."""
    if units < 2:
        return Sums(units, total, right, total * total, 0.0, math.inf)
    squares = math.fsum(square for square, _ in left_out)
    jackknife = math.fsum(square / others**2 for square, others in left_out)
    # With few effective units the variance estimate is itself uncertain. Inflating it by the variance of a t
    # distribution with as many degrees of freedom keeps the intervals from being too narrow.
    freedom = total * total / weights - 1
    inflation = freedom / (freedom - 2) if freedom > _LEAST_FREEDOM else math.inf
    return Sums(units, total, right, weights, squares, jackknife * inflation)


def half_width(variance: float, n: float, horizon: float, alpha: float = ALPHA) -> float:
    """Half the width of the confidence sequence around an estimate.

    This is the normal-mixture boundary of Robbins, as in Waudby-Smith et al., "Time-uniform central limit theory and
    asymptotic confidence sequences". Its mixture parameter is chosen so that the interval is narrowest at ``horizon``.

    Args:
        variance: variance of the estimate.
        n: number of units it is based on.
        horizon: n at which the interval is narrowest; it affects the width, never the coverage.
        alpha: probability that the sequence ever misses the true value.
    """
    if variance <= 0:
        return 0.0
    s2, log = n * variance, 2 * math.log(1 / alpha)
    v, r = n * s2, horizon * s2 / (log + math.log(1 + log))
    return math.sqrt((v + r) * math.log((v + r) / (r * alpha * alpha))) / n


def difference(stable: Sums, candidate: Sums, *, horizon: float, share: bool = True) -> Difference | None:
    """The difference of two rates with its confidence sequence; None if an arm has too few units.

    ``share`` says that ``y`` counts some of the ``n`` requests; otherwise the rate is a mean.
    """
    variance = variance_of_difference(stable, candidate, share=share)
    if not math.isfinite(variance):
        return None
    units = stable.units + candidate.units
    return estimated(candidate.rate - stable.rate, variance, units, horizon=horizon, share=share)


def estimated(value: float, variance: float, units: int, *, horizon: float, share: bool) -> Difference:
    """An estimate of a difference from so many units, with its confidence sequence.

    That of a difference of shares (``share``) ends at what is possible: no two shares are further apart than 1.
    """
    half = half_width(variance, units, horizon)
    z = abs(value) / math.sqrt(variance) if variance > 0 else (math.inf if value else 0.0)
    most = 1.0 if share else math.inf
    return Difference(
        value=value,
        low=max(-most, value - half),
        high=min(most, value + half),
        fixed_p=math.erfc(z / math.sqrt(2)),
    )


def variance_of_difference(stable: Sums, candidate: Sums, *, share: bool = True) -> float:
    """The variance of the difference of two rates; infinite if an arm has too few units to know it."""
    if min(stable.units, candidate.units) < FEW_UNITS:
        return math.inf
    # Each arm uses the larger of its own and the pooled variance: a few units that happen to agree would otherwise
    # make their arm look more certain than it is.
    spread = (stable.squares + candidate.squares) / (stable.weights + candidate.weights)
    return sum(
        max(arm.variance, spread / arm.effective, arm.least_share_variance if share else 0.0)
        for arm in (stable, candidate)
    )


def share_worse(stable: Sequence[float], candidate: Sequence[float], *, horizon: float) -> Difference | None:
    """How often a unit of the candidate has a lower rate than one of the stable arm, minus one half.

    This is the Mann-Whitney statistic over all pairs of units of the two arms, with the variance of DeLong, DeLong and
    Clarke-Pearson (1988) and an always-valid interval. A pair of equal rates does not count as worse, so that without
    any difference the value lies below zero. It sees what a mean can hide: most units losing a little while a few
    gain a lot.

    Args:
        stable: the rate of each unit of the stable arm, ascending.
        candidate: the same for the candidate.
        horizon: the number of units of both arms at which the interval is narrowest.

    Returns:
        None where an arm has fewer than ``FEW_UNITS`` units.
    """
    m, n = len(stable), len(candidate)
    if min(m, n) < FEW_UNITS:
        return None
    # For each unit the share of the other arm's units against which it is the worse or the better one.
    lost = [(m - bisect_right(stable, rate)) / m for rate in candidate]
    won = [bisect_left(candidate, rate) / n for rate in stable]
    share = math.fsum(lost) / n
    variance = math.fsum((x - share) ** 2 for x in lost) / (n - 1) / n
    variance += math.fsum((x - share) ** 2 for x in won) / (m - 1) / m
    # Where all pairs agree, the estimated variance is 0; one more pair of units that does not agree limits it.
    near = (share * min(m, n) + 1) / (min(m, n) + 2)
    variance = max(variance, near * (1 - near) / min(m, n))
    value = share - 0.5
    half = half_width(variance, m + n, horizon)
    p = math.erfc(abs(value) / math.sqrt(2 * variance))
    return Difference(value=value, low=max(-0.5, value - half), high=min(0.5, value + half), fixed_p=p)


def mismatch(units: Sequence[int], weights: Sequence[float]) -> float:
    """Bayes factor for a sample-ratio mismatch: the split of ``units`` differs from the one ``weights`` set.

    It is a Dirichlet-multinomial marginal likelihood against the set shares, and always valid: above ``SRM_ALARM``
    something loses or moves units. Units in an arm of weight 0 give infinity. Weights may have any sum.
    """
    total = sum(weights)
    if any(n and not weight for n, weight in zip(units, weights, strict=True)):
        return math.inf
    log = math.lgamma(_SRM_K) - math.lgamma(_SRM_K + sum(units))
    for n, weight in zip(units, weights, strict=True):
        if weight:
            share = weight / total
            log += math.lgamma(_SRM_K * share + n) - math.lgamma(_SRM_K * share) - n * math.log(share)
    return math.exp(min(log, 700.0))  # exp overflows a double just above 709


def welch_fixed_p(stable: Sequence[float], candidate: Sequence[float]) -> float | None:
    """Two-sided fixed-horizon p-value of Welch's t-test on unit means; None with fewer than two units in an arm."""
    arms = (stable, candidate)
    if min(map(len, arms)) < 2:
        return None
    means = [math.fsum(arm) / len(arm) for arm in arms]
    variances = [
        math.fsum((x - mean) ** 2 for x in arm) / (len(arm) - 1) / len(arm)
        for arm, mean in zip(arms, means, strict=True)
    ]
    if not sum(variances):
        return 1.0 if means[0] == means[1] else 0.0
    freedom = sum(variances) ** 2 / sum(v * v / (len(arm) - 1) for v, arm in zip(variances, arms, strict=True))
    return student_t_p((means[1] - means[0]) / math.sqrt(sum(variances)), freedom)


def decile_edges(counts: Mapping[float, int]) -> list[float]:
    """The upper edges of up to ten ranges of numbers, given as value → how often; the last range is open.

    A value is an edge where the cumulative count passes another tenth. So equal values are never divided, and a
    frequent value makes fewer ranges instead of empty ones.
    """
    ordered, total = sorted(counts.items()), sum(counts.values())
    edges: list[float] = []
    below = 0
    for value, count in ordered[:-1]:
        before, below = below, below + count
        if below * 10 // total > before * 10 // total:
            edges.append(value)
    return edges


def wilson(k: float, n: float) -> tuple[float, float]:
    """The Wilson 95 % interval of the share k/n; n is positive, and a fraction where it is an effective sample size."""
    share, z2 = k / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At the ends the formula gives exactly 0 and 1; rounding errors must not show.
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact McNemar p-value: the probability of flips this lopsided if both directions are equally likely."""
    flips, fewer = lost + gained, min(lost, gained)
    if lost == gained:
        return 1.0
    log_first = math.lgamma(flips + 1) - math.lgamma(fewer + 1) - math.lgamma(flips - fewer + 1) - flips * math.log(2)
    # The binomial tail, summed from its largest term down relative to it; each term follows from its neighbour, so
    # that no factorial overflows.
    term = total = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (flips - k + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * math.exp(log_first) * total)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value adjusted for multiple comparisons by Holm (controls the family-wise error rate)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value adjusted for multiple comparisons by Benjamini-Hochberg (controls the false discovery rate)."""
    adjusted: dict[str, float] = {}
    lowest, count = 1.0, len(p_values)
    ordered = sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))
    for rank, (name, p) in reversed([*enumerate(ordered, 1)]):
        lowest = min(lowest, p * count / rank)
        adjusted[name] = lowest
    return adjusted
