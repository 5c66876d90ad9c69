"""What was graded of a day's answers, by entry, and whether it contradicts the evaluation or the other entries.

A failed request is a wrong answer, as for the judge of a canary: it counts in the proportion in which answers have a
grade. The tests are by learner. This module does not know where answers come from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from modelspine.drift.accuracy import DIGITS, Buckets
from modelspine.drift.status import SIGNIFICANT
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.stats import FEW_UNITS, difference, wilson
from modelspine.student_t import student_t_p
from modelspine.units_by_size import Sized, sums_by_size
from modelspine.words import words


class GradedElsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of an entry other than the report's on that day, and how many of them were graded as right."""

    entry: str
    answered: int
    failed: int
    k: int
    n: int
    """``k`` of its ``n`` graded answers are correct."""
    right: float | None
    """As in ``Graded``; None where nothing of it was graded and it did not fail on every request."""
    right_of: int
    p: float | None
    """The probability of a difference this large between ``right`` of both entries if they answer equally well."""
    contradicts: bool
    """Whether ``p`` < .01."""


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """What the workload graded of the answers that the report's entry gave that day."""

    k: int
    n: int
    """``k`` of ``n`` graded answers are correct."""
    low: float | None = None
    high: float | None = None
    """The Wilson 95 % interval of k/n, with n divided by the design effect of the learners."""
    units: int = 0
    """Learners with a graded answer; a request without a learner counts as one, together with its retries."""
    compared: int = 0
    """Graded answers in an evaluated bucket of ``dimension``: the ones that are tested."""
    dimension: str = ""
    expected: float | None = None
    """The accuracy to expect of the compared answers."""
    observed: float | None = None
    """The graded accuracy of the compared answers, with failed requests counted as wrong answers like them."""
    p: float | None = None
    """The probability of a difference this large if every bucket is answered as well as in the evaluation."""
    contradicts: bool = False
    """Whether ``p`` < .01."""
    ungraded: int = 0
    """Answers of the entry that the workload could not grade."""
    others: int = 0
    """Answers of other entries, which say nothing about this one."""
    reason: str = ""
    """Why there is no figure, or no test; empty where there is."""
    failed: int = 0
    """Requests on which the entry failed."""
    right: float | None = None
    """``k`` / ``right_of``, the realised accuracy: failed requests count as wrong answers. None where it is unknown."""
    right_of: int = 0
    """``n`` and the failed requests in the proportion in which answers have a grade, rounded."""
    right_low: float | None = None
    right_high: float | None = None
    """The interval of ``right``, computed as that of k/n."""
    by_others: tuple[GradedElsewhere, ...] = ()
    """Each other entry, by its number of answers."""

    @property
    def counted(self) -> Count:
        """Correct answers of those that count, failed requests included; reports of older versions do not have them."""
        return Count(self.k, self.right_of or self.n)

    @property
    def contradicted_by(self) -> tuple[GradedElsewhere, ...]:
        """The other entries that answered significantly better or worse."""
        return tuple(each for each in self.by_others if each.contradicts)


class Marked(NamedTuple):
    """The units of an entry that have as many graded answers and as many failed requests as each other."""

    n: int
    """Graded answers of each of them."""
    failed: int
    """Failed requests of each of them."""
    units: int
    y: float
    """The sum of their right answers."""
    squares: float
    """The sum of the squares of each one's right answers."""


class Failing(NamedTuple):
    """How failed requests count in a test: each as ``weight`` answers that were expected to be right at a rate."""

    weight: float
    rate: float


