"""The verdict on a canary: what each needs, and how often a canary that is no worse is thrown out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from miniobserve.evidence import Said, Unit
from modelspine.ledger.route import Guard
from modelspine.stats import FEW_UNITS, difference, sums
from modelspine.traffic.noninferiority import Judgement, judge, judge_units, side
from modelspine.traffic.votes import ballot

GUARD = Guard(margin_bp=500)


def units(arm: str, count: int, n: int = 10, right: int = 9, failed: int = 0, seconds: float = 0.1) -> list[Unit]:
    return [Unit(arm, f"{arm}{number}", n, failed, seconds, n, right) for number in range(count)]


def verdict(rows: list[Unit], said: list[Said] | None = None) -> Judgement:
    measure = "graded" if said is None else "accepted"
    return judge_units(GUARD, rows, said or [], measure, arms=("stable", "canary"))


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ([], "no_data"),
        (units("canary", 200), "pass"),
        (units("canary", 40), "inconclusive"),
        (units("canary", 40, right=10), "pass"),
        (units("canary", 40, right=5), "fail"),
        ([u._replace(right=9 - n % 2) for n, u in enumerate(units("canary", 8))], "inconclusive"),
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


def test_the_judge_and_the_report_count_the_same() -> None:
    """With failures, with a heavy unit, and with feedback on few answers."""
    rows = [*units("stable", 30, failed=1), *units("canary", 30, n=7, right=5), Unit("canary", "~h", 900, 90, 80, 0, 0)]
    said = [Said(unit.arm, unit.u, outcome, 1) for unit in rows[::3] for outcome in ("accepted", "dismissed")]
    votes = ballot(rows, said, arms=("stable", "canary"))
    for measure, both in (("graded", votes.graded), ("accepted", votes.accepted)):
        found = side("canary", rows, said, measure)  # type: ignore[arg-type]
        assert found.quality == sums(both.candidate.values())
        assert found.quality.n > 0
        assert (found.errors, found.latency) == tuple(
            sums(each.candidate.values()) for each in (votes.errors, votes.latency)
        )


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


def test_a_shared_id_cannot_hide_what_learners_get() -> None:
    """One id with most requests, all answered right, beside learners who all get wrong answers."""
    shared = Unit("canary", "shared", 6_000, 0, 60.0, 6_000, 6_000)
    learners = units("canary", 30, n=2, right=0)
    found = verdict([*units("stable", 30, n=2, right=2), *learners, shared])
    assert found.verdict == "fail"
    assert [(each.u, each.requests, each.of) for each in found.heavy] == [("shared", 6_000, 6_060)]
    # The broken twin weighs by requests: its few effective units give no interval at all.
    twin = [sums((u.graded, u.right) for u in (*learners, shared)), sums([(2, 2)] * 30)]
    assert difference(twin[1], twin[0], horizon=200) is None


def test_a_shared_id_with_wrong_answers_does_not_abort() -> None:
    found = verdict([*units("stable", 60), *units("canary", 60), Unit("canary", "shared", 9_000, 0, 90.0, 9_000, 0)])
    assert found.verdict != "fail"
    assert found.heavy[0].u == "shared"


def test_an_id_that_nearly_everybody_shares_is_named_where_it_prevents_a_verdict() -> None:
    shared = Unit("canary", "shared", 400, 0, 40.0, 400, 200)
    found = verdict([*units("stable", 60), shared])
    assert (found.verdict, found.reason.split(",")[0]) == (
        "inconclusive",
        "not enough data: 1 learner in the canary arm",
    )
    assert [each.u for each in found.heavy] == ["shared"]
    assert not verdict([*units("stable", 60), *units("canary", 4, n=100, right=90)]).heavy, "four that are alike"


def test_most_learners_got_worse() -> None:
    """Sixty learners lose a little and forty gain a lot: the mean rises, and most got worse."""
    canary = [u._replace(right=8 if n < 60 else 10) for n, u in enumerate(units("canary", 100))]
    stable = [u._replace(right=9 if n < 60 else 5) for n, u in enumerate(units("stable", 100))]
    found = verdict(stable + canary)
    assert found.quality is not None
    assert found.quality.value > 0
    assert found.worse is not None
    assert found.worse.value == pytest.approx(0.6 * 0.6 - 0.5), "the six of ten that lost, against the six of ten"
    mixed = [u._replace(right=7 if n < 90 else 10) for n, u in enumerate(units("canary", 100))]
    before = [u._replace(right=8 if n < 97 else 0) for n, u in enumerate(units("stable", 100))]
    worse = judge(
        Guard(margin_bp=2_000), *(side(a, before + mixed, [], "graded") for a in ("stable", "canary")), "graded"
    )
    assert (worse.verdict, worse.reason.split(":")[0]) == ("fail", "most learners got worse")


def test_a_failed_answer_is_a_wrong_answer() -> None:
    """The stable arm fails on everything and cannot be graded; a canary that answers right passes."""
    stable = [unit._replace(graded=0, right=0, seconds=0.0) for unit in units("stable", 100, failed=10)]
    found = verdict(stable + units("canary", 100, right=10))
    assert (found.verdict, found.stable_fails) == ("pass", (1_000, 1_000))
    assert found.quality is not None
    assert found.quality.value == pytest.approx(1.0)
    assert verdict(units("stable", 100) + units("canary", 100)).stable_fails is None


def test_where_both_arms_fail_neither_is_blamed() -> None:
    dead = [unit._replace(graded=0, right=0) for arm in ("stable", "canary") for unit in units(arm, 60, failed=10)]
    found = verdict(dead)
    assert (found.verdict, found.reason.split(" (")[0]) == ("inconclusive", "both arms fail")
    half = [*units("stable", 60, failed=6), *dead[60:]]
    assert verdict(half).verdict == "error"


def test_few_grades_do_not_make_a_failure_weigh_more() -> None:
    """A tenth of the answers is graded: one failure in a hundred counts as a tenth of a wrong answer."""
    rows = [u._replace(n=100, failed=1, graded=10, right=9) for arm in ("stable", "canary") for u in units(arm, 100)]
    found = verdict(rows)
    assert found.samples == pytest.approx(100 * (10 + 990 / 9_900), abs=1)


def test_a_program_without_an_id_cannot_hide_what_learners_get() -> None:
    """Requests without a learner are many and right; learners get a fifth more wrong answers."""
    probes = [Unit(arm, f"~{arm}{n}", 1, 0, 0.01, 1, 1) for arm in ("stable", "canary") for n in range(20_000)]
    rows = [*units("stable", 300, right=9), *units("canary", 300, right=7), *probes]
    whole = judge(GUARD, side("stable", rows, [], "graded"), side("canary", rows, [], "graded"), "graded")
    assert whole.verdict == "pass"  # what judging all together says
    found = verdict(rows)
    assert (found.verdict, found.reason.split(":")[0]) == ("fail", "learners")
    good = [*units("stable", 300, right=9), *units("canary", 300, right=9), *probes]
    assert verdict(good).verdict == "pass"


@pytest.mark.parametrize("number", range(4))
def test_no_crowd_turns_the_judge(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no difference at most 5 % are aborted; worse by 20 pp, none passes and nearly all are found."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4] / "bench"))
    from crowds import CROWDS, looks

    rng = np.random.default_rng(11)
    runs = 20

    def seen(drop: float) -> set[str]:
        every = list(looks(rng, CROWDS[number], drop))
        return {verdict(units).verdict for units in every[2::3]}

    equal, worse = [seen(0.0) for _ in range(runs)], [seen(0.25) for _ in range(runs)]
    assert sum("fail" in found for found in equal) <= 0.05 * runs
    assert sum("fail" in found for found in worse) >= 0.85 * runs
    assert sum("pass" in found for found in worse) == 0
