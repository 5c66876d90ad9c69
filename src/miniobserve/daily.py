"""A span of requests, read in pages from the live store and from closed days: what drift and cost are counted from.

A page holds only the fields its caller asks for. It never writes, and does not know what is done with a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import msgspec

from miniobserve.archive import Archive
from miniobserve.schema import MINUTE_NS
from miniobserve.sql.protocol import Database, StorageError

DAY_NS = 1440 * MINUTE_NS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 20_000
"""Requests read at a time: about 15 MB."""

_PAGES = (
    "SELECT traces.started_ns, traces.request_id, bodies.body FROM traces"
    " JOIN bodies ON bodies.request_id = traces.request_id"
    " WHERE traces.started_ns >= ? AND traces.started_ns < ?"
    " AND (traces.started_ns > ? OR traces.request_id > ?)"
    " ORDER BY traces.started_ns, traces.request_id LIMIT ?"
)

_ANSWERED = (
    "SELECT day, n, EXISTS"  # noqa: S608 -- the only thing put in is a constant
    f" (SELECT 1 FROM traces WHERE started_ns >= day * {DAY_NS} AND started_ns < (day + 1) * {DAY_NS}) FROM"
    " (SELECT minute / 1440 AS day, SUM(n - errors) AS n FROM minutes WHERE minute < ? AND entry_sha <> ''"
    " GROUP BY minute / 1440) AS days WHERE n > 0 ORDER BY day"
)

T = TypeVar("T", bound=msgspec.Struct)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A trace, as far as the inputs of a day are concerned."""

    entry_sha: str = ""
    sentence: str | None = None
    features: dict[str, str] = {}
    is_correct: bool | None = None
    in_scope: bool = True
    status: int = 200
    source: str = "live"
    shadow_of: str | None = None
    learner_hash: str | None = None


class Requests:
    """The requests of one trace store and of the days exported from it."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive

    def pages(self, since_ns: int, until_ns: int, kind: type[T], *, size: int = PAGE) -> Iterator[list[T]]:
        """The requests that started within a span, as values of ``kind``, whose fields a trace has.

        Days that left the live store come first; within them, and within what is live, the oldest do.

        Raises:
            StorageError: the store or a file failed, or a trace cannot be read.

        """
        decode = msgspec.json.Decoder(kind).decode
        try:
            for bodies in self._closed(since_ns, until_ns, size):
                yield [decode(body) for body in bodies]
            for bodies in self._live(since_ns, until_ns, size):
                yield [decode(body) for body in bodies]
        except msgspec.MsgspecError as error:
            raise StorageError(
                "damaged", f"a trace cannot be read: {error}", "restore the trace store from a backup"
            ) from error

    def count(self, since_ns: int, until_ns: int) -> int:
        """How many requests started within a span."""
        found: int = self._database.read(
            "SELECT COUNT(*) FROM traces WHERE started_ns >= ? AND started_ns < ?", (since_ns, until_ns)
        )[0][0]
        for day, without in self._left(since_ns, until_ns):
            found += self._archive.rows(day, since_ns, until_ns, without) if self._archive else 0
        return found

    def last_day(self) -> str | None:
        """The newest day (UTC) on which a request started; None where there is none."""
        newest = self._database.read("SELECT MAX(started_ns) FROM traces")[0][0]
        live = [] if newest is None else [(EPOCH + timedelta(microseconds=newest // 1000)).date().isoformat()]
        return max([*live, *(self._archive.days(pruned=True) if self._archive else [])], default=None)

    def answered(self, until_ns: int) -> list[tuple[str, int]]:
        """Each day (UTC) whose requests can still be read, with how many of learners were answered, oldest first.

        It reads the roll-up by the minute: requests of minutes that began before ``until_ns``.
        """
        closed = set(self._archive.days(pruned=True)) if self._archive is not None else set()
        rows = self._database.read(_ANSWERED, (-(-until_ns // MINUTE_NS),))
        named = [((EPOCH + timedelta(days=int(day))).date().isoformat(), int(n), live) for day, n, live in rows]
        return [(day, n) for day, n, live in named if live or day in closed]

    def _live(self, since_ns: int, until_ns: int, size: int) -> Iterator[list[str]]:
        begin, after = since_ns, ""
        while rows := self._database.read(_PAGES, (begin, until_ns, begin, after, size)):
            yield [body for _, _, body in rows]
            begin, after = rows[-1][0], rows[-1][1]

    def _closed(self, since_ns: int, until_ns: int, size: int) -> Iterator[list[str]]:
        if self._archive is not None:
            for day, without in self._left(since_ns, until_ns):
                bodies = self._archive.bodies(day, since_ns, until_ns, without)
                while page := list(islice(bodies, size)):
                    yield page

    def _left(self, since_ns: int, until_ns: int) -> Iterator[tuple[str, Sequence[str]]]:
        """The days of a span that the live store may lack, each with the ids it does hold."""
        for day in self._archive.days(pruned=True) if self._archive is not None else ():
            first, end = day_range(day)
            if first < until_ns and end > since_ns:
                yield day, live_ids(self._database, [day])


def day_range(day: str) -> tuple[int, int]:
    """First nanosecond of a day (``YYYY-MM-DD``, UTC), and of the next.

    Raises:
        ValueError: it is not a day.

    """
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    first = (start - EPOCH) // timedelta(microseconds=1) * 1000
    return first, first + DAY_NS


def live_ids(database: Database, days: Sequence[str]) -> list[str]:
    """The request ids of these days that the live store holds: it has the last word on them."""
    query = "SELECT request_id FROM traces WHERE started_ns >= ? AND started_ns < ?"
    rows: Iterator[tuple[Any, ...]] = (row for day in days for row in database.read(query, day_range(day)))
    return [row[0] for row in rows]