class GradedAnswers(NamedTuple):
    """One entry's graded answers of a day. A unit is a learner, or a request without one together with its retries."""

    cells: Mapping[tuple[Buckets, bool], int] = {}
    """Evaluation buckets, and whether the answer is right → number of answers."""
    units: Sequence[Marked] = ()
    residuals: Callable[[Mapping[Buckets, float], Failing], Sequence[Sized]] = lambda _rates, _failing: ()
    """The units by the number of their answers in these buckets; ``y`` is Σ (1 if right else 0) − rate."""
    answered: int = 0
    """The entry's answers, graded or not."""
    failed: int = 0
    """Requests on which it failed."""

    @property
    def right(self) -> int:
        """Graded answers that are correct."""
        return sum(count for (_, right), count in self.cells.items() if right)

    @property
    def n(self) -> int:
        """Graded answers."""
        return sum(self.cells.values())

    @property
    def weight(self) -> float | None:
        """How many graded answers a failed request counts as; None where answers were given and none was graded."""
        if self.answered:
            return self.n / self.answered if self.n else None
        return 1.0 if self.failed else None

    def sized(self, weight: float) -> list[Sized]:
        """The units by the number of their answers, each failed request counting as ``weight`` wrong ones."""
        found = [Sized(each.n + weight * each.failed, each.units, each.y, each.squares) for each in self.units]
        return [each for each in found if each.n]


def judge_graded(
    evaluated: EvalReport | None, dimension: str, own: GradedAnswers, others: Mapping[str, GradedAnswers]
) -> Graded:
    """What was graded of an entry's answers, and whether it contradicts the evaluation along one dimension.

    Args:
        evaluated: the entry's evaluation, if it has one.
        dimension: the dimension of buckets whose expected accuracy is tested; empty where there is none.
        own: the entry's graded answers of the day.
        others: those of every other entry that was asked that day.
    """
    n, k = own.n, own.right
    found = Graded(
        k=k, n=n, ungraded=own.answered - n, others=sum(each.answered for each in others.values()), failed=own.failed,
        by_others=tuple(sorted((_elsewhere(own, sha, each) for sha, each in others.items()), key=_by_answers)),
    )  # fmt: skip
    if own.weight is not None:
        found = _realised(found, own, own.weight)
    if not n:
        reason = "the workload graded no answer that day"
        if not own.answered:
            failures = f": {own.failed:,} of {own.failed:,} failed" if own.failed else ""
            reason = f"the entry answered no request that day{failures}"
        return msgspec.structs.replace(found, reason=f"unknown: {reason}")
    graded = own.sized(0.0)
    low, high = _interval(k, n, graded)
    found = msgspec.structs.replace(
        found, low=low, high=high, units=_number(graded),
        reason="not tested: the entry has no evaluation of the buckets that were graded",
    )  # fmt: skip
    return _tested(found, evaluated, dimension, own) if evaluated is not None and dimension else found


def _by_answers(each: GradedElsewhere) -> tuple[int, str]:
    return -(each.answered + each.failed), each.entry


def _realised(found: Graded, own: GradedAnswers, weight: float) -> Graded:
    """Add the share of right answers with failed requests counted as wrong ones."""
    units = own.sized(weight)
    total = own.n + weight * own.failed
    low, high = _interval(own.right, total, units)
    return msgspec.structs.replace(
        found, right=round(own.right / total, DIGITS), right_of=round(total), right_low=low, right_high=high
    )


def _elsewhere(own: GradedAnswers, sha: str, other: GradedAnswers) -> GradedElsewhere:
    """Another entry's graded answers, and a test of whether it answers as well as this one."""
    total = other.n + (other.weight or 0.0) * other.failed
    p = None
    if own.weight is not None and other.weight is not None:
        one, two = sums_by_size(own.sized(own.weight)), sums_by_size(other.sized(other.weight))
        compared = difference(one, two, horizon=one.units + two.units)
        p = None if compared is None else round(compared.fixed_p, DIGITS)
    return GradedElsewhere(
        entry=sha, answered=other.answered, failed=other.failed, k=other.right, n=other.n,
        right=round(other.right / total, DIGITS) if other.weight is not None else None, right_of=round(total), p=p,
        contradicts=p is not None and p < SIGNIFICANT,
    )  # fmt: skip


