"""Sums of an epoch's requests by unit and by latency: of whole hours from their copies, of all others from the store.

DuckDB sums up the Parquet copies of ``slices`` faster than the store its rows. A copy is read if it is there and has as
many requests as the store, with the same first and last time. None is made here; without any the sums are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from miniobserve.fold import Bucket, Files, Rows, fold
from miniobserve.schema import COPIES, IS_EVIDENCE, NO_LEARNER, within
from miniobserve.slices import HOUR_NS, Slices
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.sums import Sums, merged, unit_sums

LATENCY_SLOT = "CAST(round(16 * log2(greatest(seconds, 1e-6))) AS INTEGER)"
"""``schema.latency_slot`` in the SQL of DuckDB."""
_FROM = f"FROM {{rows}} WHERE epoch = $epoch AND {IS_EVIDENCE}"
_UNITS = f"""
    SELECT arm, CASE WHEN sticky THEN u ELSE '{NO_LEARNER}' || u END, count(*), count(*) FILTER (status >= 500),
        coalesce(sum(seconds) FILTER (status < 500), 0.0), count(graded), count(*) FILTER (graded)
    {_FROM} AND (shadow_of IS NOT NULL) = $copies GROUP BY ALL"""
_LATENCIES = f"SELECT arm, {LATENCY_SLOT}, count(*) {_FROM} AND status < 500 GROUP BY ALL"


class HourSums:
    """Sums over the requests that one store holds."""

    def __init__(self, database: Database, slices: Slices) -> None:
        self._database = database
        self._slices = slices

    def units(self, epoch: int, kind: int, from_ns: int, before_ns: int) -> dict[tuple[str, str], Sums]:
        """Return arm and unit → ``schema.UNIT_SUMS`` of an epoch's requests of a kind within a time range."""
        rows, rest = self._copied(_UNITS, {"epoch": epoch, "copies": kind == COPIES}, from_ns, before_ns)
        found = merged(rows)
        for since, until in rest:
            found = merged(unit_sums(self._database, epoch, kind, since, until), found)
        return found

    def latencies(self, epoch: int, from_ns: int, before_ns: int) -> Counter[tuple[str, int]]:
        """Return arm and slot → number of an epoch's answered requests within a time range."""
        rows, rest = self._copied(_LATENCIES, {"epoch": epoch}, from_ns, before_ns)
        for since, until in rest:
            condition, params = within(since, until)
            rows += self._database.read(
                f"SELECT arm, slot, COUNT(*) FROM requests WHERE epoch = ? AND {condition} AND status < 500"  # noqa: S608
                f" AND {IS_EVIDENCE} GROUP BY arm, slot",
                (epoch, *params),
            )
        counts: Counter[tuple[str, int]] = Counter()
        for arm, slot, n in rows:
            counts[arm, int(slot)] += int(n)
        return counts

    def _copied(
        self, query: str, values: dict[str, Any], from_ns: int, before_ns: int
    ) -> tuple[Rows, list[tuple[int, int]]]:
        """The rows of a query over the copies of whole hours within a range, and what else is in the range."""
        first, end = self._hours(values["epoch"])
        hours = self._slices.whole_hours(max(from_ns, first), min(before_ns, end))
        if hours:
            files = Files(tuple(str(file) for file, _ in hours.values()))
            try:
                rows = fold([Bucket((files,), rows=sum(n for _, n in hours.values()))], {"sums": query}, values)
            except StorageError:  # a copy was deleted meanwhile, or is damaged; the store has its requests
                hours = {}
            else:
                return rows["sums"], list(_between(hours, from_ns, before_ns))
        return [], [(from_ns, before_ns)]

    def _hours(self, epoch: int) -> tuple[int, int]:
        """When the first hour of an epoch's requests begins and the last one ends: no other copy holds any of them."""
        query = "SELECT started_ns FROM requests WHERE epoch = ? ORDER BY started_ns {} LIMIT 1"
        ends = [self._database.read(query.format(order), (epoch,)) for order in ("ASC", "DESC")]
        if not all(ends):
            return 0, 0
        first, last = (int(rows[0][0]) // HOUR_NS for rows in ends)
        return first * HOUR_NS, (last + 1) * HOUR_NS


def _between(hours: Iterable[int], from_ns: int, before_ns: int) -> Iterable[tuple[int, int]]:
    """Yield what lies in a range before, between and after some hours, given by when they begin, oldest first."""
    since = from_ns
    for first in hours:
        if since < first:
            yield since, first
        since = first + HOUR_NS
    if since < before_ns:
        yield since, before_ns
