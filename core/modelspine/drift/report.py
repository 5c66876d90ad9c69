"""The drift report of one day: live counts compared with a reference, with a status that respects sample size.

A feature is ``insufficient`` (with the number of missing requests), ``stable``, ``watch`` or ``act``. The last two need
a large PSI and a small p after correction for all features. Figures are rounded, so that the same day and reference
give the same bytes on every machine. It does not know where counts come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from modelspine.drift.bins import UNSEEN, Bins, Tally, fill
from modelspine.drift.psi import DRAWS, Shift, compare, needed
from modelspine.gate.eval_report import EvalReport
from modelspine.stats import benjamini_hochberg

SCHEMA = "spine.drift/1"
WATCH = 0.10
ACT = 0.25
"""The two PSI thresholds are the common rule of thumb from credit scoring."""
SIGNIFICANT = 0.01
"""Largest false discovery rate at which a PSI counts as drift."""
_DIGITS = 6
"""Decimals of every figure: floating-point sums differ between machines only in later ones."""

Status = Literal["insufficient", "stable", "watch", "act"]
LEVELS: tuple[Status, ...] = ("insufficient", "stable", "watch", "act")


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin: reference share ``p``, live share ``q``, and its contribution to PSI, negative where it became rarer."""

    bin: str
    p: float
    q: float
    contribution: float


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The drift of one feature; figures are None where no live value was counted."""

    psi: float | None
    kl: float | None
    p: float | None
    """The probability of a PSI this large without drift."""
    p_adjusted: float | None
    """``p`` after Benjamini–Hochberg correction over all features with enough requests."""
    status: Status
    n: int
    """Requests with this feature; for tokens, the equivalent number of independent ones."""
    needed: int
    """The minimum ``n`` for a status other than ``insufficient``."""
    missing: int
    """``needed`` − ``n``, at least 0."""
    bins: tuple[Bin, ...]
    """Largest contribution first."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy to expect for the day's mix of evaluation buckets along one dimension, such as ``tense``."""

    live: float
    """Σ live share × the bucket's accuracy."""
    reference: float | None
    """The same for the reference's mix."""
    n: int
    """Live requests in a bucket that was evaluated."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The binned counts of what a model was trained on."""

    corpora: tuple[str, ...]
    n: int
    features: dict[str, Bins]
    buckets: dict[str, int]
    """Evaluation bucket → number of its rows."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """The corpora a day is compared with."""

    corpus_dvc_hash: str | None
    corpora: tuple[str, ...]
    n: int


class Window(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from"}):
    """The requests a report is about."""

    start: str
    to: str
    n: int
    """Answered requests of learners, without shadow copies and failed requests."""
    replayed: int = 0
    """How many of them carry simulated time."""
    learners: int = 0
    heaviest: int = 0
    """How many requests the busiest learner sent."""
    entries: dict[str, int] = {}
    """Entry → requests it answered."""


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """The drift report of one day."""

    schema: str = SCHEMA
    day: str
    entry_sha: str
    reference: Against
    window: Window
    status: Status
    features: dict[str, Feature]
    coverage: float | None
    """Share of the window's requests that fall into an evaluated bucket."""
    expected_accuracy: float | None
    """The lowest value in ``expected``."""
    expected: dict[str, Expected] = {}

    @property
    def ranked(self) -> list[tuple[str, Feature]]:
        """The features, worst first: by status, then by PSI."""
        return sorted(self.features.items(), key=lambda item: (-LEVELS.index(item[1].status), -(item[1].psi or 0.0)))

    @property
    def worst(self) -> tuple[str, Feature] | None:
        """The first of ``ranked``; None without features."""
        return next(iter(self.ranked), None)


class Live(msgspec.Struct):
    """The counts of a day's requests."""

    tally: Tally
    buckets: Counter[str]


