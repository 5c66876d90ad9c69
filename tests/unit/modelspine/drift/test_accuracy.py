"""Expected, graded and covered: the figures by hand, and how often each rule alarms with and without a cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from bundles import eval_report
from graded import GradedKey, graded_answers
from modelspine.drift.accuracy import Covered, judge_coverage
from modelspine.drift.failures import judge_failed
from modelspine.drift.grades import Graded, judge_graded
from modelspine.gate.eval_report import EvalReport, read_report
from modelspine.stats import wilson

ENTRY = "e" * 64


def evaluated(**buckets: tuple[int, int]) -> EvalReport:
    """An evaluation of some tenses: correct of all."""
    named = {f"tense/{name}": {"k": k, "n": n} for name, (k, n) in buckets.items()}
    return read_report(msgspec.json.encode(eval_report(90, 100, buckets=named)))


def judged(
    report: EvalReport | None, answers: dict[GradedKey, int], *, ungraded: int = 0, failed: Mapping[str, int] = {}
) -> Graded:
    others = {key.entry: graded_answers(answers, key.entry) for key in answers if key.entry != ENTRY}
    own = graded_answers(answers, ENTRY, ungraded=ungraded, failed=failed)
    return judge_graded(report, "tense" if report is not None else "", own, others)


def answers(right: int, wrong: int, *, learners: int = 50, bucket: str = "tense/past") -> dict[GradedKey, int]:
    """Graded answers, spread evenly over learners."""
    found: Counter[GradedKey] = Counter()
    for number in range(right + wrong):
        found[GradedKey(ENTRY, f"learner-{number % learners}", (bucket,), number < right)] += 1
    return dict(found)


# graded --------------------------------------------------------------------------------------------------------


def test_graded_by_hand() -> None:
    found = judged(evaluated(past=(960, 1_000)), answers(240, 160), ungraded=7)
    assert (found.k, found.n, found.units, found.ungraded) == (240, 400, 50, 7)
    assert (found.right, found.right_of, found.right_low, found.right_high) == (0.6, 400, found.low, found.high)
    assert (found.expected, found.observed, found.compared) == (0.96, 0.6, 400)
    assert (found.low, found.high) == pytest.approx(wilson(240, 400), abs=1e-6)
    assert found.contradicts
    assert found.p is not None
    assert found.p < 0.001


def test_only_the_entrys_own_graded_answers_in_evaluated_buckets_are_tested() -> None:
    other = {GradedKey("f" * 64, "x", ("tense/past",), False): 500}
    elsewhere = {GradedKey(ENTRY, f"y{n}", ("tense/never",), False): 1 for n in range(100)}
    found = judged(evaluated(past=(960, 1_000)), answers(384, 16) | other | elsewhere)
    assert (found.k, found.n, found.compared) == (384, 500, 400)
    assert (found.observed, found.contradicts) == (0.96, False)
    assert (found.others, found.by_others[0].k, found.by_others[0].n) == (500, 0, 500)


@pytest.mark.parametrize(
    ("report", "graded", "reason"),
    [
        (evaluated(past=(9, 10)), {}, "unknown: the entry answered no request that day"),
        (None, answers(30, 10), "not tested: the entry has no evaluation of the buckets that were graded"),
        (evaluated(future=(9, 10)), answers(30, 10), "not tested: the entry has no evaluation of the buckets"),
        (evaluated(past=(9, 10)), answers(10, 90, learners=3), "not tested: too few learners (3.0 of 5"),
    ],
)
def test_what_cannot_be_tested_says_why(report: EvalReport | None, graded: dict[GradedKey, int], reason: str) -> None:
    found = judged(report, graded)
    assert found.reason.startswith(reason)
    assert (found.p, found.contradicts) == (None, False)


def test_ungraded_answers_are_unknown_and_not_zero() -> None:
    found = judged(evaluated(past=(9, 10)), {}, ungraded=80)
    assert (found.n, found.low, found.ungraded) == (0, None, 80)
    assert found.reason == "unknown: the workload graded no answer that day"


def test_a_failed_request_is_a_wrong_answer() -> None:
    failed = {f"learner-{number}": 24 for number in range(50)}
    found = judged(evaluated(past=(950, 1_000)), answers(300, 0), failed=failed)
    assert (found.k, found.n, found.failed, found.right, found.right_of) == (300, 300, 1_200, 0.2, 1_500)
    assert (found.right_low, found.right_high) == pytest.approx(wilson(300, 1_500), abs=1e-6)
    assert (found.compared, found.expected, found.observed, found.contradicts) == (300, 0.95, 0.2, True)
    assert judged(evaluated(past=(950, 1_000)), answers(285, 15)).contradicts is False


def test_failed_requests_count_in_the_proportion_in_which_answers_have_a_grade() -> None:
    """Else 100 failures would outweigh the 100 answers of 1,000 that were graded."""
    found = judged(evaluated(past=(90, 100)), answers(90, 10), ungraded=900, failed={"learner-1": 40, "x": 60})
    assert (found.right, found.right_of) == (pytest.approx(90 / 110, abs=1e-6), 110)
    assert found.observed == found.right
    assert judged(None, {}, ungraded=900, failed={"x": 9}).right is None, "none was graded, so it is unknown"


def test_an_entry_that_failed_on_every_request_is_right_on_none() -> None:
    found = judged(evaluated(past=(9, 10)), {}, failed={f"learner-{number}": 30 for number in range(20)})
    assert (found.n, found.right, found.right_of, found.units) == (0, 0.0, 600, 0)
    assert found.reason == "unknown: the entry answered no request that day: 600 of 600 failed"


def test_another_entry_that_answers_differently_is_named_with_its_figures() -> None:
    other = {GradedKey("f" * 64, f"learner-{n % 50}", ("tense/past",), False): 6 for n in range(50)}
    found = judged(evaluated(past=(95, 100)), answers(380, 20) | other)
    (each,) = found.by_others
    assert (each.entry, each.k, each.n, each.right, each.contradicts) == ("f" * 64, 0, 300, 0.0, True)
    assert found.contradicted_by == (each,)
    assert found.contradicts is False, "this entry answers as it was evaluated"


@pytest.mark.long
def test_entries_that_answer_alike_rarely_contradict() -> None:
    draw, alarms = np.random.default_rng(8), 0
    for _ in range(200):
        found: Counter[GradedKey] = Counter()
        for sha, learners in ((ENTRY, range(40)), ("f" * 64, range(30, 50))):
            for learner in learners:
                n = 5 + int(draw.pareto(1.5) * 10)
                right = int(draw.binomial(n, draw.beta(4.5, 0.5)))
                key = GradedKey(sha, f"u{learner}", ("tense/past",), True)
                found[key], found[key._replace(right=False)] = right, n - right
        alarms += bool(judged(None, +found).contradicted_by)
    assert alarms <= 4


def test_a_heavy_learner_widens_the_interval() -> None:
    even = judged(None, answers(200, 50))
    heavy = dict(answers(150, 50)) | {GradedKey(ENTRY, "heavy", ("tense/past",), True): 50}
    uneven = judged(None, heavy)
    assert even.low is not None
    assert uneven.low is not None
    assert uneven.k / uneven.n == even.k / even.n
    assert uneven.low < even.low


def _days(days: int, *, shift: float, heavy: bool, clustered: float, seed: int, eval_n: int = 150) -> float:
    """The share of simulated days that are called a contradiction.

    Each day has its own evaluation of three tenses with true rates .97, .9 and .8. Learners differ from the true rate
    (beta with precision ``1 / clustered``) and, where ``heavy``, in how much they send. ``shift`` lowers the rates.
    """
    draw = np.random.default_rng(seed)
    rates = {"past": 0.97, "present": 0.9, "future": 0.8}
    flagged = 0
    for _ in range(days):
        report = evaluated(**{name: (int(draw.binomial(eval_n, rate)), eval_n) for name, rate in rates.items()})
        found: Counter[GradedKey] = Counter()
        for learner in range(40):
            size = 5 + (int(60 * draw.pareto(1.5)) if heavy and learner < 10 else 0)
            for name, rate in rates.items():
                own = rate - shift
                if clustered:
                    own = float(draw.beta(own / clustered, (1 - own) / clustered))
                n = min(400, size)
                right = int(draw.binomial(n, own))
                key = GradedKey(ENTRY, f"u{learner}", (f"tense/{name}",), True)
                found[key] += right
                found[key._replace(right=False)] += n - right
        flagged += judged(report, +found).contradicts
    return flagged / days


@pytest.mark.parametrize(("heavy", "clustered"), [(False, 0.0), (False, 0.2), (True, 0.0), (True, 0.2)])
def test_a_contradiction_is_rarely_seen_where_there_is_none(heavy: bool, clustered: float) -> None:
    assert _days(200, shift=0.0, heavy=heavy, clustered=clustered, seed=3) <= 0.05


def test_a_small_evaluation_or_a_perfect_one_makes_no_alarms() -> None:
    """An evaluation of 30 items a bucket is uncertain itself, and 30 of 30 does not mean that nothing can go wrong."""
    assert _days(200, shift=0.0, heavy=False, clustered=0.2, seed=4, eval_n=30) <= 0.05


def test_a_model_that_lost_ten_points_is_seen() -> None:
    assert _days(100, shift=0.1, heavy=False, clustered=0.2, seed=5) >= 0.8


@pytest.mark.long
def test_a_test_by_request_would_raise_false_alarms() -> None:
    """The broken twin: the same days with each answer as a unit of its own."""
    draw, alarms = np.random.default_rng(6), {"learner": 0, "request": 0}
    for _ in range(100):
        report = evaluated(past=(900, 1_000))
        found: Counter[GradedKey] = Counter()
        alone: Counter[GradedKey] = Counter()
        for learner in range(40):
            for number, right in enumerate(draw.random(20) < draw.beta(0.9, 0.1)):
                found[GradedKey(ENTRY, f"u{learner}", ("tense/past",), bool(right))] += 1
                alone[GradedKey(ENTRY, f"u{learner}-{number}", ("tense/past",), bool(right))] += 1
        alarms["learner"] += judged(report, found).contradicts
        alarms["request"] += judged(report, alone).contradicts
    assert alarms["learner"] <= 5
    assert alarms["request"] >= 20


# failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "status"),
    [(0, 1_000, "stable"), (25, 1_000, "stable"), (26, 1_000, "watch"), (52, 1_000, "watch"), (53, 1_000, "act"),
     (1_200, 1_500, "act"), (2, 39, "stable"), (4, 39, "watch"), (39, 39, "act"), (30, 30, "insufficient"),
     (2_000, 100_000, "watch")],
)  # fmt: skip
def test_many_failures_make_no_day_stable(k: int, n: int, status: str) -> None:
    found = judge_failed(k, n)
    assert found is not None
    assert (found.status, found.needed) == (status, 39)
    assert judge_failed(0, 0) is None


# coverage ------------------------------------------------------------------------------------------------------

INSIDE, OUTSIDE = ("tense/past", "verb/go"), ()


def covered(k: int, n: int, reference_k: int = 4_000, reference_n: int = 4_000) -> Covered:
    mixes = [{INSIDE: inside, OUTSIDE: all_ - inside} for inside, all_ in ((k, n), (reference_k, reference_n))]
    found = judge_coverage(evaluated(past=(9, 10)), mixes[0], n, mixes[1], reference_n)
    assert found is not None
    return found


def test_coverage_by_hand() -> None:
    found = covered(60, 600)
    assert (found.k, found.n, found.reference_k, found.reference_n) == (60, 600, 4_000, 4_000)
    assert (found.status, found.needed) == ("act", 39)
    assert covered(0, 30).status == "insufficient"
    assert covered(600, 600).status == "stable"
    assert covered(600, 600, 1, 1).status == "insufficient"  # the reference is a single request
    assert judge_coverage(evaluated(past=(9, 10)), {}, 0, {}, 10) is None


def test_only_a_coverage_below_the_references_lowers_the_status() -> None:
    assert covered(600, 600, 2_000, 4_000).status == "stable"
    assert covered(300, 600, 4_000, 4_000).status == "act"


@pytest.mark.parametrize("reference", [1.0, 0.97, 0.8])
@pytest.mark.parametrize("n", [45, 100, 400, 1_000])
def test_coverage_without_drift_is_stable(reference: float, n: int) -> None:
    draw = np.random.default_rng(n)
    days = [covered(int(draw.binomial(n, reference)), n, int(4_000 * reference)) for _ in range(300)]
    assert sum(day.status != "stable" for day in days) <= 8


@pytest.mark.parametrize(("reference", "n"), [(1.0, 45), (1.0, 400), (0.97, 100), (0.97, 400)])
def test_a_day_a_fifth_outside_acts(reference: float, n: int) -> None:
    draw = np.random.default_rng(n)
    days = [covered(int(draw.binomial(n, reference - 0.2)), n, int(4_000 * reference)) for _ in range(200)]
    lowered = sum(day.status in ("watch", "act") for day in days)
    acts = sum(day.status == "act" for day in days)
    assert lowered >= (190 if n >= 100 else 170)
    assert acts >= (190 if n >= 400 else 150)
