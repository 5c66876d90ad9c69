"""Which items changed sides between two reports, by bucket and over all of them.

It does not know the gate's rule, nor any report beyond its counts and the items that failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from modelspine.gate.eval_report import Count, Failed
from modelspine.stats import mcnemar


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


def _flips(base: Iterable[str] | None, cand: Iterable[str] | None) -> Flips | None:
    if base is None or cand is None:
        return None
    before, now = set(base), set(cand)
    return Flips(lost=tuple(sorted(now - before)), gained=tuple(sorted(before - now)))
