"""A rollout whose weight changed: how often its difference cries wolf when looked at all the time, and what it sees.

Learners are heavy, keep their bucket and so change arm with the weight, and the days differ in difficulty. Beside it
stand its broken twins: one adds up the requests of all epochs, one takes epochs for independent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.random import Generator

from modelspine.stats import Difference, difference, half_width, sums
from modelspine.traffic.stratified import Pooled, _part, pooled
from modelspine.traffic.votes import Stratum

RUNS = 100
EVERY = 100
LEARNERS = 200
Strata = list[tuple[int, Stratum]]


class Plan(NamedTuple):
    """The epochs of a rollout: the candidate's weight, the share of right answers, and the number of requests."""

    weights: tuple[float, ...]
    rates: tuple[float, ...]
    requests: tuple[int, ...]


FALLING = Plan((0.8, 0.2), (0.95, 0.65), (1_000, 1_000))
LADDER = Plan((0.05, 0.1, 0.25, 0.5), (0.9, 0.75, 0.85, 0.7), (500,) * 4)
STEADY = Plan((0.5,) * 6, (0.85,) * 6, (400,) * 6)


def rollout(rng: Generator, plan: Plan, *, lift: float = 0.0, most: float = math.inf) -> list[Strata]:
    """The votes so far, after every hundredth request; a unit weighs ``most`` at the most."""
    amount = np.ones(LEARNERS)
    amount[:40] = 4 + 8 * rng.pareto(1.2, 40)
    share, bucket, skill = amount / amount.sum(), rng.random(LEARNERS), rng.beta(6.8, 1.2, LEARNERS)
    looks: list[Strata] = []
    done: Strata = []
    for number, (weight, rate, requests) in enumerate(zip(*plan, strict=True)):
        arm = (bucket < weight).astype(int)
        chance = np.clip(skill + rate - 0.85 + lift * arm, 0, 1)
        n, right = np.zeros(LEARNERS), np.zeros(LEARNERS)
        for _ in range(0, requests, EVERY):
            who = rng.choice(LEARNERS, size=EVERY, p=share)
            np.add.at(n, who, 1)
            np.add.at(right, who, rng.random(EVERY) < chance[who])
            scale = np.minimum(n, most) / np.maximum(n, 1)
            votes = [
                {str(u): (n[u] * scale[u], right[u] * scale[u]) for u in np.flatnonzero((arm == own) & (n > 0))}
                for own in (0, 1)
            ]
            looks.append([*done, (number, Stratum(stable=votes[0], candidate=votes[1]))])
        done = looks[-1]
    return looks


def added_up(strata: Strata) -> Difference | None:
    """The broken twin that forgets which epoch a request came from."""
    totals: tuple[dict[str, tuple[float, float]], ...] = ({}, {})
    for _, votes in strata:
        for total, arm in zip(totals, (votes.stable, votes.candidate), strict=True):
            for unit, (n, y) in arm.items():
                total[unit] = (total.get(unit, (0.0, 0.0))[0] + n, total.get(unit, (0.0, 0.0))[1] + y)
    return difference(sums(totals[0].values()), sums(totals[1].values()), horizon=200)


def newest(strata: Strata) -> Difference | None:
    votes = strata[-1][1]
    return difference(sums(votes.stable.values()), sums(votes.candidate.values()), horizon=200)


def whole(strata: Strata) -> Difference | None:
    found = pooled(strata, horizon=200)
    return found.difference if found is not None else None


def excludes_zero(found: Difference | None) -> bool:
    return found is not None and (found.low > 0 or found.high < 0)


@pytest.mark.long
@pytest.mark.parametrize(("plan", "most"), [(FALLING, math.inf), (FALLING, 10), (LADDER, 10), (STEADY, 10)])
def test_equal_arms_are_equal_at_every_look(plan: Plan, most: float) -> None:
    rng = np.random.default_rng(5)
    wrong = twin = 0
    for _ in range(RUNS):
        looks = rollout(rng, plan, most=most)
        wrong += any(excludes_zero(whole(look)) for look in looks)
        twin += plan is FALLING and any(excludes_zero(added_up(look)) for look in looks)
    assert wrong / RUNS <= 0.05
    assert plan is not FALLING or twin / RUNS >= 0.20


