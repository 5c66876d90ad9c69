"""Reads the closed days of traces: Parquet files in a folder or in object storage, listed by a manifest for each day.

A folder's files are read in place. Those of a bucket are fetched once into a cache and checked by their digests, since
they never change. DuckDB reads them and is imported by the first query that needs it. What the live store still holds
of a day takes precedence, and so does feedback that came after the day was closed. This module never writes to the
days; ``export`` does.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from miniobserve.columns import STORED, partial, trace_of
from miniobserve.day_files import connected, duckdb_errors, literal
from miniobserve.day_index import DayIndex
from miniobserve.day_view import ROW, in_view, view_of
from miniobserve.manifests import Part, ranges, strays_key
from miniobserve.objects import Objects, open_objects
from miniobserve.stray_ids import SUFFIX, may_hold
from miniobserve.traces import Trace

if TYPE_CHECKING:
    import duckdb

__all__ = ["Archive", "Live", "connected"]
T = TypeVar("T")
_HOUR_NS = 3_600_000_000_000


class Live(Protocol):
    """What the archive asks the live store beside it."""

    def holds(self, day: str) -> bool:
        """Whether it has any request of a day."""
        ...

    def ids(self, day: str) -> Iterator[list[tuple[str, int]]]:
        """Yield pages of id and start (UTC ns) of the requests that it has of a day."""
        ...

    def feedback(self, day: str, since_ns: int) -> Iterator[list[tuple[str, str, str | None, int | None]]]:
        """Yield pages of request id, outcome, label and grade of what was said, at a time or later, of a day."""
        ...


class Archive:
    """The closed days in one folder or bucket; safe to use from any thread."""

    def __init__(self, place: Path | str, cache: Path | None = None) -> None:
        """``cache`` is the folder for copies of a bucket's files; without one they last as long as this object."""
        self.place = place
        self.live: Live | None = None
        self.cache = cache
        self._copies = cache
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._opened: duckdb.DuckDBPyConnection | None = None
        self._days: DayIndex | None = None

    @property
    def index(self) -> DayIndex:
        """The days and their manifests."""
        with self._lock:
            if self._days is None:
                self._days = DayIndex(open_objects(self.place))
            return self._days

    @property
    def objects(self) -> Objects:
        """The store of the files."""
        return self.index.objects

    def days(self, *, pruned: bool = False) -> list[str]:
        """Return the closed days, oldest first; with ``pruned`` only those the live store may lack rows of."""
        found = self.index.days()
        if not pruned:
            return list(found)
        return [day for day, seen in found.items() if seen.pruning or (self.live and not self.live.holds(day))]

    def get(self, request_id: str) -> Trace | None:
        """Return the trace of one request, or None.

        The day that a generated id carries is asked first; then all other days whose files may hold the id.
        """
        listed, carried = self.index.days(), self.index.days_of(request_id)
        near, rest = [day for day in listed if day in carried], [day for day in listed if day not in carried]
        for days, wanted in ((near, ranges), (rest, self._with_stray)):
            parts = wanted(self.index.parts(days, listed), request_id)
            if parts and (found := self._traces(days, parts, "request_id = ?", (request_id,))):
                return found[0]
        return None

    def _with_stray(self, parts: Sequence[Part], request_id: str) -> list[Part]:
        """Return the files that may hold an id that does not carry their day."""
        near = [part for part in ranges(parts, request_id) if part.strays]
        return [part for part in near if may_hold(self._file(strays_key(part), part.strays_sha256, SUFFIX), request_id)]

    def some(self, days: Sequence[str], where: str, params: Sequence[Any]) -> list[Trace]:
        """Return the traces of some days that match a condition, in no order."""
        return self._traces(days, self.index.parts(days), where, params)

    def known(self, day: str, ids: Sequence[str]) -> dict[str, int]:
        """Return those of the ids that the files of a day hold, each with the start of its request, UTC ns."""
        least, greatest = min(ids), max(ids)
        parts = [p for p in self.index.parts([day]) if p.first_id <= greatest and p.last_id >= least]
        if not parts:
            return {}
        query = (
            "SELECT request_id, started_ns FROM read_parquet(?, hive_partitioning = false) WHERE request_id >= ?"
            " AND request_id <= ? AND request_id IN (SELECT unnest(?::VARCHAR[]))"
        )
        with self._query() as cursor:
            return dict(cursor.execute(query, [self.files(parts), least, greatest, list(ids)]).fetchall())

    def page(self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], limit: int) -> list[Trace]:
        """Return the newest ``limit`` matching traces and all that started with the last one."""
        conditions = in_view(" AND ".join(["true", *where]))
        order = "ORDER BY started_ns DESC, request_id"
        query = f"SELECT {ROW} FROM {{files}} AS traces WHERE {conditions} {order} LIMIT ?"  # noqa: S608
        found = self._decoded(self.read(query, days, (*params, limit)))
        if len(found) == limit and found:
            tied = f"{conditions} AND started_ns = ? AND request_id > ?"
            query = f"SELECT {ROW} FROM {{files}} AS traces WHERE {tied} {order}"  # noqa: S608
            found += self._decoded(self.read(query, days, (*params, found[-1].started_ns, found[-1].request_id)))
        return found

    def ranked(
        self, day: str, select: tuple[str, Sequence[Any]], order: str, where: tuple[str, Sequence[Any]], limit: int
    ) -> list[tuple[Any, ...]]:
        """Return one day's first ``limit`` matching rows: ``select`` and ``where`` are SQL with its parameters."""
        query = f"SELECT {in_view(select[0])} FROM {{files}} AS traces WHERE {in_view(where[0])} {order} LIMIT ?"  # noqa: S608
        return self.read(query, [day], (*where[1], limit), before=select[1])

    def count(self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], most: int) -> int:
        """Count the matching rows, up to ``most``."""
        conditions = in_view(" AND ".join(["true", *where]))
        inner = f"(SELECT 1 FROM {{files}} AS traces WHERE {conditions} LIMIT {most})"  # noqa: S608 -- an int
        return int(self.read(f"SELECT count(*) FROM {inner}", days, params)[0][0])  # noqa: S608

    def rows(self, day: str, since_ns: int, until_ns: int) -> int:
        """Count the requests of one day that started within a span and are not in the live store."""
        query = "SELECT count(*) FROM {files} WHERE started_ns >= ? AND started_ns < ?"
        return int(self.read(query, [day], (since_ns, until_ns))[0][0])

    def pages(
        self, day: str, since_ns: int, until_ns: int, kind: type[T], size: int, *, testers: bool = False
    ) -> Iterator[list[T]]:
        """Yield pages of up to ``size`` of one day's requests that started within a span, sorted by start time.

        Each is made a ``kind``, a struct of some fields of a trace. Requests of the live store are left out, and those
        of testers too unless ``testers`` is true.
        """
        only = "" if testers else " AND tester IS NULL"
        columns, made = partial(kind)
        query = (
            f"SELECT {', '.join(columns)} FROM {{files}} WHERE started_ns >= ? AND started_ns < ?{only}"  # noqa: S608
            " ORDER BY started_ns, request_id"
        )
        parts = self.index.parts([day])
        first = max(since_ns, min((part.first_ns for part in parts), default=until_ns))
        end = min(until_ns, max((part.last_ns for part in parts), default=since_ns) + 1)
        while first < end:  # an hour at a time, so that only so much is sorted and held
            following = min((first // _HOUR_NS + 1) * _HOUR_NS, end)
            rows = self.read(query, [day], (first, following))
            for start in range(0, len(rows), size):
                yield [made(row) for row in rows[start : start + size]]
            first = following

    def read(
        self, sql: str, days: Sequence[str], params: Sequence[Any], *, before: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one query over some days; ``{files}`` in the query stands for their rows, with the names of ``day_view``.

        ``before`` are the parameters in front of the files, ``params`` those behind them.
        """
        parts = self.index.parts(days)
        return self._read(sql, days, parts, params, before) if parts else self._nothing(sql, params, before)

    def files(self, parts: Sequence[Part]) -> list[str]:
        """Return where DuckDB reads some files, fetching those that are not on this disk."""
        return [literal(self.file(part)) for part in parts]

    def file(self, part: Part) -> Path:
        """Return where a file can be read, fetching it if it is not on this disk.

        Raises:
            Missing: it is not in the store.
            StorageError: its bytes do not match its digest, or it cannot be fetched.
        """
        return self._file(part.path, part.sha256, ".parquet")

    def _file(self, key: str, sha256: str, suffix: str) -> Path:
        local = self.objects.local(key)
        if local is not None:
            return local
        with self._lock:
            if self._copies is None:
                self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="days-")
                self._copies = Path(self._temporary.name)
        copy = self._copies / f"{sha256}{suffix}"
        if not copy.is_file():
            self.objects.fetch(key, copy, sha256=sha256)
        return copy

    def close(self) -> None:
        """Close the DuckDB connection."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None
            if self._temporary is not None:
                self._temporary.cleanup()
                self._temporary, self._copies = None, self.cache

    def _traces(self, days: Sequence[str], parts: Sequence[Part], where: str, params: Sequence[Any]) -> list[Trace]:
        if not parts:
            return []
        return self._decoded(self._read(f"SELECT {ROW} FROM {{files}} WHERE {where}", days, parts, params, ()))  # noqa: S608

    def _decoded(self, rows: Sequence[tuple[Any, ...]]) -> list[Trace]:
        return [trace_of(dict(zip(STORED, row, strict=True))) for row in rows]

    def _nothing(self, sql: str, params: Sequence[Any], before: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a query over no rows at all, for the columns and sums that it then gives."""
        with self._query() as cursor:
            kinds = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in _VIEWED.items())
            view = f"(SELECT {kinds} WHERE false)"
            return cursor.execute(sql.format(files=view), [*before, *params]).fetchall()

    def _read(
        self, sql: str, days: Sequence[str], parts: Sequence[Part], params: Sequence[Any], before: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        import duckdb

        files = self.files(parts)
        with self._query() as cursor:
            there = {"later": self._later(cursor, days), "live": self._live(cursor, days)}
            params = [*before, files, *params]
            try:
                return cursor.execute(sql.format(files=view_of(**there)), params).fetchall()
            except duckdb.BinderException:  # all of them may be older than a column
                return cursor.execute(sql.format(files=view_of(**there, older=True)), params).fetchall()

    def _later(self, cursor: duckdb.DuckDBPyConnection, days: Sequence[str]) -> bool:
        """Bring over the feedback that came since these days were closed; whether there is any."""
        live = self.live
        held = [] if live is None else [self.index.manifest(day) for day in days]
        pages = (page for one in held if live and one for page in live.feedback(one[0].day, one[0].feedback_ns))
        return _table(cursor, "later", _SAID, pages)

    def _live(self, cursor: duckdb.DuckDBPyConnection, days: Sequence[str]) -> bool:
        """Bring over the ids of these days that the live store still holds; whether there are any."""
        live = self.live
        pages = iter(()) if live is None else (page for day in days for page in live.ids(day))
        return _table(cursor, "live", ("request_id VARCHAR", "started_ns BIGINT"), pages)

    @contextmanager
    def _query(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a new cursor and turn DuckDB's exceptions into ``StorageError``."""
        with self._lock:
            if self._opened is None:
                self._opened = connected()
            cursor = self._opened.cursor()
        hint = "restore the file from a backup; `spine verify` names the files that changed"
        try:
            with duckdb_errors(f"a closed day in {self.place} cannot be read", hint):
                yield cursor
        finally:
            cursor.close()


def _table(
    cursor: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], pages: Iterator[Sequence[tuple[Any, ...]]]
) -> bool:
    """Make a temporary table of pages of rows; whether there were any."""
    made = False
    marks = ", ".join(f"unnest(?::{column.split()[1]}[])" for column in columns)
    for page in pages:
        if not made:
            cursor.execute(f"CREATE TEMP TABLE {name} ({', '.join(columns)})")
            made = True
        cursor.execute(f"INSERT INTO {name} SELECT {marks}", [list(column) for column in zip(*page, strict=True)])
    return made


_SAID = ("request_id VARCHAR", "outcome VARCHAR", "label VARCHAR", "graded INTEGER")
_VIEWED = {
    **STORED, "label": "VARCHAR", "later_graded": "INTEGER", "text": "VARCHAR", "text_sha256": "VARCHAR",
    "terms": "VARCHAR",
}  # fmt: skip
