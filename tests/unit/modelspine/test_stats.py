"""The statistics of two arms: their formulas, and how often each cries wolf when it is looked at all the time.

Learners are heavy: 40 of 200 send most, and each has a skill of their own. Beside every statistic stands its broken
twin, which counts requests as if they were independent; the simulation would be worth nothing if it passed too.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator

from modelspine.stats import (
    FEW_UNITS,
    SRM_ALARM,
    SRM_UNITS,
    Sums,
    difference,
    half_width,
    mismatch,
    share_worse,
    sums,
    welch_fixed_p,
)
from modelspine.traffic.difference_text import points

RUNS = 150
EVERY = 50


class Traffic(NamedTuple):
    """Requests in order: who asked, which arm answered, whether the answer was right."""

    who: np.ndarray
    arm: np.ndarray
    right: np.ndarray


def draw(
    rng: Generator,
    *,
    weight: float,
    share: float = 0.9,
    requests: int = 3_000,
    lift: float = 0.0,
    tail: float = 8.0,
    heavy: int = 40,
) -> Traffic:
    learners = 200
    amount = np.ones(learners)
    amount[:heavy] = 4 + tail * rng.pareto(1.2, heavy)
    who = rng.choice(learners, size=requests, p=amount / amount.sum())
    arms = (rng.random(learners) < weight).astype(int)
    skill = np.clip(rng.beta(8 * share, 8 * (1 - share), learners) + lift * arms, 0, 1)
    return Traffic(who, arms[who], (rng.random(requests) < skill[who]).astype(int))


def looks(traffic: Traffic) -> list[tuple[Sums, Sums]]:
    """Both arms' sums after every 50th request."""
    counts = np.zeros((2, 200)), np.zeros((2, 200))
    found = []
    for start in range(0, len(traffic.who), EVERY):
        piece = slice(start, start + EVERY)
        at = traffic.arm[piece], traffic.who[piece]
        np.add.at(counts[0], at, 1)
        np.add.at(counts[1], at, traffic.right[piece])
        one, other = (sums(zip(counts[0][arm].tolist(), counts[1][arm].tolist(), strict=True)) for arm in (0, 1))
        found.append((one, other))
    return found


def naive_p(one: Sums, other: Sums) -> float:
    """The broken twin: a two-proportion z-test of requests."""
    if not one.n or not other.n:
        return 1.0
    pooled = (one.y + other.y) / (one.n + other.n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / one.n + 1 / other.n))
    return math.erfc(abs(other.rate - one.rate) / error / math.sqrt(2)) if error else 1.0


def own_spread(one: Sums, other: Sums) -> float | None:
    """Another broken twin: half the width where each arm's variance is from its own units alone."""
    variance = one.variance + other.variance
    few = min(one.units, other.units) < FEW_UNITS or not math.isfinite(variance)
    return None if few else half_width(variance, one.units + other.units, 200)


@pytest.mark.long
@pytest.mark.parametrize(
    ("weight", "share", "heavy"), [(0.5, 0.97, 40), (0.1, 0.9, 40), (0.1, 0.9, 0)], ids=["half", "tenth", "even"]
)
def test_the_confidence_sequence_is_right_at_every_look(weight: float, share: float, heavy: int) -> None:
    """Twenty learners of even weight say little about the spread between learners: both arms' learners do."""
    rng = np.random.default_rng(7)
    wrong = naive = own = intervals = 0
    for _ in range(RUNS):
        seen = looks(draw(rng, weight=weight, share=share, heavy=heavy))
        found = [each for each in (difference(*pair, horizon=200) for pair in seen) if each is not None]
        intervals += len(found)
        wrong += any(each.low > 0 or each.high < 0 for each in found)
        naive += any(naive_p(*pair) < 0.05 for pair in seen)
        own += any(abs(pair[1].rate - pair[0].rate) > half for pair in seen if (half := own_spread(*pair)) is not None)
    assert intervals > RUNS * 20
    assert wrong / RUNS <= 0.05
    assert naive / RUNS >= 0.20
    assert heavy or own / RUNS >= 0.08


