"""Reads all requests of a time span, in pages, from the live store and from closed days, for drift and cost.

A page holds only the fields its caller asks for. This module never writes and does not know what requests are used for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec

from miniobserve.archive import Archive
from miniobserve.schema import MINUTE_NS
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.traces import by_tester
from miniobserve.uptime import Servers, Up, servers_of, uptime_of

DAY_NS = 1440 * MINUTE_NS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 20_000
"""Requests per page: about 15 MB."""

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
    """The fields of a trace that describe its input, and how its answer was graded."""

    request_id: str = ""
    started_ns: int = 0
    entry_sha: str = ""
    sentence: str | None = None
    features: dict[str, str] = {}
    is_correct: bool | None = None
    in_scope: bool = True
    status: int = 200
    source: str = "live"
    shadow_of: str | None = None
    retry_of: str | None = None
    learner_hash: str | None = None
    graded: bool | None = None


class Requests:
    """All requests of one trace store and of the days exported from it."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive

    def pages(
        self, since_ns: int, until_ns: int, kind: type[T], *, size: int = PAGE, testers: bool = False
    ) -> Iterator[list[T]]:
        """Yield pages of the requests that started within a span, decoded as ``kind``, a struct of trace fields.

        Closed days come first, then the live store; each is sorted by start time. Testers' requests are left out
        unless ``testers`` is true, because no figure about models, learners or days may count them.

        Raises:
            StorageError: the store or a file failed, or a trace cannot be decoded.

        """
        decode = msgspec.json.Decoder(kind).decode
        try:
            for bodies in chain(self._closed(since_ns, until_ns, size), self._live(since_ns, until_ns, size)):
                yield [decode(body) for body in bodies if testers or not by_tester(body)]
        except msgspec.MsgspecError as error:
            raise StorageError(
                "damaged", f"a trace cannot be decoded: {error}", "restore the trace store from a backup"
            ) from error

    def count(self, since_ns: int, until_ns: int) -> int:
        """Count the requests that started within a span."""
        found: int = self._database.read(
            "SELECT COUNT(*) FROM traces WHERE started_ns >= ? AND started_ns < ?", (since_ns, until_ns)
        )[0][0]
        for day, without in self._left(since_ns, until_ns):
            found += self._archive.rows(day, since_ns, until_ns, without) if self._archive else 0
        return found

    def uptime(self, since_ns: int, until_ns: int) -> tuple[Up, ...]:
        """Return the recorded uptime of servers within a span."""
        return uptime_of(self._database, since_ns, until_ns)

    def servers(self, at_ns: int) -> Servers:
        """Return how many servers are up at a moment, and when one was last seen."""
        return servers_of(self._database, at_ns)

    def last_day(self, until_ns: int = 2**63 - 1) -> str | None:
        """Return the newest day (UTC) on which a request started before ``until_ns``; None if there is none."""
        newest = self._database.read("SELECT MAX(started_ns) FROM traces WHERE started_ns < ?", (until_ns,))[0][0]
        live = [] if newest is None else [(EPOCH + timedelta(microseconds=newest // 1000)).date().isoformat()]
        closed = self._archive.days(pruned=True) if self._archive else []
        return max([*live, *(day for day in closed if day_range(day)[0] < until_ns)], default=None)

    def answered(self, until_ns: int) -> list[tuple[str, int]]:
        """Return each day (UTC) whose requests can still be read and its number of answered requests, oldest first.

        The numbers come from the roll-up by minute and include the minutes that began before ``until_ns``.
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
        """Yield the pruned days of a span, each with the request ids that the live store still holds."""
        for day in self._archive.days(pruned=True) if self._archive is not None else ():
            first, end = day_range(day)
            if first < until_ns and end > since_ns:
                yield day, live_ids(self._database, [day])


def day_range(day: str) -> tuple[int, int]:
    """Return the first nanosecond of a day (``YYYY-MM-DD``, UTC) and of the next day.

    A day before 1677 or after 2262, which no stored time can reach, gives an empty span at that end.

    Raises:
        ValueError: ``day`` is not a valid date.

    """
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    first = (start - EPOCH) // timedelta(microseconds=1) * 1000
    return _storable(first), _storable(first + DAY_NS)


def _storable(ns: int) -> int:
    """The nearest time that a database can hold, which is one of 64 bits."""
    return max(-(2**63), min(ns, 2**63 - 1))


def live_ids(database: Database, days: Sequence[str]) -> list[str]:
    """Return the request ids of these days that the live store holds; its rows take precedence over the files'."""
    query = "SELECT request_id FROM traces WHERE started_ns >= ? AND started_ns < ?"
    rows: Iterator[tuple[Any, ...]] = (row for day in days for row in database.read(query, day_range(day)))
    return [row[0] for row in rows]
