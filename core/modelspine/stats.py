"""Statistics: of two arms, true however often somebody looks; of two reports, intervals and exact p-values.

Learners are sticky and some are heavy, so the unit of randomisation is the unit of every variance here. What is
only true at one look, fixed beforehand, says so in its name. Small and exact on purpose: the libraries that hold
the same tests take a second to import. It does not know traces, routes or models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

ALPHA = 0.05
FEW_UNITS = 5
"""Under this many units in an arm the variance between units is not known, and no interval is given."""
SRM_UNITS = 100
SRM_ALARM = 100.0
"""Bayes factor beyond which the split is not the one that was set."""
_SRM_K = 100.0
_LEAST_FREEDOM = 3.0
SIGNIFICANT = 0.05
_Z = 1.959963984540054
"""The standard normal's 97.5 % quantile."""


class Sums(msgspec.Struct, frozen=True):
    """An arm's units, each with ``n`` requests and ``y`` of something among them, added up."""

    units: int = 0
    n: float = 0.0
    y: float = 0.0
    weights: float = 0.0
    """Σ n² over units."""
    squares: float = 0.0
    """Σ (y - rate · n)² over units."""
    variance: float = 0.0
    """Of ``rate``: the jackknife over units, which a heavy one cannot hide in."""

    @property
    def rate(self) -> float:
        """The share, or the mean, over requests; n ≥ 1."""
        return self.y / self.n

    @property
    def effective(self) -> float:
        """Units of equal weight that would know as much (Kish)."""
        return self.n * self.n / self.weights if self.weights else 0.0

    @property
    def least_share_variance(self) -> float:
        """Of a share: that with one more right and one more wrong answer.

        An arm without one wrong answer has a spread of 0 and is not known for sure.
        """
        near = (self.y + 1) / (self.n + 2)
        return near * (1 - near) / self.n


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's rate less the stable arm's."""

    value: float
    low: float
    high: float
    """Ends of the confidence sequence at 95 %: true at all looks together."""
    fixed_p: float
    """Two-proportion z, by unit: only for one look at an n fixed beforehand."""


def sums(units: Iterable[tuple[float, float]]) -> Sums:
    """Add up (n, y) of each unit; units without any n are none.

    Each unit's pull on the rate is what the rate moves by without it. The last factor is what a t distribution
    has over a normal one: few units know their own spread badly.
    """
    kept = [(n, y) for n, y in units if n]
    total = math.fsum(n for n, _ in kept)
    if len(kept) < 2:
        return Sums(len(kept), total, math.fsum(y for _, y in kept), total * total, 0.0, math.inf)
    right = math.fsum(y for _, y in kept)
    rate = right / total
    squares = [(y - rate * n) ** 2 for n, y in kept]
    pulls = math.fsum(square / (total - n) ** 2 for square, (n, _) in zip(squares, kept, strict=True))
    weights = math.fsum(n * n for n, _ in kept)
    freedom = total * total / weights - 1
    inflated = freedom / (freedom - 2) if freedom > _LEAST_FREEDOM else math.inf
    return Sums(len(kept), total, right, weights, math.fsum(squares), pulls * inflated)


def half_width(variance: float, n: float, horizon: float, alpha: float = ALPHA) -> float:
    """Half the width of the confidence sequence around an estimate.

    Args:
        variance: of the estimate.
        n: units it rests on.
        horizon: n at which it should be narrowest; chosen beforehand, it moves the width and not the truth.
        alpha: how often it may ever be wrong.
    """
    if variance <= 0:
        return 0.0
    s2 = n * variance
    v = n * s2
    log = 2 * math.log(1 / alpha)
    r = horizon * s2 / (log + math.log(1 + log))
    return math.sqrt((v + r) * math.log((v + r) / (r * alpha * alpha))) / n


def difference(stable: Sums, candidate: Sums, *, horizon: float, share: bool = True) -> Difference | None:
    """The difference of two rates with its confidence sequence; None where an arm has too few units.

    An arm's variance is its own, or that of the spread of both arms' units where that is the larger one: few units
    do not show how different units are. ``share`` says that ``y`` counts some of the ``n``; otherwise the rate is a
    mean.
    """
    if min(stable.units, candidate.units) < FEW_UNITS:
        return None
    spread = (stable.squares + candidate.squares) / (stable.weights + candidate.weights)
    variance = sum(
        max(arm.variance, spread / arm.effective, arm.least_share_variance if share else 0.0)
        for arm in (stable, candidate)
    )
    if not math.isfinite(variance):
        return None
    value = candidate.rate - stable.rate
    half = half_width(variance, stable.units + candidate.units, horizon)
    z = abs(value) / math.sqrt(variance) if variance > 0 else (math.inf if value else 0.0)
    return Difference(value=value, low=value - half, high=value + half, fixed_p=math.erfc(z / math.sqrt(2)))


def mismatch(units: Sequence[int], weights: Sequence[float]) -> float:
    """Bayes factor for another split than the weights (of any sum) say, given distinct units an arm.

    Safe to look at as often as one likes: beyond ``SRM_ALARM`` something loses or moves units. An arm of
    weight 0 that has units is infinitely much evidence.
    """
    total = sum(weights)
    if any(n and not weight for n, weight in zip(units, weights, strict=True)):
        return math.inf
    log = math.lgamma(_SRM_K) - math.lgamma(_SRM_K + sum(units))
    for n, weight in zip(units, weights, strict=True):
        if weight:
            share = weight / total
            log += math.lgamma(_SRM_K * share + n) - math.lgamma(_SRM_K * share) - n * math.log(share)
    return math.exp(min(log, 700.0))


def welch_fixed_p(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Two-sided Welch p of two lists of unit means, for one look; None under two units an arm."""
    if min(len(one), len(other)) < 2:
        return None
    means = [math.fsum(each) / len(each) for each in (one, other)]
    parts = [
        math.fsum((x - mean) ** 2 for x in each) / (len(each) - 1) / len(each)
        for each, mean in zip((one, other), means, strict=True)
    ]
    if not sum(parts):
        return 1.0 if means[0] == means[1] else 0.0
    freedom = sum(parts) ** 2 / sum(p * p / (len(each) - 1) for p, each in zip(parts, (one, other), strict=True))
    return student_t_p((means[1] - means[0]) / math.sqrt(sum(parts)), freedom)


