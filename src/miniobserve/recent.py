"""Sums over a short time span that ends at the present: what was graded, what learners complained of, what it cost.

Each is a query or two. This module draws no conclusions, and does not know entries or routes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from miniobserve.archive import Archive
from miniobserve.closed_days import ClosedDays
from miniobserve.days import date_of
from miniobserve.labelled import span_changes
from miniobserve.schema import DAY_NS, IS_EVIDENCE, MINUTE_NS, within
from miniobserve.sql.protocol import Database
from miniobserve.sums import minute_sums
from miniobserve.uptime import uptime_of

_EPOCHS = 500
"""The newest epochs that are looked at. A span of a day rarely has more than ten."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The roll-up of one entry over a span; ``sha`` is empty where no entry answered."""

    sha: str
    answered: int
    failed: int
    priced: int
    """The number of requests with a price; ``cost`` is their sum, in whatever currency each has."""
    cost: float


class Grades(msgspec.Struct, frozen=True, kw_only=True):
    """How a span's answers to learners were graded, by the workload and by later labels."""

    entries: dict[str, tuple[int, int]]
    """SHA of an entry → how many of its answers were right, and how many were graded."""
    false_accepts: int | None
    """Wrong answers that passed a sentence as correct; None where a part of the span was pruned from the store."""


class Recent:
    """Queries over one trace store; shadow copies and testers' requests are in none of them."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive
        self._closed = ClosedDays(database, archive)

    def totals(self, since_ns: int, until_ns: int) -> list[Totals]:
        """Return the sums of each entry over the minutes that began within a span."""
        minutes = since_ns // MINUTE_NS, -(-until_ns // MINUTE_NS)
        sums = minute_sums(self._database, "entry_sha", ("n", "errors", "priced", "cost"), minutes)
        return [
            Totals(sha=sha, answered=n - failed, failed=failed, priced=priced, cost=cost)
            for sha, (n, failed, priced, cost) in sorted(sums.items())
        ]

    def grades(self, epochs: Sequence[int], since_ns: int, until_ns: int) -> Grades:
        """Return what was graded of the requests of these epochs that started within a span."""
        some = sorted(epochs, reverse=True)[:_EPOCHS]
        condition, params = within(since_ns, until_ns)
        among, values = self._database.among("epoch", some, "BIGINT") if some else ("1 = 0", ())
        what = "entry_sha, COUNT(graded), COALESCE(SUM(graded), 0)"
        where = f"{IS_EVIDENCE} AND shadow_of IS NULL"
        found = self._database.read(
            f"SELECT {what}, COALESCE(SUM(CASE WHEN graded = 0 AND accepted = 1 THEN 1 ELSE 0 END), 0) FROM requests"  # noqa: S608 -- marks
            f" WHERE {condition} AND {among} AND {where} GROUP BY entry_sha",
            (*params, *values),
        )
        found += [(sha, *more) for sha, more in span_changes(self._database, some, since_ns, until_ns).items()]
        pruned = self._pruned(since_ns, until_ns)
        for epoch in some if pruned else ():
            of_file = self._closed.read(what, epoch, since_ns, until_ns, where, "GROUP BY entry_sha")
            found += [(*row, 0) for row in of_file]
        entries: dict[str, tuple[int, int]] = {}
        for sha, graded, right, _ in found:
            known = entries.get(sha or "", (0, 0))
            entries[sha or ""] = known[0] + int(right), known[1] + int(graded)
        passed = sum(int(row[3]) for row in found)
        return Grades(
            entries={sha: each for sha, each in sorted(entries.items()) if each[1]},
            false_accepts=None if pruned else passed,
        )

    def dismissed(self, since_ns: int, until_ns: int) -> int:
        """Count the answers to requests of a span that their learners dismissed."""
        rows = self._database.read(
            "SELECT COUNT(*) FROM feedback WHERE outcome = 'dismissed' AND started_ns >= ? AND started_ns < ?"
            " AND shadow_of IS NULL AND counted = 1",
            (since_ns, until_ns),
        )
        return int(rows[0][0])

    def is_replayed(self, request_id: str, started_ns: int) -> bool:
        """Whether a request was replayed, so that its time is simulated.

        The trace says so. Of one that was exported and pruned, the uptime of its day does: reading the files of closed
        days would take too long for a question that is asked every few seconds.
        """
        query = "SELECT source FROM requests WHERE request_id = ? AND day = ?"
        rows = self._database.read(query, (request_id, started_ns // DAY_NS))
        if rows:
            return bool(rows[0][0] == "replay")
        return any(up.simulated for up in uptime_of(self._database, started_ns, started_ns + 1))

    def _pruned(self, since_ns: int, until_ns: int) -> bool:
        """Whether a day of the span was exported and left the live store."""
        first, last = (date_of(ns // DAY_NS) for ns in (since_ns, max(since_ns, until_ns - 1)))
        days = self._archive.days(pruned=True) if self._archive is not None else []
        return any(first <= day <= last for day in days)
