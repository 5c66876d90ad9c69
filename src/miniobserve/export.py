"""Closes days: exports a day's traces from the live store to one Parquet file and verifies it by reading it back.

Exporting a day again merges its file with the live store, so that late traces are added and none appears twice.
Pruning deletes from the live store only rows that were just read back from the file. DuckDB converts JSON lines to
Parquet, so that no text of a trace becomes part of a SQL statement. This module does not choose the days.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.archive import PRUNED, Archive, Kept, connected, digest
from miniobserve.reader import TraceReader
from miniobserve.schema import INSERT_EXPORTED, SCHEMA, trace_row
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError, Transaction
from miniobserve.traces import Trace

_COLUMNS = {
    "request_id": "VARCHAR", "started_ns": "BIGINT", "entry_sha": "VARCHAR", "semver": "VARCHAR",
    "arm": "VARCHAR", "strategy": "VARCHAR", "epoch": "BIGINT", "learner_hash": "VARCHAR",
    "sentence": "VARCHAR", "correction": "VARCHAR", "is_correct": "BOOLEAN", "in_scope": "BOOLEAN",
    "feedback": "VARCHAR", "features": "MAP(VARCHAR, VARCHAR)", "seconds": "DOUBLE", "cost": "DOUBLE",
    "input_tokens": "BIGINT", "output_tokens": "BIGINT", "status": "INTEGER", "error": "VARCHAR",
    "source": "VARCHAR", "shadow_of": "VARCHAR", "text": "VARCHAR", "text_sha256": "VARCHAR",
    "terms": "VARCHAR", "body": "VARCHAR",
}  # fmt: skip
"""The columns of a file, which also has ``at``, the start time as a timestamp (UTC)."""
_OF_TRACE = _COLUMNS.keys() & set(Trace.__struct_fields__) - {"feedback"}
_CHUNK = 500
_TEMPORARY = ".new-"
"""Name prefix of files that are still being written; queries do not match it."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One exported day, as verified by reading it back."""

    day: str
    rows: int
    sha256: str
    file: Path
    bytes: int
    written: bool
    """False if the file already held exactly these rows."""
    pruned: int = 0
    """The number of rows deleted from the live store."""


def export_day(url: str, archive: Archive, day: str, *, prune: bool = False) -> Exported | None:
    """Export one closed day and verify its file; returns None if the day has no traces.

    Args:
        url: the live trace store.
        archive: the folder of exported days.
        day: ``YYYY-MM-DD``, UTC; its last request must have been answered.
        prune: delete from the live store the rows that the file holds.

    Raises:
        StorageError: the store or the folder cannot be used, or the rows read back differ from those written.

    """
    with _alone(archive.folder):
        # Left by an export that was killed. No other export can be using them, since this one holds the lock.
        for leftover in archive.folder.glob(f"*/{_TEMPORARY}*"):
            leftover.unlink()
        reader = TraceReader.open(url)
        try:
            found = _written(reader, archive, day)
        finally:
            reader.close()
        if found is None or not prune:
            return found
        return msgspec.structs.replace(found, pruned=_prune(url, archive, day))


def _written(reader: TraceReader, archive: Archive, day: str) -> Exported | None:
    """Write the day's file unless it already holds these rows; the file is read back in either case."""
    file = archive.file(day)
    there = file.is_file()
    temporary = file.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}.tmp")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            encode = msgspec.json.Encoder().encode
            decode = msgspec.json.Decoder(Trace).decode
            rows = _merged(reader.day_rows(day), _spoken_of(reader, archive.kept(file)) if there else iter(()))
            count, sha = digest(rows, lambda row: _line(stream.write, encode, decode, row))
        if not count:
            return None
        written = not (there and digest(archive.kept(file)) == (count, sha))
        if written:
            _to_parquet(temporary, archive, count, sha)
            _check(archive, temporary, (count, sha))
            temporary.replace(file)
            _sync(file.parent)
    finally:
        temporary.unlink(missing_ok=True)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    return Exported(day=day, rows=count, sha256=sha, file=file, bytes=file.stat().st_size, written=written)


def _merged(live: Iterator[Kept], kept: Iterator[Kept]) -> Iterator[Kept]:
    """Merge two iterators sorted by time and id, each request once."""
    # heapq.merge is stable, so of two equal keys the live row comes first: its feedback may be newer.
    last: tuple[int, str] | None = None
    for row in heapq.merge(live, kept, key=lambda row: row[:2]):
        if row[:2] != last:
            last = row[:2]
            yield row


def _spoken_of(reader: TraceReader, kept: Iterator[Kept]) -> Iterator[Kept]:
    """Yield a file's rows with the feedback that arrived after the export."""
    while chunk := [row for _, row in zip(range(_CHUNK), kept, strict=False)]:
        said = reader.outcomes([row[1] for row in chunk])
        yield from ((*row[:3], said.get(row[1], row[3])) for row in chunk)