def test_the_tests_for_one_look_are_right_at_one_look() -> None:
    """By unit: a z-test of shares, and Welch on unit means of skewed latencies. By request the same z is not."""
    rng = np.random.default_rng(6)
    z = naive = welch = 0
    for _ in range(RUNS):
        one, other = looks(draw(rng, weight=0.5, requests=1_500))[-1]
        found = difference(one, other, horizon=200)
        z += found is not None and found.fixed_p < 0.05
        naive += naive_p(one, other) < 0.05
        means = rng.lognormal(0, 0.8, 200)
        p = welch_fixed_p(means[:100].tolist(), means[100:].tolist())
        welch += p is not None and p < 0.05
    assert z / RUNS <= 0.08
    assert welch / RUNS <= 0.08
    assert naive / RUNS >= 0.20


def test_a_real_difference_is_seen() -> None:
    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(40):
        one, other = looks(draw(rng, weight=0.5, lift=-0.4, tail=1.0))[-1]
        found = difference(one, other, horizon=200)
        seen += found is not None and found.high < 0
    assert seen >= 36


@pytest.mark.long
def test_the_split_is_watched_without_crying_wolf() -> None:
    """Looked at every 50 requests at 20 %; by request, a chi-squared test and even the same Bayes factor fail."""
    rng = np.random.default_rng(9)
    alarms = twins = squared = judged = 0
    for _ in range(300):
        traffic = draw(rng, weight=0.2)
        by_unit, by_request, chi = False, False, False
        for end in range(EVERY, len(traffic.who) + 1, EVERY):
            who, arm = traffic.who[:end], traffic.arm[:end]
            units = [len(np.unique(who[arm == each])) for each in (0, 1)]
            requests = [int((arm == each).sum()) for each in (0, 1)]
            if sum(units) >= SRM_UNITS:
                judged += 1
                by_unit |= mismatch(units, [80, 20]) > SRM_ALARM
            by_request |= mismatch(requests, [80, 20]) > SRM_ALARM
            z2 = (requests[1] - 0.2 * end) ** 2 / (end * 0.16)
            chi |= z2 > 3.84
        alarms, twins, squared = alarms + by_unit, twins + by_request, squared + chi
    assert judged > 300
    assert alarms / 300 <= 0.05
    assert twins / 300 >= 0.20
    assert squared / 300 >= 0.20


def test_a_lost_arm_is_seen() -> None:
    assert mismatch([500, 500], [50, 50]) < 1
    assert mismatch([900, 60], [90, 10]) > SRM_ALARM
    assert mismatch([5, 1], [100, 0]) == math.inf
    assert mismatch([10_000_000, 0], [50, 50]) > 1e300


def test_the_bayes_factor_is_the_formula() -> None:
    from scipy.special import gammaln

    x, rho, k = np.array([130.0, 70.0]), np.array([0.5, 0.5]), 100.0
    log = gammaln(k) - gammaln(k + x.sum()) + (gammaln(k * rho + x) - gammaln(k * rho)).sum() - (x * np.log(rho)).sum()
    assert mismatch([130, 70], [5_000, 5_000]) == pytest.approx(math.exp(log), rel=1e-9)


def test_the_half_width_is_the_formula() -> None:
    n, variance, horizon, alpha = 137.0, 0.0021, 200.0, 0.05
    s2 = n * variance
    v = n * s2
    r = horizon * s2 / (2 * math.log(1 / alpha) + math.log(1 + 2 * math.log(1 / alpha)))
    expected = math.sqrt((v + r) * math.log((v + r) / (r * alpha**2))) / n
    assert half_width(variance, n, horizon) == pytest.approx(expected, rel=1e-12)
    assert half_width(0.0, n, horizon) == 0.0


def test_the_variance_is_that_of_independent_units() -> None:
    """For units of one size, the jackknife is the textbook variance of a mean, widened as a t is."""
    rng = np.random.default_rng(4)
    right = rng.binomial(10, 0.8, 400)
    found = sums((10, float(y)) for y in right)
    textbook = np.var(right / 10, ddof=1) / 400 * 399 / 397
    assert found.variance == pytest.approx(textbook, rel=0.01)
    assert found.effective == pytest.approx(400)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 3)), max_size=40))
