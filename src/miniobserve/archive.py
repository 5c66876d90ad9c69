"""Closed days of traces as Parquet: where a look-up goes on once a day has left the live store.

One file a day, ``<folder>/day=YYYY-MM-DD/traces.parquet``, its row count and digest in its own metadata. A
file named ``PRUNED`` beside it says that the live store may lack rows of that day. DuckDB reads them and is
loaded by the first look-up that needs it. It never writes, and does not know how a day got here.
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
"""What must come back exactly: started_ns, request id, the trace's canonical JSON, what the learner said."""

_FOLDER = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_WITHIN = ("started_ns >= ? AND started_ns < ?",)
_SPELLED = {
    "feedback.outcome": "traces.feedback",
    "traces.features": "traces.terms",
    "traces.accepted": "CAST(traces.is_correct AS INTEGER)",
}
"""Conditions of the live store → the columns here, which are named for the people who query the files."""


class Archive:
    """The exported days in one folder; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._opened: duckdb.DuckDBPyConnection | None = None

    def file(self, day: str) -> Path:
        """Where a day is kept."""
        return self.folder / f"day={day}" / FILE

    def days(self, *, pruned: bool = False) -> list[str]:
        """The days that were exported, oldest first; with ``pruned`` only those the live store may lack."""
        return [day for day in self._folders() if self.file(day).is_file() and (not pruned or self.is_pruned(day))]

    def lost(self) -> list[str]:
        """The days that were taken out of the live store and whose file is not there."""
        return [day for day in self._folders() if self.is_pruned(day) and not self.file(day).is_file()]

    def _folders(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = (_FOLDER.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(match[1] for match in found if match and _is_day(match[1]))

    def is_pruned(self, day: str) -> bool:
        """Whether rows of a day were taken out of the live store."""
        return self.file(day).with_name(PRUNED).exists()

    def get(self, request_id: str) -> tuple[str, str | None] | None:
        """The body and the feedback of one request, or None."""
        days = self.days()
        if not days:
            return None
        rows = self.read("SELECT body, feedback FROM {files} AS traces WHERE request_id = ?", days, (request_id,))
        return (rows[0][0], rows[0][1]) if rows else None

    def page(
        self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], limit: int, without: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """The newest ``limit`` rows, and those of the last one's nanosecond: body, feedback, started_ns, id."""
        columns = "SELECT body, feedback, started_ns, request_id FROM {files} AS traces"
        conditions, values = _spelled(where, params, without)
        order = "ORDER BY started_ns DESC, request_id"
        rows = self.read(f"{columns} WHERE {conditions} {order} LIMIT ?", days, (*values, limit))
        if len(rows) == limit and rows:
            ties = f"{columns} WHERE {conditions} AND started_ns = ? AND request_id > ? {order}"
            rows += self.read(ties, days, (*values, rows[-1][2], rows[-1][3]))
        return rows

    def count(
        self, days: Sequence[str], where: Sequence[str], params: Sequence[Any], most: int, without: Sequence[str]
    ) -> int:
        """How many rows match, counted up to ``most``."""
        conditions, values = _spelled(where, params, without)
        inner = f"SELECT 1 FROM {{files}} AS traces WHERE {conditions} LIMIT {most}"  # noqa: S608 -- a number of ours
        return len(self.read(inner, days, values))

    def rows(self, day: str, since_ns: int, until_ns: int, without: Sequence[str]) -> int:
        """How many of one day's requests lie within a span."""
        conditions, values = _spelled(_WITHIN, [since_ns, until_ns], without)
        found = self.read(f"SELECT count(*) FROM {{files}} AS traces WHERE {conditions}", [day], values)  # noqa: S608
        return int(found[0][0])

    def bodies(self, day: str, since_ns: int, until_ns: int, without: Sequence[str]) -> Iterator[str]:
        """The bodies of one day's requests within a span, oldest first."""
        conditions, values = _spelled(_WITHIN, [since_ns, until_ns], without)
        query = f"SELECT body FROM read_parquet(?) AS traces WHERE {conditions} ORDER BY started_ns, request_id"  # noqa: S608
        with self._query() as cursor:
            cursor.execute(query, [_literal(self.file(day)), *values])
            while rows := cursor.fetchmany(5000):
                yield from (row[0] for row in rows)

    def features(self, ids: Sequence[str]) -> dict[str, str]:
        """Request id → its features as the live store has them; what no file holds is left out."""
        query = "SELECT request_id, terms FROM {files} WHERE request_id IN (SELECT unnest(?::VARCHAR[]))"
        days = self.days(pruned=True)
        return dict(self.read(query, days, (list(ids),))) if days and ids else {}

    def kept(self, file: Path) -> Iterator[Kept]:
        """Every row of a file, oldest first."""
        with self._query() as cursor:
            query = "SELECT started_ns, request_id, body, feedback FROM read_parquet(?) ORDER BY 1, 2"
            cursor.execute(query, [_literal(file)])
            while rows := cursor.fetchmany(5000):
                yield from rows

    def recheck(self, day: str) -> int:
        """How many rows a day's file holds, each read again.

        Raises:
            StorageError: it cannot be read, or they are not those its metadata counts and hashes.

        """
        file = self.file(day)
        with self._query() as cursor:
            pairs = cursor.execute("SELECT key, value FROM parquet_kv_metadata(?)", [_literal(file)]).fetchall()
        said = {bytes(key): bytes(value).decode(errors="replace") for key, value in pairs}
        count, sha = digest(self.kept(file))
        if (said.get(b"rows"), said.get(b"sha256")) != (str(count), sha):
            wrong = f"{file} holds other rows than were written: {count:,}, SHA-256 {sha[:12]}"
            raise StorageError("damaged", wrong, "restore its file from a backup")
        return count

    def read(self, sql: str, days: Sequence[str], params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one query over the files of some days, which stand in it as ``{files}``."""
        files = [_literal(self.file(day)) for day in days]
        with self._query() as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                sql.format(files="read_parquet(?)"), [files, *params]
            ).fetchall()
        return rows

    def close(self) -> None:
        """Let DuckDB go."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    @contextmanager
    def _query(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own; what DuckDB raises as ``StorageError``."""
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
                "restore its file from a backup; `spine traces export --day D` makes it again from what is live",
            ) from error
        finally:
            cursor.close()


def connected() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, which downloads nothing."""
    try:
        import duckdb
    except ImportError as error:
        wrong = f"DuckDB, which reads and writes the exported days, does not load: {error}"
        raise StorageError("unavailable", wrong, "pip install 'modelspine[parquet]'") from error

    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    return connection


def digest(rows: Iterator[Kept], note: Callable[[Kept], None] = lambda _row: None) -> tuple[int, str]:
    """How many rows there are and the SHA-256 over their JSON, a line each."""
    import hashlib  # loads OpenSSL, which a look-up does without

    encode, sha, count = msgspec.json.Encoder().encode, hashlib.sha256(), 0
    for row in rows:
        note(row)
        sha.update(encode(row) + b"\n")
        count += 1
    return count, sha.hexdigest()


def _spelled(where: Sequence[str], params: Sequence[Any], without: Sequence[str]) -> tuple[str, list[Any]]:
    """Conditions of the live store as conditions here, without some request ids."""
    text = " AND ".join([*where, "traces.request_id NOT IN (SELECT unnest(?::VARCHAR[]))"])
    for live, here in _SPELLED.items():
        text = text.replace(live, here)
    return text, [*params, list(without)]


def _literal(file: Path) -> str:
    """A path as DuckDB takes it: one file and not a pattern."""
    return re.sub(r"([\[*?])", r"[\1]", str(file))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
