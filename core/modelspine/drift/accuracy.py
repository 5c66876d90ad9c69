"""The accuracy to expect of a day's requests, and how much of the day was evaluated at all.

The evaluation gives an accuracy for each bucket; weighted with the day's mix of buckets it is what to expect. It does
not know where requests come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from modelspine.drift.psi import compare, needed
from modelspine.drift.status import Status, status_of
from modelspine.gate.eval_report import EvalReport

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