def student_t_p(t: float, freedom: float) -> float:
    """How often a Student's t with this much freedom is at least as far from 0, on either side.

    It is the regularised incomplete beta function I_x(freedom/2, 1/2) at x = freedom/(freedom + t²). SciPy has it
    too and is 143 MB, so this one function keeps the report of a route within the base install.
    """
    a, b, square = freedom / 2, 0.5, t * t
    x, rest = freedom / (freedom + square), square / (freedom + square)
    if rest == 0.0 or x == 0.0:
        return 1.0 if rest == 0.0 else 0.0
    log_power = -a * math.log1p(square / freedom) + b * math.log(rest)
    ratio = math.lgamma(a + b) - math.lgamma(a)
    if a > 100:  # the difference of two large numbers loses digits that its series keeps
        ratio = 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    front = math.exp(ratio - math.lgamma(b) + log_power)
    if x < (a + 1) / (a + b + 2):  # the fraction converges fast on this side of the mean alone
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, rest) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, from its first term on (Lentz's method)."""
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / ((1.0 + term * d) or 1e-300)
            c = (1.0 + term / c) or 1e-300
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def wilson(k: int, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share, for n ≥ 1."""
    share, z2 = k / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


def mcnemar(lost: int, gained: int) -> float:
    """The two-sided exact McNemar p: how likely flips this lopsided are when either way is as likely."""
    flips, fewer = lost + gained, min(lost, gained)
    if lost == gained:
        return 1.0
    log_first = math.lgamma(flips + 1) - math.lgamma(fewer + 1) - math.lgamma(flips - fewer + 1) - flips * math.log(2)
    # The binomial's tail from its largest term down, each term from its neighbour.
    term = total = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (flips - k + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * math.exp(log_first) * total)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value after Holm's correction for having looked at all of them."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value after Benjamini and Hochberg's correction for having looked at all of them."""
    adjusted: dict[str, float] = {}
    lowest, count = 1.0, len(p_values)
    ordered = sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))
    for rank, (name, p) in reversed([*enumerate(ordered, 1)]):
        lowest = min(lowest, p * count / rank)
        adjusted[name] = lowest
    return adjusted
