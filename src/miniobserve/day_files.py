"""Writes traces to Parquet files, one for each bucket of units, and reads them back to compare.

Rows go from a stream of traces to row groups of the files without being held: a queue of a few batches a bucket is all
that is in memory, so that a day of any size takes the same. Each file is written by a thread of its own, while the
caller's thread builds the next batch. This module does not know where the files go.
"""

from __future__ import annotations

import gc
import hashlib
import queue
import re
import threading
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from miniobserve.columns import SELECTED, STORED, trace_of
from miniobserve.manifests import Totals
from miniobserve.record_batches import BatchStream, OneBatch, batch_of
from miniobserve.sql.protocol import StorageError
from miniobserve.stray_ids import hash_of, is_stray, packed
from miniobserve.traces import Trace

if TYPE_CHECKING:
    import duckdb
    from nanoarrow.c_array import CArray

BATCH = 8192
"""Rows of a batch."""
ROW_GROUP = 32_768
"""Rows of a row group: what a look-up by id decodes, and what is in memory of each file that is being written."""
BUCKET_ROWS = 2_000_000
"""A day gets a further bucket for so many rows."""
_WAITING = 2
"""Batches that wait for each file's thread."""
_SAMPLES = 20


class Written(NamedTuple):
    """One file that was written and read back."""

    file: Path
    bucket: int
    size: int
    """In bytes."""
    sha256: str
    first_id: str
    last_id: str
    first_ns: int
    last_ns: int
    totals: Totals
    strays: bytes
    """The list of its ids that do not carry their day; see ``stray_ids``."""


def bucket_of(trace: Trace, buckets: int) -> int:
    """Return the bucket of a trace: that of its unit, or of the (first) request itself if it has none."""
    unit = trace.unit_hash or trace.retry_of or trace.request_id
    # MD5, because DuckDB has it too and finds the bucket of a row by it.
    return int(hashlib.md5(unit.encode(), usedforsecurity=False).hexdigest()[:8], 16) % buckets