def _tested(found: Graded, evaluated: EvalReport, dimension: str, own: GradedAnswers) -> Graded:
    """Add the test of the graded answers, and of the failed requests among them, against the evaluation."""
    placed = {buckets: bucket for buckets, _ in own.cells if (bucket := _bucket(evaluated, buckets, dimension))}
    cells = {key: count for key, count in own.cells.items() if key[0] in placed}
    compared = sum(cells.values())
    if not compared:
        return found
    mix = Counter[str]()
    for (buckets, _), count in cells.items():
        mix[placed[buckets]] += count
    rate = {bucket: evaluated.buckets[bucket].k / evaluated.buckets[bucket].n for bucket in mix}
    expected = sum(mix[bucket] * rate[bucket] for bucket in mix) / compared
    # A failed request has no answer to read a bucket from: it is taken to be one like those that were graded.
    failing = Failing(compared / own.answered, expected)
    n = compared + failing.weight * own.failed
    observed = sum(count for (_, right), count in cells.items() if right) / n
    residuals = own.residuals({buckets: rate[bucket] for buckets, bucket in placed.items()}, failing)
    found = msgspec.structs.replace(
        found, compared=compared, dimension=dimension, expected=round(expected, DIGITS),
        observed=round(observed, DIGITS),
    )  # fmt: skip
    effective = n * n / sum(each.n * each.n * each.units for each in residuals)
    if effective < FEW_UNITS:
        found_units = f"{effective:.1f} of {FEW_UNITS}, counted by their share of the answers"
        why = f"not tested: too few {words().units} ({found_units})"
        return msgspec.structs.replace(found, reason=why)
    error = _error(evaluated, {bucket: count / compared for bucket, count in mix.items()}, residuals, n)
    p = student_t_p((observed - expected) / error, effective - 1)
    return msgspec.structs.replace(found, p=round(p, DIGITS), contradicts=p < SIGNIFICANT, reason="")


def _error(evaluated: EvalReport, mix: Mapping[str, float], residuals: Sequence[Sized], n: float) -> float:
    """The standard error of the mean residual of ``n`` answers; ``mix`` has the share of each bucket."""
    # A bucket without a failure is not certain: one more success and one more failure bound its variance.
    near = {b: (evaluated.buckets[b].k + 1) / (evaluated.buckets[b].n + 2) for b in mix}
    spread = {b: near[b] * (1 - near[b]) for b in mix}
    by_answer = sum(mix[b] * spread[b] for b in mix) / n
    by_evaluation = sum(mix[b] ** 2 * spread[b] / evaluated.buckets[b].n for b in mix)
    return math.sqrt(max(_variance(residuals, n), by_answer) + by_evaluation)


def _number(units: Sequence[Sized]) -> int:
    return sum(each.units for each in units)


def _variance(units: Sequence[Sized], n: float) -> float:
    """The variance of the mean value of all answers when whole units are drawn (ratio estimator)."""
    mean = math.fsum(each.y for each in units) / n
    # Σ (y − mean · size)² over the units of each size
    squares = math.fsum(e.squares - 2 * mean * e.n * e.y + (mean * e.n) ** 2 * e.units for e in units)
    number = _number(units)
    return max(0.0, squares) / (n * n) * number / (number - 1) if number > 1 else 0.0


def _interval(k: int, n: float, units: Sequence[Sized]) -> tuple[float, float]:
    """Wilson's interval at the effective sample size n / design effect."""
    share = k / n
    alone = share * (1 - share) / n
    effect = max(1.0, _variance(units, n) / alone) if alone else 1.0
    low, high = wilson(share * n / effect, n / effect)
    return round(low, DIGITS), round(high, DIGITS)


def _bucket(evaluated: EvalReport, buckets: Buckets, dimension: str) -> str:
    """The evaluated bucket of an answer along a dimension; empty where there is none."""
    names = (name for name in buckets if name.startswith(f"{dimension}/"))
    return next((name for name in names if name in evaluated.buckets and evaluated.buckets[name].n), "")
