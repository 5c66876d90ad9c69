"""The drift report of one day: live counts compared with a reference, with a status that respects sample size.

A feature is ``insufficient`` (with the number of missing requests), ``stable``, ``watch`` or ``act``. The last two need
a large PSI and a small p after correction for all features. Figures are rounded, so that the same day and reference
give the same bytes on every machine. It does not know where counts come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from modelspine.drift.accuracy import (
    DIGITS,
    Buckets,
    Covered,
    Expected,
    Graded,
    GradedKey,
    by_bucket,
    expected_accuracy,
    judge_coverage,
    judge_graded,
)
from modelspine.drift.bins import MISSING, UNSEEN, Bins, Filled, Tally, fill
from modelspine.drift.psi import DRAWS, Shift, compare, needed
from modelspine.drift.status import LEVELS, Status, status_of
from modelspine.gate.eval_report import EvalReport
from modelspine.stats import benjamini_hochberg

SCHEMA = "spine.drift/1"


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
    unit: Literal["request", "token"] = "request"
    """What ``n`` counts."""
    absent: int = 0
    """Requests without a value: out of scope, or the workload named none. They are the bin ``(missing)``."""
    hidden: int = 0
    """Requests that were left out, because the value can only be read from a text that was not kept."""
    reference_n: int | None = None
    """Reference rows or requests behind the comparison, in the unit of ``n``; None in reports of older versions."""
    reason: str = ""
    """Why there is no figure or no status, or what is remarkable about the figure; else empty."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The binned counts of what a day is compared with: the corpora of a model, or the requests of another day."""

    corpora: tuple[str, ...] = ()
    day: str | None = None
    n: int
    """Rows or requests."""
    features: dict[str, Bins]
    mixes: list[tuple[Buckets, int]] = []
    """Sets of evaluation buckets, and how many rows or requests are in exactly these."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What a day is compared with."""

    corpus_dvc_hash: str | None
    corpora: tuple[str, ...]
    n: int
    day: str | None = None
    """The day whose requests are the reference; None where the reference is corpora."""


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
    outside: int = 0
    """How many of the ``n`` requests have no feature at all, because their text is out of scope."""
    left_out: dict[str, int] = {}
    """Requests that are not in ``n``, by reason: ``shadow`` copies, ``failed``, ``ahead`` of the clock."""


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
    """Share of the window's requests that fall into an evaluated bucket; None if the entry was never evaluated."""
    expected_accuracy: float | None
    """The lowest value in ``expected``."""
    expected: dict[str, Expected] = {}
    covered: Covered | None = None
    """The counts behind ``coverage`` and their comparison with the reference."""
    graded: Graded | None = None
    """What was graded that day; None in reports of older versions."""

    @property
    def ranked(self) -> list[tuple[str, Feature]]:
        """The features, worst first: by status, then by PSI."""
        return sorted(self.features.items(), key=lambda item: (-LEVELS.index(item[1].status), -(item[1].psi or 0.0)))

    @property
    def worst(self) -> tuple[str, Feature] | None:
        """The first of ``ranked``; None without features."""
        return next(iter(self.ranked), None)


class Live(NamedTuple):
    """The counts of a day's requests."""

    tally: Tally
    mixes: Counter[Buckets]
    graded: Counter[GradedKey]


def judge_day(
    *, day: str, entry_sha: str, reference: Reference, live: Live, window: Window, evaluated: EvalReport | None
) -> DriftReport:
    """Make the report of a day. ``evaluated`` is the entry's evaluation, None where it was never evaluated."""
    features = judge_features(reference.features, live.tally, reference_n=reference.n)
    before = dict(reference.mixes)
    expected = expected_accuracy(evaluated, by_bucket(live.mixes), by_bucket(before)) if evaluated else {}
    dimension = min(expected, key=lambda name: expected[name].live, default="")
    covered = judge_coverage(evaluated, live.mixes, window.n, before, reference.n) if evaluated else None
    answered = window.entries.get(entry_sha, 0)
    return DriftReport(
        day=day,
        entry_sha=entry_sha,
        reference=Against(
            corpus_dvc_hash=reference.corpora[0] if reference.corpora else None,
            corpora=reference.corpora,
            n=reference.n,
            day=reference.day,
        ),
        window=window,
        status=_day_status([feature.status for feature in features.values()], covered),
        features=features,
        coverage=round(covered.k / covered.n, DIGITS) if covered else None,
        expected_accuracy=expected[dimension].live if dimension else None,
        expected=expected,
        covered=covered,
        graded=judge_graded(evaluated, dimension, live.graded, entry_sha, answered, window.n - answered),
    )


