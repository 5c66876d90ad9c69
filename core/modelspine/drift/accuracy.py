"""The accuracy to expect of a day's requests, what was graded that day, and how much of the day was evaluated at all.

The evaluation gives an accuracy for each bucket; weighted with the day's mix of buckets it is what to expect. Where the
workload grades its answers, the graded share stands beside it, and a test by learner says whether the two contradict
each other. It does not know where requests come from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from modelspine.drift.psi import compare, needed
from modelspine.drift.status import SIGNIFICANT, Status, status_of
from modelspine.gate.eval_report import EvalReport
from modelspine.stats import FEW_UNITS, student_t_p, wilson

DIGITS = 6
"""Decimals of every figure: floating-point sums differ between machines only in later ones."""

Buckets = tuple[str, ...]
"""The evaluation buckets of one request or row."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy to expect for the day's mix of evaluation buckets along one dimension, such as ``tense``."""

    live: float
    """Σ live share × the bucket's accuracy."""
    reference: float | None
    """The same for the reference's mix."""
    n: int
    """Live requests in a bucket that was evaluated."""


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """Requests in any evaluated bucket, beside the same of the reference; the rest is outside what was evaluated."""

    k: int
    n: int
    """``k`` of the day's ``n`` requests are in an evaluated bucket."""
    reference_k: int
    reference_n: int
    psi: float
    p: float
    status: Status
    """As for a feature: ``stable`` unless the share is below the reference's and PSI and p say so."""
    needed: int
    """The minimum ``n`` for a status other than ``insufficient``."""


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """What the workload graded of the answers that the report's entry gave that day."""

    k: int
    n: int
    """``k`` of ``n`` graded answers are correct."""
    low: float | None = None
    high: float | None = None
    """The Wilson 95 % interval of k/n, with n divided by the design effect of the learners."""
    units: int = 0
    """Learners with a graded answer; a request without a learner counts as one of its own."""
    compared: int = 0
    """Graded answers in an evaluated bucket of ``dimension``: the ones that are tested."""
    dimension: str = ""
    expected: float | None = None
    """The accuracy to expect of the compared answers."""
    observed: float | None = None
    """The graded accuracy of the compared answers."""
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


class GradedKey(NamedTuple):
    """What graded answers are counted by."""

    entry: str
    unit: str
    buckets: Buckets
    right: bool


def by_bucket(mixes: Mapping[Buckets, int]) -> Counter[str]:
    """Count each bucket; a request in several counts in each of them."""
    counts: Counter[str] = Counter()
    for buckets, n in mixes.items():
        for bucket in buckets:
            counts[bucket] += n
    return counts


def expected_accuracy(
    evaluated: EvalReport, live: Mapping[str, int], reference: Mapping[str, int]
) -> dict[str, Expected]:
    """Weight the evaluation's accuracy by bucket with the live mix, along each dimension of its buckets."""
    by_dimension: dict[str, Expected] = {}
    for dimension in dict.fromkeys(name.partition("/")[0] for name in evaluated.buckets if "/" in name):
        now, n = _mixed(evaluated, live, dimension)
        if now is not None:
            before, _ = _mixed(evaluated, reference, dimension)
            by_dimension[dimension] = Expected(live=now, reference=before, n=n)
    return by_dimension


def judge_coverage(
    evaluated: EvalReport, live: Mapping[Buckets, int], n: int, reference: Mapping[Buckets, int], reference_n: int
) -> Covered | None:
    """The share of requests in an evaluated bucket against the reference's share; None without requests or rows.

    It is judged like a feature of two bins, and only a share below the reference's lowers the status.
    """
    if not n or not reference_n:
        return None
    k, reference_k = (_covered(evaluated, mix) for mix in (live, reference))
    shift = compare([reference_k, reference_n - reference_k], [k, n - k], apart=(0, 1))
    need = needed(2)
    lower = k * reference_n < reference_k * n
    status = status_of(shift.psi, shift.p) if lower else "stable"
    return Covered(
        k=k,
        n=n,
        reference_k=reference_k,
        reference_n=reference_n,
        psi=round(shift.psi, DIGITS),
        p=round(shift.p, DIGITS),
        status="insufficient" if min(n, reference_n) < need else status,
        needed=need,
    )


def judge_graded(
    evaluated: EvalReport | None,
    dimension: str,
    answers: Mapping[GradedKey, int],
    entry: str,
    answered: int,
    others: int,
) -> Graded:
    """What was graded of an entry's answers, and whether it contradicts the evaluation along one dimension.

    Args:
        evaluated: the entry's evaluation, if it has one.
        dimension: the dimension of buckets whose expected accuracy is tested; empty where there is none.
        answers: the day's graded answers of all entries.
        entry: the entry's SHA.
        answered: the number of its answers, graded or not.
        others: the number of answers of other entries.
    """
    own = {key: count for key, count in answers.items() if key.entry == entry}
    n, k = sum(own.values()), sum(count for key, count in own.items() if key.right)
    if not n:
        reason = "the entry answered no request that day" if not answered else "the workload graded no answer that day"
        return Graded(k=0, n=0, ungraded=answered, others=others, reason=f"unknown: {reason}")
    counted = _by_unit((key.unit, count, float(key.right)) for key, count in own.items())
    low, high = _interval(k, n, counted)
    found = Graded(
        k=k, n=n, low=low, high=high, units=len(counted), ungraded=answered - n, others=others,
        reason="not tested: the entry has no evaluation of the buckets that were graded",
    )  # fmt: skip
    return _tested(found, evaluated, dimension, own) if evaluated is not None and dimension else found


