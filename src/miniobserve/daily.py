"""Reads all requests of a time span, in pages, from the live store and from closed days, for drift and cost.

A page holds only the fields its caller asks for. This module never writes and does not know what requests are used for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from miniobserve.archive import Archive
from miniobserve.closed_days import LiveRows
from miniobserve.days import EPOCH, date_of, day_range
from miniobserve.fold import Bucket
from miniobserve.parts import buckets_of
from miniobserve.rows import partial
from miniobserve.schema import DAY_NS, MINUTE_NS, started, within
from miniobserve.slices import Slices
from miniobserve.sql.protocol import Database
from miniobserve.sums import minute_sums
from miniobserve.traces import Value
from miniobserve.uptime import Servers, Up, servers_of, uptime_of

__all__ = ["DAY_NS", "EPOCH", "PAGE", "Asked", "Request", "Requests", "day_range"]
PAGE = 20_000
"""Requests per page: about 15 MB."""

_PAGES = (
    "SELECT {columns} FROM requests WHERE {within} AND (started_ns > ? OR request_id > ?){testers}"
    " ORDER BY started_ns, request_id LIMIT ?"
)

T = TypeVar("T", bound=msgspec.Struct)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a trace that describe its input, and how its answer was graded."""

    request_id: str = ""
    started_ns: int = 0
    entry_sha: str = ""
    input: str | None = None
    features: dict[str, str] = {}
    values: dict[str, Value] = {}
    values_by: str = ""
    accepted: bool | None = None
    in_scope: bool = True
    status: int = 200
    source: str = "live"
    shadow_of: str | None = None
    retry_of: str | None = None
    unit_hash: str | None = None
    graded: bool | None = None


class Asked(NamedTuple):
    """The requests of learners on a day that an entry was to answer."""

    day: str
    answered: int
    failed: int


class Requests:
    """All requests of one trace store and of the days exported from it."""

    def __init__(self, database: Database, archive: Archive | None = None, slices: Slices | None = None) -> None:
        self._database = database
        self._archive = archive
        self._slices = Slices(database, None) if slices is None else slices
        if archive is not None and archive.live is None:
            archive.live = LiveRows(database)

    def pages(
        self, since_ns: int, until_ns: int, kind: type[T], *, size: int = PAGE, testers: bool = False
    ) -> Iterator[list[T]]:
        """Yield pages of the requests that started within a span, decoded as ``kind``, a struct of trace fields.

        Closed days come first, then the live store; each is sorted by start time. Testers' requests are left out
        unless ``testers`` is true, because no figure about models, learners or days may count them.

        Raises:
            StorageError: the store or a file failed, or a trace cannot be decoded.

        """
        yield from self._closed(since_ns, until_ns, kind, size, testers=testers)
        columns, made = partial(kind)
        for rows in self._live(since_ns, until_ns, size, columns, testers=testers):
            yield [made(row) for row in rows]

    def buckets(
        self, since_ns: int, until_ns: int, step: Callable[[int, int], None] = lambda _done, _total: None
    ) -> list[Bucket]:
        """Return the requests that started within a span, as ``fold`` reads them; testers' requests are among them.

        ``step`` is called with the number of the live store's requests that are ready, and of all.
        """
        return buckets_of(self._slices, self._archive, since_ns, until_ns, step)

    def copy(self, since_ns: int, until_ns: int) -> None:
        """Copy the live store's requests of a span ahead of the report that will need them."""
        # From the start of the day, because its number of requests so far decides whether each hour has its own copy.
        self._slices.of(since_ns // DAY_NS * DAY_NS, until_ns)

    def count(self, since_ns: int, until_ns: int) -> int:
        """Count the requests that started within a span."""
        condition, params = started(since_ns, until_ns, partitioned=self._database.partitioned)
        found: int = self._database.read(f"SELECT COUNT(*) FROM requests WHERE {condition}", params)[0][0]  # noqa: S608
        for day in self._left(since_ns, until_ns):
            found += self._archive.rows(day, since_ns, until_ns) if self._archive else 0
        return found

    def uptime(self, since_ns: int, until_ns: int) -> tuple[Up, ...]:
        """Return the recorded uptime of servers within a span."""
        return uptime_of(self._database, since_ns, until_ns)

    def servers(self, at_ns: int) -> Servers:
        """Return how many servers are up at a moment, and when one was last seen."""
        return servers_of(self._database, at_ns)

    def last_day(self, until_ns: int = 2**63 - 1) -> str | None:
        """Return the newest day (UTC) on which a request started before ``until_ns``; None if there is none."""
        newest = self._database.read("SELECT MAX(started_ns) FROM requests WHERE started_ns < ?", (until_ns,))[0][0]
        live = [] if newest is None else [date_of(newest // DAY_NS)]
        closed = self._archive.days(pruned=True) if self._archive else []
        return max([*live, *(day for day in closed if day_range(day)[0] < until_ns)], default=None)

    def answered(self, until_ns: int) -> list[tuple[str, int]]:
        """Return each day (UTC) of ``asked`` with an answered request, and how many were answered."""
        return [(each.day, each.answered) for each in self.asked(until_ns) if each.answered]

    def asked(self, until_ns: int) -> list[Asked]:
        """Return each day (UTC) whose requests can still be read, oldest first.

        The numbers come from the roll-up by minute and include the minutes that began before ``until_ns``.
        """
        closed = set(self._archive.days(pruned=True)) if self._archive is not None else set()
        sums = minute_sums(
            self._database, "minute / 1440", ("n", "errors"), (0, -(-until_ns // MINUTE_NS)), ("entry_sha <> ''", ())
        )
        found = []
        for number, (n, errors) in sorted(sums.items()):
            day = date_of(number)
            if n and (day in closed or self._is_live(number)):
                found.append(Asked(day, n - errors, errors))
        return found

    def _is_live(self, day: int) -> bool:
        condition, params = within(day * DAY_NS, (day + 1) * DAY_NS)
        return bool(self._database.read(f"SELECT 1 FROM requests WHERE {condition} LIMIT 1", params))  # noqa: S608

    def _live(
        self, since_ns: int, until_ns: int, size: int, columns: Sequence[str], *, testers: bool
    ) -> Iterator[list[tuple[Any, ...]]]:
        begin, after = since_ns, ""
        named = ", ".join((*columns, "started_ns", "request_id"))
        while True:
            condition, params = within(begin, until_ns)
            query = _PAGES.format(columns=named, within=condition, testers="" if testers else " AND tester IS NULL")
            rows = self._database.read(query, (*params, begin, after, size))
            if not rows:
                return
            yield [row[:-2] for row in rows]
            begin, after = rows[-1][-2:]

    def _closed(self, since_ns: int, until_ns: int, kind: type[T], size: int, *, testers: bool) -> Iterator[list[T]]:
        if self._archive is not None:
            for day in self._left(since_ns, until_ns):
                yield from self._archive.pages(day, since_ns, until_ns, kind, size, testers=testers)

    def _left(self, since_ns: int, until_ns: int) -> Iterator[str]:
        """Yield the days of a span from which requests were pruned."""
        for day in self._archive.days(pruned=True) if self._archive is not None else ():
            first, end = day_range(day)
            if first < until_ns and end > since_ns:
                yield day