def _day_status(features: list[Status], covered: Covered | None) -> Status:
    """The worst status; coverage can lower a day, but a day of which no feature was compared is not stable."""
    lowered = [covered.status] if covered is not None and covered.status != "stable" else []
    return max([*features, *lowered], key=LEVELS.index, default="insufficient")


def judge_features(reference: Mapping[str, Bins], live: Tally, *, reference_n: int | None = None) -> dict[str, Feature]:
    """Every feature of the reference against the live counts; a feature that only the live side has is *unknown*."""
    # The smallest simulated p is 1 / (1 + draws). With many features it must be smaller to pass the correction.
    draws = max(DRAWS, 200 * len(reference))
    known = {name: bins for name, bins in reference.items() if bins.labels}
    found = {name: _compared(bins, fill(bins, live, name), draws) for name, bins in known.items()}
    p_values = {name: one.shift.p for name, one in found.items() if one.shift is not None and not one.reason}
    adjusted = benjamini_hochberg(p_values)
    features = {name: _feature(reference[name], one, adjusted.get(name)) for name, one in found.items()}
    for name in [*(name for name in reference if name not in known), *sorted(set(live.names) - set(reference))]:
        rows = "row" if reference_n is None else f"of {reference_n:,} reference rows"
        reason = f"unknown: no data to compare with; none {rows} has this feature"
        features[name] = _unknown(live.n, 0, reason, unit="token" if live.kind(name) == "tokens" else "request")
    return features


class _Compared(NamedTuple):
    """A feature's counts and shift before the correction over all features."""

    filled: Filled
    shift: Shift | None
    n: int
    reference_n: int
    needed: int
    reason: str
    """Why it cannot be judged; empty where it can."""


def _compared(bins: Bins, filled: Filled, draws: int) -> _Compared:
    # A bin counts towards the needed size if either side has something in it.
    occupied = len(bins.labels) + (filled.counts[-2] > 0) + (filled.missing > 0 or bins.missing > 0)
    need = needed(occupied)
    before = [*bins.counts, 0, bins.missing]
    n, reference_n = (int(sum(counts) / bins.effect) for counts in (filled.counts, before))
    if not sum(filled.counts):
        why = "the texts of its requests were not kept" if filled.hidden else "no request was counted"
        return _Compared(filled, None, 0, reference_n, need, f"unknown: no data; {why}")
    shift = compare(before, filled.counts, effect=bins.effect, draws=draws, apart=(len(before) - 1,))
    reason = ""
    if n < need:
        reason = f"not enough requests: {n:,} of {need:,}"
    elif reference_n < need:
        reason = f"the reference is too small: {reference_n:,} of {need:,}"
    return _Compared(filled, shift, n, reference_n, need, reason)


def _feature(bins: Bins, one: _Compared, adjusted: float | None) -> Feature:
    shift = one.shift
    unit: Literal["request", "token"] = "token" if bins.kind == "tokens" else "request"
    if shift is None:
        return msgspec.structs.replace(
            _unknown(0, one.needed, one.reason, unit=unit),
            absent=one.filled.missing, hidden=one.filled.hidden, reference_n=one.reference_n,
        )  # fmt: skip
    names = (*bins.labels, UNSEEN, MISSING)
    made = [
        Bin(bin=" + ".join(names[i] for i in group[:4]) + (f" + {len(group) - 4} more" if len(group) > 4 else ""),
            p=_round(share[0]), q=_round(share[1]), contribution=_round(term))
        for group, share, term in zip(shift.groups, shift.shares, shift.terms, strict=True)
    ]  # fmt: skip
    psi = _round(shift.psi)
    nowhere = sum(one.filled.counts) == one.filled.missing
    return Feature(
        psi=psi,
        kl=_round(shift.kl),
        p=_round(shift.p),
        p_adjusted=None if adjusted is None else _round(adjusted),
        status="insufficient" if adjusted is None else status_of(psi, adjusted),
        n=one.n,
        needed=one.needed,
        missing=max(0, one.needed - one.n),
        bins=tuple(sorted(made, key=lambda made_bin: (-abs(made_bin.contribution), made_bin.bin))),
        unit=unit,
        absent=one.filled.missing,
        hidden=one.filled.hidden,
        reference_n=one.reference_n,
        reason=one.reason or (f"no data: none of {one.filled.missing:,} requests has this feature" if nowhere else ""),
    )


def _unknown(n: int, needed: int, reason: str, *, unit: Literal["request", "token"]) -> Feature:
    """A feature without figures."""
    return Feature(
        psi=None, kl=None, p=None, p_adjusted=None, status="insufficient", n=n, needed=needed,
        missing=max(0, needed - n), bins=(), unit=unit, reason=reason,
    )  # fmt: skip


def _round(value: float) -> float:
    return round(value, DIGITS)