def judge_day(
    *, day: str, entry_sha: str, reference: Reference, live: Live, window: Window, evaluated: EvalReport | None
) -> DriftReport:
    """Make the report of a day. ``evaluated`` is the entry's evaluation, None where it was never evaluated."""
    features = judge_features(reference.features, live.tally)
    expected = expected_accuracy(evaluated, live.buckets, reference.buckets) if evaluated else {}
    lowest = min(expected.values(), key=lambda e: e.live, default=None)
    return DriftReport(
        day=day,
        entry_sha=entry_sha,
        reference=Against(
            corpus_dvc_hash=reference.corpora[0] if reference.corpora else None,
            corpora=reference.corpora,
            n=reference.n,
        ),
        window=window,
        status=max((f.status for f in features.values()), key=LEVELS.index, default="insufficient"),
        features=features,
        coverage=_round(min(1.0, lowest.n / window.n)) if lowest and window.n else None,
        expected_accuracy=lowest.live if lowest else None,
        expected=expected,
    )


def judge_features(reference: Mapping[str, Bins], live: Tally) -> dict[str, Feature]:
    """Every feature of the reference against the live counts."""
    # The smallest simulated p is 1 / (1 + draws). With many features it must be smaller to pass the correction.
    draws = max(DRAWS, 200 * len(reference))
    found = {name: _shift(bins, fill(bins, live, name), draws) for name, bins in reference.items()}
    p_values = {name: shift.p for name, (shift, n, need) in found.items() if shift is not None and n >= need}
    adjusted = benjamini_hochberg(p_values)
    return {
        name: _feature(reference[name], shift, n, need, adjusted.get(name)) for name, (shift, n, need) in found.items()
    }


def status_of(psi: float, p_adjusted: float) -> Status:
    """The status of a feature with enough requests."""
    if psi < WATCH or p_adjusted >= SIGNIFICANT:
        return "stable"
    return "act" if psi >= ACT else "watch"


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


def _mixed(evaluated: EvalReport, mix: Mapping[str, int], dimension: str) -> tuple[float | None, int]:
    parts = [
        (mix[name], count.k / count.n)
        for name, count in evaluated.buckets.items()
        if name.startswith(f"{dimension}/") and count.n and mix.get(name)
    ]
    n = sum(many for many, _ in parts)
    return (_round(sum(many * accuracy for many, accuracy in parts) / n), n) if n else (None, 0)


def _shift(bins: Bins, filled: list[int], draws: int) -> tuple[Shift | None, int, int]:
    """A feature's shift, its equivalent number of independent requests, and how many are needed."""
    n = int(sum(filled) / bins.effect)
    need = needed(len(bins.labels) + (filled[-1] > 0))
    if not sum(filled):
        return None, 0, need
    return compare([*bins.counts, 0], filled, effect=bins.effect, draws=draws), n, need


def _feature(bins: Bins, shift: Shift | None, n: int, need: int, adjusted: float | None) -> Feature:
    if shift is None:
        return Feature(
            psi=None, kl=None, p=None, p_adjusted=None, status="insufficient", n=0, needed=need, missing=need, bins=()
        )
    names = (*bins.labels, UNSEEN)
    made = [
        Bin(bin=" + ".join(names[i] for i in group[:4]) + (f" + {len(group) - 4} more" if len(group) > 4 else ""),
            p=_round(share[0]), q=_round(share[1]), contribution=_round(term))
        for group, share, term in zip(shift.groups, shift.shares, shift.terms, strict=True)
    ]  # fmt: skip
    psi = _round(shift.psi)
    return Feature(
        psi=psi,
        kl=_round(shift.kl),
        p=_round(shift.p),
        p_adjusted=None if adjusted is None else _round(adjusted),
        status="insufficient" if adjusted is None else status_of(psi, adjusted),
        n=n,
        needed=need,
        missing=max(0, need - n),
        bins=tuple(sorted(made, key=lambda made_bin: (-abs(made_bin.contribution), made_bin.bin))),
    )


def _round(value: float) -> float:
    return round(value, _DIGITS)
