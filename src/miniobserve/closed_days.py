"""Figures about an epoch's requests that were pruned from the live store: the files of their days are queried.

It knows the columns of the files and what the live store still holds of a pruned day. It never writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from miniobserve.archive import Archive
from miniobserve.days import date_of, day_number
from miniobserve.schema import DAY_NS, NO_LEARNER, storable
from miniobserve.sql.protocol import Database, Params
from miniobserve.traces import GONE

EVIDENCE = (
    "(SELECT request_id, started_ns, epoch, arm, entry_sha, seconds, status, shadow_of, source, terms, tester,"  # noqa: S608
    f" CASE WHEN sticky THEN '' ELSE '{NO_LEARNER}' END || u AS u, CAST(graded AS INTEGER) AS graded FROM {{files}})"
)
"""The columns of ``requests`` that figures about arms need, from the files of some days."""
IS_EVIDENCE = f"tester IS NULL AND status <> {GONE}"


_PAGE = 20_000


class ClosedDays:
    """The days of one store from which requests were pruned."""

    def __init__(self, database: Database, archive: Archive | None) -> None:
        self._database = database
        self._archive = archive

    def read(
        self, select: str, epoch: int, since_ns: int, until_ns: int, where: str = IS_EVIDENCE, tail: str = ""
    ) -> list[tuple[Any, ...]]:
        """Query the pruned requests of an epoch that started within a span.

        ``select`` is what stands between SELECT and FROM, ``tail`` what follows the conditions.
        """
        days = self.days(epoch, since_ns, until_ns)
        if not days or self._archive is None:
            return []
        query = (
            f"SELECT {select} FROM {EVIDENCE} WHERE epoch = ? AND started_ns >= ? AND started_ns < ? AND {where} {tail}"  # noqa: S608
        )
        return self._archive.read(query, days, (epoch, since_ns, until_ns))

    def days(self, epoch: int, since_ns: int, until_ns: int) -> list[str]:
        """Return the pruned days within a span that may hold requests of an epoch."""
        if self._archive is None or not (pruned := self._archive.days(pruned=True)):
            return []
        known = {
            date_of(day): first <= epoch <= last
            for day, first, last in self._database.read("SELECT day, first_epoch, last_epoch FROM pruned")
        }
        first, last = date_of(since_ns // DAY_NS), date_of((until_ns - 1) // DAY_NS)
        return [day for day in pruned if first <= day <= last and known.get(day, True)]


def lost_days(database: Database, archive: Archive | None) -> list[str]:
    """Return the days (UTC) of which requests left the live store and whose files are not in the archive, oldest first.

    Raises:
        StorageError: the archive cannot be listed.
    """
    pruned = [date_of(day) for (day,) in database.read("SELECT day FROM pruned ORDER BY day")]
    there = set(archive.days()) if archive is not None and pruned else set()
    return [day for day in pruned if day not in there]


def lost_complaints(database: Database, archive: Archive | None, sha: str) -> list[tuple[str, int]]:
    """Return the lost days on which users dismissed answers of an entry, with how many that were not right.

    What was said of a request stays in the live store when the request leaves it. Copies for a shadow and requests of
    testers are left out too.
    """
    query = (
        "SELECT COUNT(*) FROM feedback WHERE day = ? AND outcome = 'dismissed' AND entry_sha = ? AND counted = 1"
        " AND shadow_of IS NULL AND COALESCE(graded, own, 0) <> 1"
        " AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.request_id = feedback.request_id"
        " AND requests.day = feedback.day)"
    )
    counts = [(day, int(database.read(query, (day_number(day), sha))[0][0])) for day in lost_days(database, archive)]
    return [(day, number) for day, number in counts if number]


def live_days(database: Database, until_ns: int = 2**63 - 1) -> list[int]:
    """Return the days (UTC, as numbers) of requests in the live store that started before a time, oldest first.

    One look-up a day: the distinct days of millions of requests would take a scan of them.
    """
    found: list[int] = []
    query, since = "SELECT MIN(started_ns) FROM requests WHERE started_ns >= ? AND started_ns < ?", -(2**63)
    while (first := database.read(query, (since, until_ns))[0][0]) is not None:
        found.append(first // DAY_NS)
        since = storable((found[-1] + 1) * DAY_NS)
    return found


class LiveRows:
    """What the live store holds of closed days; its rows take precedence over the files'."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holds(self, day: str) -> bool:
        """Whether it has any request of a day."""
        return bool(self._database.read("SELECT 1 FROM requests WHERE day = ? LIMIT 1", (day_number(day),)))

    def ids(self, day: str) -> Iterator[list[tuple[str, int]]]:
        """Yield pages of id and start (UTC ns) of the requests that it has of a day."""
        return self._pages("request_id, started_ns FROM requests WHERE day = ?", (day_number(day),))

    def feedback(self, day: str, since_ns: int) -> Iterator[list[tuple[str, str, str | None, int | None]]]:
        """Yield pages of request id, outcome, label and grade of what was said of a day's requests.

        What has no label and no grade is left out if it was stored before a time: the files have it.
        """
        return self._pages(
            "request_id, outcome, label, graded FROM feedback WHERE day = ?"
            " AND (at_ns >= ? OR label IS NOT NULL OR graded IS NOT NULL)",
            (day_number(day), since_ns),
        )

    def _pages(self, query: str, params: Params) -> Iterator[list[tuple[Any, ...]]]:
        after = ""
        while True:
            page = f"SELECT {query} AND request_id > ? ORDER BY request_id LIMIT {_PAGE}"
            rows = self._database.read(page, (*params, after))
            if not rows:
                return
            yield rows
            after = rows[-1][0]
