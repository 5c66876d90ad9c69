"""Simulated traffic of a canary: heavy learners, and what has misled a judge before (a shared id, probes, churn)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from miniobserve.evidence import Unit

LEARNERS = 300
LOOKS = 15


class Crowd(NamedTuple):
    """One kind of traffic."""

    name: str
    requests: int = 120
    """From learners, between two looks."""
    weight: float = 0.3
    """The canary's share of the learners."""
    shared: float = 0.0
    """Requests of one id on the canary, always answered correctly, as a multiple of all learners' requests."""
    probes: int = 0
    """Requests without a learner between two looks, always answered correctly."""
    leave: float = 0.0
    """Probability that a learner never returns after a look with a wrong answer."""
    graded: float = 1.0
    """The mean share of a learner's answers that ever get a grade; learners differ."""
    late: float = 0.0
    """Probability that a grade that is to come has not come by the next look."""


CROWDS = (
    Crowd("heavy learners"),
    Crowd("one id shared by many", requests=1_800, shared=15.0),
    Crowd("a prober without an id", probes=120),
    Crowd("learners who leave after a wrong answer", leave=0.5),
    Crowd("grades for some answers, and late", requests=240, graded=0.7, late=0.6),
)


def looks(rng: Generator, crowd: Crowd, drop: float, refused: float = 0.0) -> Iterator[list[Unit]]:
    """Yield the sums of every unit at each look.

    A fifth of the learners send most requests, and each has a share of correct answers of their own (mean 90 %).

    Args:
        rng: the source of randomness.
        crowd: the kind of traffic.
        drop: how much smaller that share is on the canary, 0 to 1.
        refused: share of the canary's answers, 0 to 1, that cannot be graded. The stable arm's all can be.
    """
    amount = np.ones(LEARNERS)
    amount[: LEARNERS // 5] = 4 + 4 * rng.pareto(1.5, LEARNERS // 5)
    canary = rng.random(LEARNERS) < crowd.weight
    skill = np.clip(rng.beta(18, 2, LEARNERS) - drop * canary, 0, 1)
    if crowd.shared:
        amount[0], canary[0], skill[0] = crowd.shared * amount.sum(), True, 1.0
    n, right, stays = np.zeros(LEARNERS, int), np.zeros(LEARNERS, int), np.ones(LEARNERS, bool)
    graded, due = np.zeros(LEARNERS, int), np.zeros(LEARNERS, int)
    partly = crowd.graded < 1 or refused > 0
    chances = 1 - refused * canary
    if crowd.graded < 1:
        chances = chances * rng.beta(10 * crowd.graded, 10 * (1 - crowd.graded), LEARNERS)
    for look in range(1, LOOKS + 1):
        chance = amount * stays / (amount * stays).sum()
        more = np.bincount(rng.choice(LEARNERS, size=crowd.requests, p=chance), minlength=LEARNERS)
        came = more
        if partly:
            due = due + rng.binomial(more, chances)
            came = rng.binomial(due, 1 - crowd.late)
            due = due - came
        good = rng.binomial(came, skill)
        n, graded, right = n + more, graded + came, right + good
        if crowd.leave:
            stays &= ~((came > good) & (rng.random(LEARNERS) < crowd.leave))
        units = [
            Unit(
                "canary" if canary[i] else "stable",
                str(i),
                int(n[i]),
                0,
                0.01 * int(n[i]),
                int(graded[i]),
                int(right[i]),
            )
            for i in range(LEARNERS)
            if n[i]
        ]
        arms = ["canary" if number % 10 < 10 * crowd.weight else "stable" for number in range(look * crowd.probes)]
        units += [Unit(arm, f"~{number}", 1, 0, 0.01, 1, 1) for number, arm in enumerate(arms)]
        yield units