def _line(write: Any, encode: Any, decode: Any, row: Kept) -> None:
    """Write one row as a line of JSON: the authoritative body, and the columns that people query."""
    started_ns, request_id, body, feedback = row
    trace: Trace = decode(body)
    columns: dict[str, Any] = {name: getattr(trace, name) for name in _OF_TRACE}
    _, _, arm, _, _, text, text_sha256, terms = trace_row(trace)
    given = trace.assignment
    columns |= {"request_id": request_id, "started_ns": started_ns, "feedback": feedback, "body": body}
    columns |= {"arm": arm, "strategy": given.strategy, "epoch": given.epoch}
    columns |= {"text": text, "text_sha256": text_sha256, "terms": terms}
    write(encode(columns) + b"\n")


def _to_parquet(lines: Path, archive: Archive, count: int, sha: str) -> None:
    """Replace a file of JSON lines by the same rows as Parquet.

    Raises:
        StorageError: the file cannot be written.
    """
    connection = connected()
    import duckdb

    made = lines.with_suffix(".parquet")
    types = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    select = (
        "SELECT make_timestamp(started_ns // 1000) AS at, * FROM read_json(?, format = 'newline_delimited',"  # noqa: S608
        f" columns = {{{types}}}, hive_partitioning = false) ORDER BY started_ns, request_id"
    )
    target = str(made).replace("'", "''")
    options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{rows: '{count}', sha256: '{sha}'}}"
    try:
        connection.execute(f"COPY ({select}) TO '{target}' ({options})", [str(lines).replace("[", "[[]")])
        with made.open("rb+") as stream:
            os.fsync(stream.fileno())
        made.replace(lines)
    except (duckdb.Error, OSError) as error:
        made.unlink(missing_ok=True)
        reason = str(error).splitlines()[0]
        raise StorageError(
            "unavailable", f"cannot write the day to {archive.folder}: {reason}", "check the folder and its disk"
        ) from error
    finally:
        connection.close()


def _check(archive: Archive, file: Path, wanted: tuple[int, str]) -> None:
    found = digest(archive.kept(file))
    if found != wanted:
        raise StorageError(
            "damaged",
            f"the rows read back ({found[0]:,} rows, {found[1][:12]}) differ from those written"
            f" ({wanted[0]:,} rows, {wanted[1][:12]}); nothing was changed",
            "check the disk, then export the day again",
        )


def _prune(url: str, archive: Archive, day: str) -> int:
    """Delete from the live store every row of a day that the day's file holds unchanged."""
    marker = archive.file(day).with_name(PRUNED)
    marker.touch()  # before the first row is deleted, so that a query never misses both the row and the file
    _sync(marker.parent)
    database = connect(url)
    gone = 0
    try:
        database.script(SCHEMA)  # creates the table ``exported`` in a store of an older version
        rows = archive.kept(archive.file(day))
        while chunk := [row for _, row in zip(range(_CHUNK), rows, strict=False)]:
            with database.transaction() as tx:
                gone += _delete(tx, chunk, day)
    finally:
        database.close()
    return gone


def _delete(tx: Transaction, chunk: list[Kept], day: str) -> int:
    """Delete the rows that are still as the file holds them; a row with newer feedback stays. Returns the number."""
    marks = ", ".join("?" for _ in chunk)
    live = tx.execute(
        "SELECT bodies.request_id, body, outcome FROM bodies LEFT JOIN feedback"  # noqa: S608 -- placeholders only
        f" ON feedback.request_id = bodies.request_id WHERE bodies.request_id IN ({marks})",
        [row[1] for row in chunk],
    )
    held = {row[1:] for row in chunk}
    ids = [row[0] for row in live if tuple(row) in held]
    if ids:
        tx.executemany(INSERT_EXPORTED, [(one, day) for one in ids])
    # The tables answers, units, minutes and feedback keep their rows: they are what arms are compared by.
    for table in ("traces", "bodies") if ids else ():
        some = ", ".join("?" for _ in ids)
        tx.execute(f"DELETE FROM {table} WHERE request_id IN ({some})", ids)  # noqa: S608 -- table names from above
    return len(ids)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Allow one export at a time in a folder."""
    # Two at once could each read the file before the other replaced it, and then lose the rows the other pruned.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(
            "unavailable", f"{folder}: {error.strerror}", "check your write permission there, or choose another --out"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StorageError(
            "unavailable", f"another export is running in {folder}", "try again when it is done"
        ) from error
    finally:
        os.close(lock)


def _sync(folder: Path) -> None:
    """Flush a folder to disk, so that a rename in it survives a power failure."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
