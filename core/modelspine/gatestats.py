"""What the numbers of a comparison mean: intervals, flips and their p-values. They explain and never decide.

Small and exact on purpose: the libraries that hold the same tests take a second to import. It does not know
the gate's rule, nor any report beyond its counts and the items that failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from modelspine.gate.eval_report import Count, Failed

SIGNIFICANT = 0.05
_Z = 1.959963984540054
"""The standard normal's 97.5 % quantile."""


class Counted(Protocol):
    """A report or a baseline, as far as it is needed here."""

    @property
    def total(self) -> Count:
        """All items."""

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The items answered wrongly; may be left out."""


class Flips(msgspec.Struct, frozen=True, kw_only=True):
    """Item ids that were right before and are wrong now, and the other way round."""

    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @property
    def p(self) -> float:
        """The exact McNemar p of this many against that many."""
        return mcnemar(len(self.lost), len(self.gained))


class FlipTable:
    """Which items changed sides between two reports, by bucket and over all of them.

    A side that leaves ``failed`` out, or whose list is not as long as its counts say, tells nothing about
    the bucket: then its flips are None. An empty list of a report with nothing wrong is a full one.
    """

    def __init__(self, base: Counted, cand: Counted) -> None:
        self._base, self._cand = _Failures(base), _Failures(cand)

    def of(self, name: str, base: Count, cand: Count) -> Flips | None:
        """The flips within one bucket, given what each side counted there."""
        return _flips(self._base.within(name, base), self._cand.within(name, cand))

    def pooled(self) -> Flips | None:
        """The flips over all buckets, every item counted once."""
        return _flips(self._base.all(), self._cand.all())


class _Failures:
    """The failed items of one report, by bucket."""

    def __init__(self, side: Counted) -> None:
        self._total = side.total
        self._left_out = not side.failed and side.total.k < side.total.n
        self._ids = {item.id for item in side.failed}
        self._by_bucket: dict[str, set[str]] = {}
        for item in side.failed:
            for name in item.buckets:
                self._by_bucket.setdefault(name, set()).add(item.id)

    def within(self, name: str, count: Count) -> set[str] | None:
        return self._if_full(self._by_bucket.get(name, set()), count)

    def all(self) -> set[str] | None:
        return self._if_full(self._ids, self._total)

    def _if_full(self, ids: set[str], count: Count) -> set[str] | None:
        return ids if not self._left_out and len(ids) == count.n - count.k else None


def wilson(k: int, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share, for n ≥ 1."""
    share, z2 = k / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


def mcnemar(lost: int, gained: int) -> float:
    """The two-sided exact McNemar p: how likely flips this lopsided are when either way is as likely."""
    flips, fewer = lost + gained, min(lost, gained)
    if lost == gained:
        return 1.0
    log_first = math.lgamma(flips + 1) - math.lgamma(fewer + 1) - math.lgamma(flips - fewer + 1) - flips * math.log(2)
    # The binomial's tail from its largest term down, each term from its neighbour.
    term = total = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (flips - k + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * math.exp(log_first) * total)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value after Holm's correction for having looked at all of them."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def _flips(base: Iterable[str] | None, cand: Iterable[str] | None) -> Flips | None:
    if base is None or cand is None:
        return None
    before, now = set(base), set(cand)
    return Flips(lost=tuple(sorted(now - before)), gained=tuple(sorted(before - now)))