def test_units_may_be_counted_by_what_they_have_in_common(rows: list[tuple[int, float]]) -> None:
    assert repr(sums(Counter(rows))) == repr(sums(rows)), "also where a variance is no number"
    kept = [(n, y) for n, y in rows if n]
    found = sums(rows)
    assert (found.units, found.n) == (len(kept), sum(n for n, _ in kept))
    if len(kept) > 1:
        rate = math.fsum(y for _, y in kept) / found.n
        assert found.squares == pytest.approx(math.fsum((y - rate * n) ** 2 for n, y in kept), rel=1e-9, abs=1e-12)


def test_the_limits_the_page_names() -> None:
    assert (FEW_UNITS, SRM_UNITS, SRM_ALARM) == (5, 100, 100.0)


def test_one_heavy_learner_is_not_a_crowd() -> None:
    crowd = sums([(1.0, 1.0)] * 50 + [(5_000.0, 4_000.0)])
    assert crowd.units == 51
    assert crowd.effective < 1.1
    assert difference(crowd, crowd, horizon=200) is None


def test_few_units_and_perfect_arms_are_not_certain() -> None:
    few, enough = sums([(9, 9)] * (FEW_UNITS - 1)), sums([(9, 9)] * 50)
    assert difference(few, enough, horizon=200) is None
    found = difference(enough, enough, horizon=200)
    assert found is not None
    assert found.low < -0.005 < 0.005 < found.high
    assert difference(sums([]), enough, horizon=200) is None


def test_an_interval_of_shares_ends_at_what_is_possible() -> None:
    """A few units know so little that the sequence itself reaches beyond 100 points; a mean has no such end."""
    wrong, right = sums([(1.0, 0.0)] * 8), sums([(1.0, 1.0)] * 8)
    found = difference(wrong, right, horizon=200)
    assert found is not None
    assert (found.value, found.high) == (1.0, 1.0)
    assert -1.0 < found.low < 1.0
    opposite = difference(right, wrong, horizon=200)
    assert opposite is not None
    assert opposite.low == -1.0
    slow = sums([(1.0, seconds) for seconds in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)])
    mean = difference(wrong, slow, horizon=200, share=False)
    assert mean is not None
    assert mean.high > mean.value > 1.0, "a difference of seconds has no such limit"
    some, all_right = sums([(1, 0), (1, 1)] * 3), sums([(1, 1)] * 6)
    cut, whole = (difference(some, all_right, horizon=200, share=share) for share in (True, False))
    assert cut is not None
    assert whole is not None
    assert whole.high > 1.0
    assert (cut.low, cut.high) == (-1.0, 1.0)
    assert points(cut).endswith("+100.0, all that is possible]")


def test_how_often_a_unit_does_worse_ends_at_what_is_possible() -> None:
    always = share_worse([1.0] * 8, [0.0] * 8, horizon=200)
    assert always is not None
    assert (always.value, always.high) == (0.5, 0.5)
    mixed = share_worse([0.0, 0.5, 0.5, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0], horizon=200)
    assert mixed is not None
    assert (mixed.low, mixed.high) == (-0.5, 0.5)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=60))
def test_any_counts_give_numbers(rows: list[tuple[int, int]]) -> None:
    one = sums((max(n, y), min(n, y)) for n, y in rows)
    found = difference(one, sums([(3, 2)] * 30), horizon=200)
    if found is not None:
        assert found.low <= found.value <= found.high
        assert 0 <= found.fixed_p <= 1


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(1)
    for sizes in ((2, 2), (5, 40), (300, 30)):
        one, other = rng.normal(5, 1, sizes[0]), rng.normal(5.5, 3, sizes[1])
        expected = scipy.stats.ttest_ind(one, other, equal_var=False).pvalue
        assert welch_fixed_p(one.tolist(), other.tolist()) == pytest.approx(expected, rel=1e-9)
    assert welch_fixed_p([1.0], [1.0, 2.0]) is None
    assert welch_fixed_p([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert welch_fixed_p([1.0, 1.0], [2.0, 2.0]) == 0.0
