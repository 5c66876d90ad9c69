"""Sums over a short time span that ends at the present: what was graded, what learners complained of, what it cost.

Each is one query over the live store. This module draws no conclusions, and does not know entries or routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from miniobserve.archive import Archive
from miniobserve.daily import EPOCH
from miniobserve.schema import MINUTE_NS
from miniobserve.sql.protocol import Database
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
    """What the workload graded of a span's answers to learners."""

    right: int
    graded: int
    false_accepts: int | None
    """Wrong answers that passed a sentence as correct; None where a part of the span was pruned from the store."""


class _Sent(msgspec.Struct):
    source: str = "live"


_source = msgspec.json.Decoder(_Sent).decode


class Recent:
    """Queries over one trace store; shadow copies and testers' requests are in none of them."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive

    def totals(self, since_ns: int, until_ns: int) -> list[Totals]:
        """Return the sums of each entry over the minutes that began within a span."""
        rows = self._database.read(
            "SELECT entry_sha, SUM(n - errors), SUM(errors), SUM(priced), SUM(cost) FROM minutes"
            " WHERE minute >= ? AND minute < ? GROUP BY entry_sha ORDER BY entry_sha",
            (since_ns // MINUTE_NS, -(-until_ns // MINUTE_NS)),
        )
        return [
            Totals(sha=sha, answered=int(n), failed=int(failed), priced=int(priced), cost=float(cost))
            for sha, n, failed, priced, cost in rows
        ]

    def grades(self, epochs: Sequence[int], since_ns: int, until_ns: int) -> Grades:
        """Return what was graded of the requests of these epochs that started within a span."""
        some = sorted(epochs, reverse=True)[:_EPOCHS]
        scope = (
            f"answers.epoch IN ({', '.join('?' for _ in some) or 'NULL'})"
            " AND answers.started_ns >= ? AND answers.started_ns < ? AND answers.shadow_of IS NULL"
        )
        params = (*some, since_ns, until_ns)
        graded, right = self._database.read(
            f"SELECT COUNT(graded), COALESCE(SUM(graded), 0) FROM answers WHERE {scope}",  # noqa: S608 -- marks
            params,
        )[0]
        false_accepts = None
        if not self._pruned(since_ns, until_ns):
            false_accepts = self._database.read(
                "SELECT COUNT(*) FROM answers JOIN traces ON traces.request_id = answers.request_id"  # noqa: S608
                f" WHERE {scope} AND answers.graded = 0 AND traces.accepted = 1",
                params,
            )[0][0]
        return Grades(
            right=int(right),
            graded=int(graded),
            false_accepts=None if false_accepts is None else int(false_accepts),
        )

    def dismissed(self, since_ns: int, until_ns: int) -> int:
        """Count the answers to requests of a span that their learners dismissed."""
        rows = self._database.read(
            "SELECT COUNT(*) FROM feedback JOIN answers ON answers.request_id = feedback.request_id"
            " WHERE feedback.outcome = 'dismissed' AND answers.started_ns >= ? AND answers.started_ns < ?"
            " AND answers.shadow_of IS NULL",
            (since_ns, until_ns),
        )
        return int(rows[0][0])

    def is_replayed(self, request_id: str, started_ns: int) -> bool:
        """Whether a request was replayed, so that its time is simulated.

        The trace says so. Of one that was exported and pruned, the uptime of its day does: reading the files of closed
        days would take too long for a question that is asked every few seconds.
        """
        rows = self._database.read("SELECT body FROM bodies WHERE request_id = ?", (request_id,))
        if rows:
            return _source(rows[0][0]).source == "replay"
        return any(up.simulated for up in uptime_of(self._database, started_ns, started_ns + 1))

    def _pruned(self, since_ns: int, until_ns: int) -> bool:
        """Whether a day of the span was exported and left the live store."""
        first, last = (
            (EPOCH + timedelta(microseconds=ns // 1000)).date().isoformat()
            for ns in (since_ns, max(since_ns, until_ns - 1))
        )
        days = self._archive.days(pruned=True) if self._archive is not None else []
        return any(first <= day <= last for day in days)
