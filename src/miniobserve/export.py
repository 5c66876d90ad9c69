"""Closing days: the traces of a day from the live store into one Parquet file, read back before anything else.

A day that was exported before is made again from its file and what is live, so nothing that arrived late is
lost and nothing twice. Pruning deletes from the live store what the file was just seen to hold. DuckDB writes
the Parquet from JSON lines of ours, so a text stays data. It does not know which day it is.
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
"""The columns of a file; beside them ``at``, the time as a timestamp (UTC)."""
_OF_TRACE = _COLUMNS.keys() & set(Trace.__struct_fields__) - {"feedback"}
_CHUNK = 500
_TEMPORARY = ".new-"
"""How files begin that are being written; no look-up reads one."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One exported day, as it was read back."""

    day: str
    rows: int
    sha256: str
    file: Path
    bytes: int
    written: bool
    """False where the file held exactly this already."""
    pruned: int = 0
    """How many rows were deleted from the live store."""


def export_day(url: str, archive: Archive, day: str, *, prune: bool = False) -> Exported | None:
    """Export one closed day, and read it back; None where there is nothing of it anywhere.

    Args:
        url: the live trace store.
        archive: where the days are kept.
        day: ``YYYY-MM-DD``, UTC; its last request has been answered.
        prune: delete from the live store what the file holds.

    Raises:
        StorageError: the store or the folder cannot be used, or what was read back is not what was written.

    """
    with _alone(archive.folder):
        for left in archive.folder.glob(f"*/{_TEMPORARY}*"):  # of an export that was killed; nobody else works here
            left.unlink()
        reader = TraceReader.open(url)
        try:
            found = _written(reader, archive, day)
        finally:
            reader.close()
        if found is None or not prune:
            return found
        return msgspec.structs.replace(found, pruned=_prune(url, archive, day))


def _written(reader: TraceReader, archive: Archive, day: str) -> Exported | None:
    """The day's file, made again where it lacks something; checked by reading it back either way."""
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
    """Both in order of time and id, each request once; what is live counts, its feedback may be newer."""
    last: tuple[int, str] | None = None
    for row in heapq.merge(live, kept, key=lambda row: row[:2]):
        if row[:2] != last:
            last = row[:2]
            yield row


def _spoken_of(reader: TraceReader, kept: Iterator[Kept]) -> Iterator[Kept]:
    """A file's rows with what learners said of them since."""
    while chunk := [row for _, row in zip(range(_CHUNK), kept, strict=False)]:
        said = reader.outcomes([row[1] for row in chunk])
        yield from ((*row[:3], said.get(row[1], row[3])) for row in chunk)


def _line(write: Any, encode: Any, decode: Any, row: Kept) -> None:
    """One row as a line of JSON, with the columns people query beside the body that counts."""
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
    """JSON lines to Parquet, in the same place."""
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
            "unavailable", f"the day cannot be written to {archive.folder}: {reason}", "check the folder and its disk"
        ) from error
    finally:
        connection.close()


def _check(archive: Archive, file: Path, wanted: tuple[int, str]) -> None:
    found = digest(archive.kept(file))
    if found != wanted:
        raise StorageError(
            "damaged",
            f"what was read back ({found[0]:,} rows, {found[1][:12]}) is not what was written"
            f" ({wanted[0]:,} rows, {wanted[1][:12]}); nothing was changed",
            "check the disk, then export the day again",
        )


def _prune(url: str, archive: Archive, day: str) -> int:
    """Delete from the live store every row of a day that the day's file holds, as it holds it."""
    marker = archive.file(day).with_name(PRUNED)
    marker.touch()  # before the first row goes: from here on look-ups ask the file too
    _sync(marker.parent)
    database = connect(url)
    gone = 0
    try:
        database.script(SCHEMA)  # a store made before there were exports lacks a table
        rows = archive.kept(archive.file(day))
        while chunk := [row for _, row in zip(range(_CHUNK), rows, strict=False)]:
            with database.transaction() as tx:
                gone += _delete(tx, chunk, day)
    finally:
        database.close()
    return gone


def _delete(tx: Transaction, chunk: list[Kept], day: str) -> int:
    """Delete these rows where they still are what the file holds: feedback that came since keeps a row."""
    marks = ", ".join("?" for _ in chunk)
    live = tx.execute(
        "SELECT bodies.request_id, body, outcome FROM bodies LEFT JOIN feedback"  # noqa: S608 -- marks only
        f" ON feedback.request_id = bodies.request_id WHERE bodies.request_id IN ({marks})",
        [row[1] for row in chunk],
    )
    held = {row[1:] for row in chunk}
    ids = [row[0] for row in live if tuple(row) in held]
    if ids:
        tx.executemany(INSERT_EXPORTED, [(one, day) for one in ids])
    for table in ("traces", "bodies") if ids else ():  # arms are compared by what is left, feedback among it
        some = ", ".join("?" for _ in ids)
        tx.execute(f"DELETE FROM {table} WHERE request_id IN ({some})", ids)  # noqa: S608 -- our tables
    return len(ids)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One export at a time in a folder: two could each leave out what the other one pruned."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(
            "unavailable", f"{folder}: {error.strerror}", "check that you may write there, or give another --out"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StorageError("unavailable", f"another export works in {folder}", "try again when it is done") from error
    finally:
        os.close(lock)


def _sync(folder: Path) -> None:
    """Make a rename durable."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
