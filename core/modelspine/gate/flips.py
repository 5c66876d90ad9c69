"""Which items flipped between correct and wrong from one report to the other, per bucket and overall.

It does not know the gate's rule; of a report it uses only the counts and the failed items.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from modelspine.gate.eval_report import Count, Failed
from modelspine.stats import mcnemar


class ReportCounts(Protocol):
    """The part of a report or baseline that is used here."""

    @property
    def total(self) -> Count | None:
        """All items; None where none were counted."""

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The items answered wrongly; a report may omit the list."""


class Flips(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the items that became wrong (``lost``) and that became correct (``gained``)."""

    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @property
    def p(self) -> float:
        """The exact McNemar p-value of the numbers lost and gained."""
        return mcnemar(len(self.lost), len(self.gained))


class FlipTable:
    """The flips between two reports.

    Flips are None where a side does not list its failed items completely, judged by its counts.
    """

    def __init__(self, base: ReportCounts, cand: ReportCounts) -> None:
        self._base, self._cand = _Failures(base), _Failures(cand)

    def of(self, name: str, base: Count, cand: Count) -> Flips | None:
        """The flips within one bucket, given each side's count of it."""
        return _flips(self._base.within(name, base), self._cand.within(name, cand))

    def pooled(self) -> Flips | None:
        """The flips over all buckets, each item counted once."""
        return _flips(self._base.all(), self._cand.all())


class _Failures:
    """The failed items of one report, overall and by bucket; None where the list is incomplete."""

    def __init__(self, side: ReportCounts) -> None:
        self._total = side.total
        # An empty list is complete if nothing failed; otherwise the report omits its failed items.
        self._left_out = side.total is None or (not side.failed and side.total.k < side.total.n)
        self._ids = {item.id for item in side.failed}
        self._by_bucket: dict[str, set[str]] = {}
        for item in side.failed:
            for name in item.buckets:
                self._by_bucket.setdefault(name, set()).add(item.id)

    def within(self, name: str, count: Count) -> set[str] | None:
        return self._if_complete(self._by_bucket.get(name, set()), count)

    def all(self) -> set[str] | None:
        return self._if_complete(self._ids, self._total) if self._total is not None else None

    def _if_complete(self, ids: set[str], count: Count) -> set[str] | None:
        return ids if not self._left_out and len(ids) == count.n - count.k else None


def _flips(base: Iterable[str] | None, cand: Iterable[str] | None) -> Flips | None:
    if base is None or cand is None:
        return None
    before, now = set(base), set(cand)
    return Flips(lost=tuple(sorted(now - before)), gained=tuple(sorted(before - now)))
