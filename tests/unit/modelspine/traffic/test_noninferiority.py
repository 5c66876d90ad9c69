"""The verdict on a canary: what each needs, and how often a canary that is no worse is thrown out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from miniobserve.evidence import Said, Unit
from modelspine.ledger.route import Guard
from modelspine.stats import FEW_UNITS
from modelspine.traffic.noninferiority import Judgement, judge, side

GUARD = Guard(margin_bp=500)


def units(arm: str, count: int, n: int = 10, right: int = 9, failed: int = 0, seconds: float = 0.1) -> list[Unit]:
    return [Unit(arm, f"{arm}{number}", n, failed, seconds, n, right) for number in range(count)]


def verdict(rows: list[Unit], said: list[Said] | None = None) -> Judgement:
    measure = "graded" if said is None else "accepted"
    return judge(GUARD, side("stable", rows, said or [], measure), side("canary", rows, said or [], measure), measure)


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ([], "no_data"),
        (units("canary", 200), "pass"),
        (units("canary", 40), "inconclusive"),
        (units("canary", 40, right=10), "pass"),
        (units("canary", 40, right=5), "fail"),
        (units("canary", 8, right=8), "inconclusive"),
        (units("canary", FEW_UNITS - 1), "inconclusive"),
        (units("canary", 40, n=10, failed=10), "error"),
        (units("canary", 1, failed=10), "error"),
        (units("canary", 40, failed=5), "fail"),
        (units("canary", 40, seconds=0.4), "fail"),
        ([unit._replace(graded=0, right=0) for unit in units("canary", 40)], "no_data"),
    ],
)
def test_verdicts(canary: list[Unit], expected: str) -> None:
    assert verdict(units("stable", 100) + canary).verdict == expected


def test_silence_is_told_from_a_route_that_nobody_took() -> None:
    assert verdict(units("stable", 9)).reason == "no request has reached the canary"
    assert "/readyz" in verdict([]).reason


def test_too_few_are_counted_in_words() -> None:
    said = [verdict(units("stable", 100) + units("canary", few)).reason for few in (1, 2)]
    assert [reason.split(", minimum")[0] for reason in said] == [
        "not enough data: 1 learner in the canary arm",
        "not enough data: 2 learners in the canary arm",
    ]


def test_a_hint_of_slowness_holds_a_pass() -> None:
    """Too noisy for proof, and the mean is over the guard."""
    canary = [unit._replace(seconds=0.05 if n % 2 else 0.31) for n, unit in enumerate(units("canary", 12))]
    steady = [unit._replace(right=10) for unit in canary]
    found = verdict(units("stable", 100) + steady)
    assert (found.verdict, found.reason.split()[0]) == ("inconclusive", "latency")


def test_a_hint_of_errors_holds_a_pass() -> None:
    """A few learners met a failure: no proof, and more than the guard."""
    canary = [unit._replace(failed=n % 4 == 0, right=10) for n, unit in enumerate(units("canary", 12))]
    found = verdict(units("stable", 100) + canary)
    assert (found.verdict, found.reason.split()[0]) == ("inconclusive", "errors")


def test_what_learners_say_is_by_learner() -> None:
    rows = units("stable", 60) + units("canary", 60)
    said = [Said(unit.arm, unit.u, outcome, 2) for unit in rows for outcome in ("accepted", "dismissed")]
    found = verdict(rows, said)
    assert found.samples == 240
    assert found.quality is not None
    assert found.quality.value == 0
    worse = [each._replace(outcome="dismissed") if each.arm == "canary" else each for each in said]
    assert verdict(rows, worse).verdict == "fail"


def draws(rng: Generator, drop: float) -> list[Judgement]:
    """Twenty-five looks at one canary of 30 % over heavy learners, each with a skill of their own."""
    learners = 200
    amount = np.ones(learners)
    amount[:40] = 4 + 4 * rng.pareto(1.5, 40)
    canary = rng.random(learners) < 0.3
    skill = np.clip(rng.beta(18, 2, learners) - drop * canary, 0, 1)
    n, right = np.zeros(learners, int), np.zeros(learners, int)
    found = []
    for _ in range(25):
        more = np.bincount(rng.choice(learners, size=120, p=amount / amount.sum()), minlength=learners)
        n, right = n + more, right + rng.binomial(more, skill)
        rows = [
            Unit("canary" if canary[i] else "stable", str(i), int(n[i]), 0, 0.01 * int(n[i]), int(n[i]), int(right[i]))
            for i in range(learners)
            if n[i]
        ]
        found.append(verdict(rows))
    return found


def test_false_verdicts_are_rare_at_every_look() -> None:
    """No worse: never thrown out. Worse by twice the margin: never let through."""
    rng = np.random.default_rng(3)
    runs = 40
    thrown = sum(any(each.verdict == "fail" for each in draws(rng, 0.0)) for _ in range(runs))
    passed = sum(any(each.verdict == "pass" for each in draws(rng, 0.10)) for _ in range(runs))
    caught = sum(any(each.verdict == "fail" for each in draws(rng, 0.40)) for _ in range(10))
    assert thrown / runs <= 0.05
    assert passed / runs <= 0.05
    assert caught >= 8


def test_at_the_margin_itself_a_pass_is_rare() -> None:
    rng = np.random.default_rng(5)
    runs = 40
    assert sum(any(each.verdict == "pass" for each in draws(rng, 0.05)) for _ in range(runs)) / runs <= 0.05