def _tested(found: Graded, evaluated: EvalReport, dimension: str, own: Mapping[GradedKey, int]) -> Graded:
    """Add the test of the graded answers against the evaluation."""
    placed = [(key, bucket, count) for key, count in own.items() if (bucket := _bucket(evaluated, key, dimension))]
    n = sum(count for _, _, count in placed)
    if not n:
        return found
    mix = Counter[str]()
    for _, bucket, count in placed:
        mix[bucket] += count
    rate = {bucket: evaluated.buckets[bucket].k / evaluated.buckets[bucket].n for bucket in mix}
    expected = sum(mix[bucket] * rate[bucket] for bucket in mix) / n
    observed = sum(count for key, _, count in placed if key.right) / n
    residuals = _by_unit((key.unit, count, key.right - rate[bucket]) for key, bucket, count in placed)
    found = msgspec.structs.replace(
        found, compared=n, dimension=dimension, expected=round(expected, DIGITS), observed=round(observed, DIGITS)
    )
    effective = n * n / sum(size * size for size, _ in residuals.values())
    if effective < FEW_UNITS:
        why = f"not tested: too few learners ({effective:.1f} of {FEW_UNITS}, counted by their share of the answers)"
        return msgspec.structs.replace(found, reason=why)
    # A bucket without a failure is not certain: one more success and one more failure bound its variance.
    near = {b: (evaluated.buckets[b].k + 1) / (evaluated.buckets[b].n + 2) for b in mix}
    spread = {b: near[b] * (1 - near[b]) for b in mix}
    by_answer = sum(mix[b] * spread[b] for b in mix) / (n * n)
    by_evaluation = sum((mix[b] / n) ** 2 * spread[b] / evaluated.buckets[b].n for b in mix)
    error = math.sqrt(max(_variance(residuals, n), by_answer) + by_evaluation)
    p = student_t_p((observed - expected) / error, effective - 1)
    return msgspec.structs.replace(found, p=round(p, DIGITS), contradicts=p < SIGNIFICANT, reason="")


def _by_unit(parts: Iterable[tuple[str, int, float]]) -> dict[str, tuple[int, float]]:
    """Unit → its number of answers and the sum of their values."""
    units: dict[str, tuple[int, float]] = {}
    for unit, count, value in parts:
        size, total = units.get(unit, (0, 0.0))
        units[unit] = (size + count, total + count * value)
    return units


def _variance(units: Mapping[str, tuple[int, float]], n: int) -> float:
    """The variance of the mean value of all answers when whole units are drawn (ratio estimator)."""
    mean = math.fsum(total for _, total in units.values()) / n
    squares = math.fsum((total - mean * size) ** 2 for size, total in units.values())
    return squares / (n * n) * len(units) / (len(units) - 1) if len(units) > 1 else 0.0


def _interval(k: int, n: int, units: Mapping[str, tuple[int, float]]) -> tuple[float, float]:
    """Wilson's interval at the effective sample size n / design effect."""
    share = k / n
    alone = share * (1 - share) / n
    effect = max(1.0, _variance(units, n) / alone) if alone else 1.0
    low, high = wilson(share * n / effect, n / effect)
    return round(low, DIGITS), round(high, DIGITS)


def _bucket(evaluated: EvalReport, key: GradedKey, dimension: str) -> str:
    """The evaluated bucket of an answer along a dimension; empty where there is none."""
    names = (name for name in key.buckets if name.startswith(f"{dimension}/"))
    return next((name for name in names if name in evaluated.buckets and evaluated.buckets[name].n), "")


def _covered(evaluated: EvalReport, mixes: Mapping[Buckets, int]) -> int:
    known = {name for name, count in evaluated.buckets.items() if "/" in name and count.n}
    return sum(n for buckets, n in mixes.items() if not known.isdisjoint(buckets))


def _mixed(evaluated: EvalReport, mix: Mapping[str, int], dimension: str) -> tuple[float | None, int]:
    parts = [
        (mix[name], count.k / count.n)
        for name, count in evaluated.buckets.items()
        if name.startswith(f"{dimension}/") and count.n and mix.get(name)
    ]
    n = sum(many for many, _ in parts)
    return (round(sum(many * accuracy for many, accuracy in parts) / n, DIGITS), n) if n else (None, 0)