def buckets_for(rows: int) -> int:
    """Return into how many buckets a day of so many rows is divided: a power of two, so that days fit together."""
    return 1 << (max(1, -(-rows // BUCKET_ROWS)) - 1).bit_length()


def write_files(traces: Iterable[Trace], folder: Path, buckets: int) -> list[Written]:
    """Write traces to a file for each bucket that has any, and compare each file with what was written.

    The traces should come sorted by request id: a look-up by id then reads one row group of a file.

    Raises:
        StorageError: a file cannot be written, or does not hold what was written to it.
    """
    # Each file is written by the thread that asks for it. One file's thread that waits for rows must not keep another's
    # from being written, and the threads that DuckDB starts otherwise reserve half a gigabyte of addresses.
    database = connected(alone=True)
    files = [_File(database, folder / f"{bucket}.parquet", bucket) for bucket in range(buckets)]
    collected: list[list[Trace]] = [[] for _ in files]
    # Millions of short-lived objects without cycles make Python look for cycles all the time: a quarter of the seconds.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for trace in traces:
            bucket = bucket_of(trace, buckets)
            some = collected[bucket]
            some.append(trace)
            if len(some) >= BATCH:
                files[bucket].write(some)
                collected[bucket] = []
        for file, some in zip(files, collected, strict=True):
            if some:
                file.write(some)
        for file in files:
            file.finish()
        return [file.read_back() for file in files if file.rows]
    finally:
        if collecting:
            gc.enable()
        for file in files:
            file.finish()
        database.close()


class _File:
    """One file that is being written by its own thread."""

    def __init__(self, database: duckdb.DuckDBPyConnection, path: Path, bucket: int) -> None:
        self._database = database
        self._path = path
        self._bucket = bucket
        self._queue: queue.Queue[CArray | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._samples: list[Trace] = []
        self._content = 0
        self._strays = array("I")
        self.rows = 0

    def write(self, traces: list[Trace]) -> None:
        """Hand over a batch; waits while too many are waiting.

        Raises:
            StorageError: the thread failed.
        """
        batch = batch_of(traces, [self._bucket] * len(traces))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"day-file-{self._bucket}", daemon=True)
            self._thread.start()
        if len(self._samples) < _SAMPLES:
            self._samples.append(traces[0])
        self.rows += len(traces)
        self._strays.extend(hash_of(trace.request_id) for trace in traces if is_stray(trace))
        while True:
            self._raise()
            with suppress(queue.Full):
                self._queue.put(batch, timeout=0.5)
                return

    def finish(self) -> None:
        """Let the thread write what is waiting and end."""
        while self._thread is not None and self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=0.1)
                self._thread.join()

    def read_back(self) -> Written:
        """Read the file, and compare its rows with those that were written.

        Raises:
            StorageError: kind ``damaged`` if they differ.
        """
        self._raise()
        connection = self._database.cursor()
        try:
            with duckdb_errors(f"cannot read {self._path.name}"):
                count, content, first_id, last_id, first_ns, last_ns, *sums = connection.execute(
                    "SELECT count(*), bit_xor(hash(whole)), min(request_id), max(request_id), min(started_ns),"
                    " max(started_ns), count(*) FILTER (status >= 500), count(cost), coalesce(sum(cost), 0),"
                    " sum(seconds), sum(input_tokens), sum(output_tokens)"
                    " FROM (SELECT * FROM read_parquet(?, hive_partitioning = false)) AS whole",
                    [literal(self._path)],
                ).fetchall()[0]
                same = self._has_samples(connection)
        finally:
            connection.close()
        if (count, content) != (self.rows, self._content) or not same:
            wrong = f"the {count:,} rows read back differ from the {self.rows:,} written; nothing was changed"
            raise StorageError("damaged", wrong, "check the disk, then export the day again")
        with self._path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        failed, priced, cost, seconds, inputs, outputs = sums
        totals = Totals(
            rows=count, failed=failed, priced=priced, cost=cost, seconds=seconds, input_tokens=int(inputs),
            output_tokens=int(outputs),
        )  # fmt: skip
        size = self._path.stat().st_size
        return Written(
            self._path, self._bucket, size, sha256, first_id, last_id, first_ns, last_ns, totals, packed(self._strays)
        )

    def _has_samples(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether some traces, rebuilt from the file, are those that were written.

        The digest over all rows compares what DuckDB was given with what it wrote; this compares the traces themselves.
        """
        wanted = {trace.request_id: trace for trace in self._samples}
        query = f"SELECT {', '.join(STORED)} FROM read_parquet(?) WHERE request_id IN (SELECT unnest(?::VARCHAR[]))"  # noqa: S608
        rows = connection.execute(query, [literal(self._path), list(wanted)]).fetchall()
        found = [trace_of(dict(zip(STORED, row, strict=True))) for row in rows]
        return len(found) >= len(wanted) and all(any(one == wanted[one.request_id] for one in found) for one in found)

    def _run(self) -> None:
        """Write all batches of the queue; runs in the file's thread."""
        stream = BatchStream(self._batches())
        connection = self._database.cursor()
        try:
            connection.register("batches", stream)
            target = str(self._path).replace("'", "''")
            options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
            connection.execute(f"COPY (SELECT {SELECTED} FROM batches) TO '{target}' ({options})").fetchall()  # noqa: S608
        except BaseException as error:  # noqa: BLE001 -- the caller's thread raises it
            self._failure = stream.failure or error
        finally:
            with suppress(Exception):
                connection.close()

    def _batches(self) -> Iterator[CArray]:
        """Yield the batches of the queue, and digest what DuckDB sees of each."""
        connection = self._database.cursor()
        try:
            while (batch := self._queue.get()) is not None:
                connection.register("batch", OneBatch(batch))
                query = f"SELECT bit_xor(hash(whole)) FROM (SELECT {SELECTED} FROM batch) AS whole"  # noqa: S608
                self._content ^= connection.execute(query).fetchall()[0][0]
                connection.unregister("batch")
                yield batch
        finally:
            connection.close()

    def _raise(self) -> None:
        import duckdb

        if self._failure is None:
            return
        if isinstance(self._failure, (duckdb.Error, OSError)):
            raise unwritable(self._path.parent, self._failure) from self._failure
        raise self._failure


@contextmanager
def duckdb_errors(wrong: str, hint: str = "check the disk, then export the day again") -> Iterator[None]:
    """Turn DuckDB's exceptions into ``StorageError``, kind ``damaged``."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise StorageError("damaged", f"{wrong}: {str(error).splitlines()[0]}", hint) from error


def unwritable(folder: Path, error: BaseException) -> StorageError:
    """The error for a folder in which a file cannot be written."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StorageError("unavailable", f"cannot write to {folder}: {reason}", "check the folder and its disk")


def connected(*, alone: bool = False) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB connection that never downloads extensions.

    With ``alone`` it has no threads of its own: only those that ask it for something work.

    Raises:
        StorageError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        wrong = f"DuckDB, which reads and writes exported days, cannot be imported: {error}"
        raise StorageError("unavailable", wrong, "pip install 'modelspine[parquet]'") from error

    try:
        connection = duckdb.connect(":memory:", config={"threads": 1, "async_threads": 0} if alone else {})
    except duckdb.CatalogException:  # before version 2 there is no such setting, and there are no such threads
        connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    return connection


def literal(file: Path) -> str:
    """Escape a path so that DuckDB reads it as one file and not as a glob pattern."""
    return re.sub(r"([\[*?])", r"[\1]", str(file))
