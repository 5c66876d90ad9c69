"""Reads closed days of traces from Parquet files, for queries that reach back beyond the live store.

Each day is one file, ``<folder>/day=YYYY-MM-DD/traces.parquet``, with its row count and digest in its metadata. A
file named ``PRUNED`` next to it means that the live store may lack rows of that day. DuckDB reads the files and is
imported by the first query that needs it. This module never writes; ``export`` does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from miniobserve.sql.protocol import StorageError

if TYPE_CHECKING:
    import duckdb

FILE = "traces.parquet"
PRUNED = "PRUNED"
Kept = tuple[int, str, str, str | None]
"""The exact content of a row: started_ns, request id, the trace's canonical JSON, feedback or None."""

_FOLDER = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_WITHIN = ("started_ns >= ? AND started_ns < ?",)
_SPELLED = {
    "feedback.outcome": "traces.feedback",
    "traces.features": "traces.terms",
    "traces.accepted": "CAST(traces.is_correct AS INTEGER)",
    "answers.seconds": "traces.seconds",
    "(SELECT bodies.body FROM bodies WHERE bodies.request_id = traces.request_id)": "traces.body",
}
"""Column of the live store → column of the files, whose names are chosen for people who query them directly."""


class Archive:
    """The exported days in one folder; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._opened: duckdb.DuckDBPyConnection | None = None

    def file(self, day: str) -> Path:
        """Return the path of a day's file, whether it exists or not."""
        return self.folder / f"day={day}" / FILE

    def days(self, *, pruned: bool = False) -> list[str]:
        """Return the exported days, oldest first; with ``pruned`` only those the live store may lack rows of."""
        return [day for day in self._folders() if self.file(day).is_file() and (not pruned or self.is_pruned(day))]

    def lost(self) -> list[str]:
        """Return the days that were pruned from the live store but whose file is missing."""
        return [day for day in self._folders() if self.is_pruned(day) and not self.file(day).is_file()]

    def _folders(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = (_FOLDER.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(match[1] for match in found if match and _is_day(match[1]))

    def is_pruned(self, day: str) -> bool:
        """Whether rows of a day may have been deleted from the live store."""
        return self.file(day).with_name(PRUNED).exists()

    def get(self, request_id: str) -> tuple[str, str | None] | None:
        """Return the body and feedback of one request, or None."""
        days = self.days()
        if not days:
            return None
        rows = self.read("SELECT body, feedback FROM {files} AS traces WHERE request_id = ?", days, (request_id,))
        return (rows[0][0], rows[0][1]) if rows else None

    def page(
        self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], limit: int, without: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Return the newest ``limit`` rows (body, feedback, started_ns, id) and all that tie with the last one."""
        columns = "SELECT body, feedback, started_ns, request_id FROM {files} AS traces"
        conditions, values = _spelled(where, params, without)
        order = "ORDER BY started_ns DESC, request_id"
        rows = self.read(f"{columns} WHERE {conditions} {order} LIMIT ?", days, (*values, limit))
        if len(rows) == limit and rows:
            ties = f"{columns} WHERE {conditions} AND started_ns = ? AND request_id > ? {order}"
            rows += self.read(ties, days, (*values, rows[-1][2], rows[-1][3]))
        return rows

    def ranked(
        self,
        day: str,
        select: tuple[str, Sequence[Any]],
        order: str,
        where: tuple[str, Sequence[Any]],
        without: Sequence[str],
        limit: int,
    ) -> list[tuple[Any, ...]]:
        """Return one day's first ``limit`` matching rows: ``select`` and ``where`` are SQL with its parameters."""
        columns, values = select
        conditions, more = _spelled([where[0]], where[1], without)
        query = f"SELECT {_renamed(columns)} FROM {{files}} AS traces WHERE {conditions} {order} LIMIT ?"  # noqa: S608
        return self.read(query, [day], (*more, limit), before=values)

    def count(
        self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], most: int, without: Sequence[str]
    ) -> int:
        """Count the matching rows, up to ``most``."""
        conditions, values = _spelled(where, params, without)
        inner = f"SELECT 1 FROM {{files}} AS traces WHERE {conditions} LIMIT {most}"  # noqa: S608 -- an int
        return len(self.read(inner, days, values))

    def rows(self, day: str, since_ns: int, until_ns: int, without: Sequence[str]) -> int:
        """Count the requests of one day that started within a span, without those in ``without``."""
        conditions, values = _spelled(_WITHIN, [since_ns, until_ns], without)
        found = self.read(f"SELECT count(*) FROM {{files}} AS traces WHERE {conditions}", [day], values)  # noqa: S608
        return int(found[0][0])

    def bodies(self, day: str, since_ns: int, until_ns: int, without: Sequence[str]) -> Iterator[str]:
        """Yield the bodies of one day's requests that started within a span, oldest first."""
        conditions, values = _spelled(_WITHIN, [since_ns, until_ns], without)
        query = f"SELECT body FROM read_parquet(?) AS traces WHERE {conditions} ORDER BY started_ns, request_id"  # noqa: S608
        with self._query() as cursor:
            cursor.execute(query, [_literal(self.file(day)), *values])
            while rows := cursor.fetchmany(5000):
                yield from (row[0] for row in rows)

    def features(self, ids: Sequence[str]) -> dict[str, str]:
        """Map request ids to features in the live store's format; ids that no file holds are left out."""
        query = "SELECT request_id, terms FROM {files} WHERE request_id IN (SELECT unnest(?::VARCHAR[]))"
        days = self.days(pruned=True)
        return dict(self.read(query, days, (list(ids),))) if days and ids else {}

    def kept(self, file: Path) -> Iterator[Kept]:
        """Yield every row of a file, oldest first."""
        with self._query() as cursor:
            query = "SELECT started_ns, request_id, body, feedback FROM read_parquet(?) ORDER BY 1, 2"
            cursor.execute(query, [_literal(file)])
            while rows := cursor.fetchmany(5000):
                yield from rows

    def recheck(self, day: str) -> int:
        """Read every row of a day's file, compare them with its metadata, and return their number.

        Raises:
            StorageError: the file cannot be read, or its rows do not match the count and digest in its metadata.

        """
        file = self.file(day)
        try:  # DuckDB says of a missing permission what it says of other bytes
            file.open("rb").close()
        except OSError as error:
            wrong = f"{file} cannot be read: {error.strerror or error}"
            raise StorageError("unavailable", wrong, "check who may read it") from error
        with self._query() as cursor:
            pairs = cursor.execute("SELECT key, value FROM parquet_kv_metadata(?)", [_literal(file)]).fetchall()
        said = {bytes(key): bytes(value).decode(errors="replace") for key, value in pairs}
        count, sha = digest(self.kept(file))
        if (said.get(b"rows"), said.get(b"sha256")) != (str(count), sha):
            wrong = f"{file} does not match its metadata: it holds {count:,} rows with SHA-256 {sha[:12]}"
            raise StorageError("damaged", wrong, "restore the file from a backup")
        return count

    def read(
        self, sql: str, days: Sequence[str], params: Sequence[Any], *, before: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one query over the files of some days; ``{files}`` in the query stands for them.

        ``before`` are the parameters in front of the files, ``params`` those behind them.
        """
        files = [_literal(self.file(day)) for day in days]
        with self._query() as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                sql.format(files="read_parquet(?)"), [*before, files, *params]
            ).fetchall()
        return rows

    def close(self) -> None:
        """Close the DuckDB connection."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    @contextmanager
    def _query(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a new cursor and turn DuckDB's exceptions into ``StorageError``."""
        with self._lock:
            if self._opened is None:
                self._opened = connected()
            cursor = self._opened.cursor()
        import duckdb

        try:
            yield cursor
        except duckdb.Error as error:
            raise StorageError(
                "damaged",
                f"an exported day in {self.folder} cannot be read: {str(error).splitlines()[0]}",
                "restore the file from a backup; `spine traces export --day D` rebuilds it from the live store",
            ) from error
        finally:
            cursor.close()


def connected() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB connection that never downloads extensions.

    Raises:
        StorageError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        wrong = f"DuckDB, which reads and writes exported days, cannot be imported: {error}"
        raise StorageError("unavailable", wrong, "pip install 'modelspine[parquet]'") from error

    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    return connection


def digest(rows: Iterator[Kept], note: Callable[[Kept], None] = lambda _row: None) -> tuple[int, str]:
    """Return the number of rows and the SHA-256 over their JSON lines; ``note`` is called with each row."""
    import hashlib  # here, because it loads OpenSSL and no look-up needs it

    encode, sha, count = msgspec.json.Encoder().encode, hashlib.sha256(), 0
    for row in rows:
        note(row)
        sha.update(encode(row) + b"\n")
        count += 1
    return count, sha.hexdigest()


def _spelled(where: Sequence[str], params: Sequence[Any], without: Sequence[str]) -> tuple[str, list[Any]]:
    """Translate conditions of the live store into conditions on the files, excluding some request ids."""
    text = " AND ".join([*where, "traces.request_id NOT IN (SELECT unnest(?::VARCHAR[]))"])
    return _renamed(text), [*params, list(without)]


def _renamed(sql: str) -> str:
    """Replace the names of the live store's columns by those of the files."""
    for live, here in _SPELLED.items():
        sql = sql.replace(live, here)
    return sql


def _literal(file: Path) -> str:
    """Escape a path so that DuckDB reads it as one file and not as a glob pattern."""
    return re.sub(r"([\[*?])", r"[\1]", str(file))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