@pytest.mark.parametrize("plan", [FALLING, LADDER, STEADY])
def test_it_sees_no_less_than_the_newest_epoch_alone(plan: Plan) -> None:
    rng = np.random.default_rng(6)
    over_all = alone = 0
    for _ in range(RUNS):
        last = rollout(rng, plan, lift=-0.15, most=10)[-1]
        over_all += excludes_zero(whole(last))
        alone += excludes_zero(newest(last))
    assert over_all >= alone
    assert over_all / RUNS >= 0.25


def test_it_sees_about_what_one_epoch_with_all_requests_would() -> None:
    """A change of weight to the same weight splits the same requests into epochs; little may be lost by that."""
    rng = np.random.default_rng(8)
    split = joined = 0
    for _ in range(RUNS):
        last = rollout(rng, STEADY, lift=-0.15)[-1]
        split += excludes_zero(whole(last))
        joined += excludes_zero(added_up(last))
    assert split >= 0.8 * joined
    assert joined / RUNS >= 0.10


def test_the_variance_is_by_learner_across_epochs() -> None:
    """The same learners in the same arms at ten epochs do not know ten times as much: their skills stay the same."""
    rng = np.random.default_rng(9)
    own, twin, runs = 0, 0, 200
    for _ in range(runs):
        skill = rng.beta(2, 2, 60)
        strata: Strata = []
        for number in range(10):
            right = rng.binomial(20, skill)
            arms = [{str(u): (20.0, float(right[u])) for u in range(side, 60, 2)} for side in (0, 1)]
            strata.append((number, Stratum(stable=arms[0], candidate=arms[1])))
        found = pooled(strata, horizon=60)
        assert found is not None
        own += excludes_zero(found.difference)
        parts = [part for number, votes in strata if (part := _part(number, votes, share=True)) is not None]
        half = half_width(sum(part.variance for part in parts) / 100, 60, 60)
        twin += abs(found.difference.value) > half
    assert own / runs <= 0.05
    assert twin / runs >= 0.20


def test_one_epoch_is_the_difference_of_that_epoch() -> None:
    look = rollout(np.random.default_rng(1), Plan((0.5,), (0.85,), (600,)), most=10)[-1]
    found, own = pooled(look, horizon=200), newest(look)
    assert isinstance(found, Pooled)
    assert own is not None
    assert found.difference.value == pytest.approx(own.value)
    assert (found.difference.low, found.difference.high) == pytest.approx((own.low, own.high))
    assert found.epochs == (0,)


def test_epochs_without_enough_units_count_for_nothing() -> None:
    few = Stratum(stable={"a": (5.0, 0.0)}, candidate={"b": (5.0, 5.0)})
    assert pooled([(1, few)], horizon=200) is None
    look = rollout(np.random.default_rng(1), Plan((0.5,), (0.85,), (600,)), most=10)[-1]
    found = pooled([(7, few), *look], horizon=200)
    assert found is not None
    assert found == pooled(look, horizon=200)


def test_an_interval_over_a_rollout_ends_at_what_is_possible_for_shares() -> None:
    """Few units know so little that the sequence reaches beyond 100 points; a mean has no such end."""
    stable, candidate = ({f"{arm}{n}": (1.0, float(n == 0)) for n in range(6)} for arm in "sc")
    strata = [(number, Stratum(stable=stable, candidate=candidate)) for number in (1, 2)]
    shares, seconds = (pooled(strata, horizon=200, share=share) for share in (True, False))
    assert shares is not None
    assert seconds is not None
    assert (shares.difference.low, shares.difference.high) == (-1.0, 1.0)
    assert seconds.difference.low < -1.0
    assert seconds.difference.high > 1.0
