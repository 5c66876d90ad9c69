"""The drift of one day: live counts against a reference → a report, with a status that knows its sample size.

A feature says ``insufficient`` (and how many requests are missing), ``stable``, ``watch`` or ``act``; the last
two need a small p after correction for all features as well as a large PSI. Rounded, so that the same day and
reference give the same bytes. It does not know where counts come from.
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
SIGNIFICANT = 0.01
_DIGITS = 6

Status = Literal["insufficient", "stable", "watch", "act"]
LEVELS: tuple[Status, ...] = ("insufficient", "stable", "watch", "act")


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin: reference and live share, and its part of PSI, negative where it became rarer."""

    bin: str
    p: float
    q: float
    contribution: float


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a day; no number where nothing was there to compare."""

    psi: float | None
    kl: float | None
    p: float | None
    """How likely a PSI this large is without drift."""
    p_adjusted: float | None
    """The same after correction for all features that had enough requests."""
    status: Status
    n: int
    """Requests with this feature; tokens, for a feature of tokens, as far as they count as independent."""
    needed: int
    missing: int
    """How many more are needed before it is judged."""
    bins: tuple[Bin, ...]
    """Largest part first."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the evaluation's buckets say of the day's mix, along one dimension (such as ``tense``)."""

    live: float
    """Σ live share × the bucket's accuracy."""
    reference: float | None
    """The same for the reference's mix."""
    n: int
    """Live requests in a bucket that was evaluated."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was trained on, in bins."""

    corpora: tuple[str, ...]
    n: int
    features: dict[str, Bins]
    buckets: dict[str, int]
    """Evaluation bucket → rows that count in it."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """Which corpora the day was compared with."""

    corpus_dvc_hash: str | None
    corpora: tuple[str, ...]
    n: int


class Window(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from"}):
    """Which requests were looked at."""

    start: str
    to: str
    n: int
    """Answered requests of learners; shadow copies and failed requests are none."""
    replayed: int = 0
    """How many of them carry simulated time."""
    learners: int = 0
    heaviest: int = 0
    """Requests of the learner who sent most."""
    entries: dict[str, int] = {}
    """Entry → requests it answered."""


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """One day's report."""

    schema: str = SCHEMA
    day: str
    entry_sha: str
    reference: Against
    window: Window
    status: Status
    features: dict[str, Feature]
    coverage: float | None
    """Share of the window's requests that are in an evaluated bucket."""
    expected_accuracy: float | None
    """The lowest of what ``expected`` says."""
    expected: dict[str, Expected] = {}

    @property
    def ranked(self) -> list[tuple[str, Feature]]:
        """The features, worst first: by status, then by PSI."""
        return sorted(self.features.items(), key=lambda item: (-LEVELS.index(item[1].status), -(item[1].psi or 0.0)))

    @property
    def worst(self) -> tuple[str, Feature] | None:
        """The feature that is worst by status, then by PSI."""
        return next(iter(self.ranked), None)


class Live(msgspec.Struct):
    """What was counted over a day."""

    tally: Tally
    buckets: Counter[str]


def judge_day(
    *, day: str, entry_sha: str, reference: Reference, live: Live, window: Window, evaluated: EvalReport | None
) -> DriftReport:
    """The report of a day."""
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
    """Every feature of the reference, judged on what came live."""
    draws = max(DRAWS, 200 * len(reference))  # fewer could not pass the correction for that many features
    found = {name: _shift(bins, fill(bins, live, name), draws) for name, bins in reference.items()}
    p_values = {name: shift.p for name, (shift, n, need) in found.items() if shift is not None and n >= need}
    adjusted = benjamini_hochberg(p_values)
    return {
        name: _feature(reference[name], shift, n, need, adjusted.get(name)) for name, (shift, n, need) in found.items()
    }


def status_of(psi: float, p_adjusted: float) -> Status:
    """The status of a feature that had enough requests."""
    if psi < WATCH or p_adjusted >= SIGNIFICANT:
        return "stable"
    return "act" if psi >= ACT else "watch"


def expected_accuracy(
    evaluated: EvalReport, live: Mapping[str, int], reference: Mapping[str, int]
) -> dict[str, Expected]:
    """Along each dimension of the evaluation's buckets: the accuracy that a mix of them amounts to."""
    made: dict[str, Expected] = {}
    for dimension in dict.fromkeys(name.partition("/")[0] for name in evaluated.buckets if "/" in name):
        now, n = _mixed(evaluated, live, dimension)
        if now is not None:
            before, _ = _mixed(evaluated, reference, dimension)
            made[dimension] = Expected(live=now, reference=before, n=n)
    return made


def _mixed(evaluated: EvalReport, mix: Mapping[str, int], dimension: str) -> tuple[float | None, int]:
    parts = [
        (mix[name], count.k / count.n)
        for name, count in evaluated.buckets.items()
        if name.startswith(f"{dimension}/") and count.n and mix.get(name)
    ]
    n = sum(many for many, _ in parts)
    return (_round(sum(many * accuracy for many, accuracy in parts) / n), n) if n else (None, 0)


def _shift(bins: Bins, filled: list[int], draws: int) -> tuple[Shift | None, int, int]:
    """A feature's shift, how many independent requests it rests on, and how many it needs."""
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
