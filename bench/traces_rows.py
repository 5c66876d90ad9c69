"""Bench group traces: look-up by id among a million, and writing; compared with MLflow, plain SQLite and PostgreSQL."""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import stores
import trace_writers
from rows import Row, median

from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.reader import TraceReader
from miniobserve.rows import request_row
from miniobserve.schema import DAY_NS, NAMES
from miniobserve.sql.open import connect
from miniobserve.writer import TraceWriter

COUNT = 1_000_000
LOOKED, WRITTEN = 1_000, 10_000
FEW = 200
"""The number of traces for MLflow, which stores about twenty per second."""


class Measured(NamedTuple):
    """The figures of one store of many traces, and of what one would use instead."""

    count: int
    looked: float
    """Seconds per look-up by id, spread over the store."""
    looked_p99: float
    of_trace: float
    """Seconds per look-up by W3C trace id."""
    by_hand: float
    """The same with a single SELECT."""
    wrote: float
    """Traces written per second, each durable."""
    wrote_by_hand: float
    """Rows written per second to a table of the same columns and one key, a hundred per durable commit."""


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        url = stores.traces(path, COUNT)
        found = measured(url, path, COUNT)
        yield from beside(found, _mlflow(Path(folder)))
        yield from _closed_day(url, Path(folder), found.looked)
        yield from _postgres(path, found.looked, found.wrote)
        yield from _writers(Path(folder))


def large() -> Iterator[Row]:
    """Yield rows for look-up and writing among ten times as many traces."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        print(f"bench: making {10 * COUNT:,} traces, about 16 GB under {folder}", file=sys.stderr)
        url = stores.traces(path, 10 * COUNT)
        yield from beside(measured(url, path, 10 * COUNT), _mlflow(Path(folder)))


def measured(url: str, path: Path, count: int) -> Measured:
    """Look up and write in a store of ``count`` traces."""
    picks, reader, by_hand = random.Random(3), TraceReader.open(url), sqlite3.connect(path, isolation_level=None)

    def any_id() -> str:
        return f"req-{picks.randrange(count):012d}"

    def each(call: Callable[[], object]) -> list[float]:
        times = []
        for _ in range(LOOKED):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return sorted(times)

    query = "SELECT * FROM requests WHERE request_id = ?"
    looked = each(lambda: reader.get(any_id()))
    plain = each(lambda: by_hand.execute(query, (any_id(),)).fetchall())
    of_trace = each(lambda: reader.of_trace(stores.trace_id(picks.randrange(count))))
    wrote, wrote_by_hand = _write(url, reader, any_id()), _write_by_hand(by_hand)
    by_hand.close()
    reader.close()
    middle, last = LOOKED // 2, int(0.99 * LOOKED)
    return Measured(count, looked[middle], looked[last], of_trace[middle], plain[middle], wrote, wrote_by_hand)


def beside(found: Measured, mlflow: tuple[float, float]) -> Iterator[Row]:
    """Yield the rows that compare a store with MLflow tracing (traces/s, seconds per look-up) and plain SQLite."""
    wrote, looked = mlflow
    what = f"look-up by id among {found.count:,} traces"
    yield Row(what, 1000 * found.looked, "ms", 5, f"MLflow get_trace among {FEW}", 1000 * looked)
    yield Row(what, 1000 * found.looked, "ms", 5, "SQLite by hand", 1000 * found.by_hand)
    yield Row(f"{what}, p99", 1000 * found.looked_p99, "ms", 5, "", None)
    yield Row("the same by W3C trace id", 1000 * found.of_trace, "ms", 5, "by request id", 1000 * found.looked)
    what = f"durable traces written a second, {found.count:,} kept"
    yield Row(what, found.wrote, "/s", None, "MLflow tracing", wrote, "more")
    yield Row(what, found.wrote, "/s", None, "SQLite by hand, one table", found.wrote_by_hand, "more")


def _closed_day(url: str, folder: Path, looked: float) -> Iterator[Row]:
    """Yield rows for exporting one of the thirty days to Parquet, and for a look-up there."""
    live = TraceReader.open(url)
    day = live.days("2026-01-01")[3]
    ids = [trace.request_id for trace in live.day_traces(day)]
    live.close()
    archive = Archive(folder / "parquet")
    started = time.perf_counter()
    done = export_day(url, archive, day, prune=True)
    took = time.perf_counter() - started
    assert done is not None
    yield Row(f"closing a day of {done.rows:,} traces, read back and pruned", took, "s", None, "", None)
    reader, picks = TraceReader.open(url, archive.place), random.Random(6)
    found = median(lambda: reader.get(picks.choice(ids)), runs=30)
    what = f"look-up in a closed day of {done.rows:,} (Parquet)"
    yield Row(what, 1000 * found, "ms", None, "the same request while live", 1000 * looked)
    reader.close()
    archive.close()


def _postgres(path: Path, looked: float, wrote: float) -> Iterator[Row]:
    """Yield rows for the same store on PostgreSQL, if a server is available, compared with SQLite."""
    url = stores.postgres()
    if url is None:
        return
    try:
        stores.copied(path, url)
        reader, picks = TraceReader.open(url), random.Random(5)
        mine = median(lambda: reader.get(f"req-{picks.randrange(COUNT):012d}"), runs=500)
        yield Row(
            f"look-up among {COUNT:,} traces on PostgreSQL", 1000 * mine, "ms", 5, "ours on SQLite", 1000 * looked
        )
        written = _write(url, reader, f"req-{0:012d}", "more")
        what = "durable traces written a second on PostgreSQL"
        yield Row(what, written, "/s", None, "ours on SQLite", wrote, "more")
        reader.close()
    finally:
        stores.dropped(url)


def _writers(folder: Path) -> Iterator[Row]:
    """Yield rows for writers that are processes of their own, each trace durable before its submitter goes on."""
    for database in ("SQLite", "PostgreSQL"):
        for writers, submitters in ((1, 16), (4, 16), (16, 4), (16, 16)):
            url = f"sqlite:///{folder / f'{writers}-{submitters}.db'}" if database == "SQLite" else stores.postgres()
            if url is None:
                continue
            TraceWriter(url).close()
            found = trace_writers.written(url, writers, submitters)
            what = f"traces a second, {writers} × {submitters} on {database}"
            budget = 7_000 if (database, writers) == ("PostgreSQL", 16) else None
            hand = by_hand(url, writers * submitters)
            yield Row(
                what,
                found.a_second,
                "/s",
                budget,
                f"executemany by hand, {writers * submitters} a commit",
                hand,
                "more",
            )
            yield Row(f"{what}, median", 1000 * found.median, "ms", None, "", None)
            if database == "PostgreSQL":
                stores.dropped(url)


def by_hand(url: str, group: int, count: int = 5_000) -> float:
    """Return rows a second into the same table by plain executemany from one client, ``group`` a durable commit."""
    database, trace = connect(url), trace_writers.sample()
    database.partition("requests", trace.started_ns // DAY_NS)
    names, marks = ", ".join(NAMES), ", ".join("?" for _ in NAMES)
    rows = [
        request_row(msgspec.structs.replace(trace, request_id=f"hand-{group}-{number:08}", trace_id=f"{number:032x}"))
        for number in range(count)
    ]
    started = time.perf_counter()
    for first in range(0, count, group):
        with database.transaction() as tx:
            tx.executemany(f"INSERT INTO requests ({names}) VALUES ({marks})", rows[first : first + group])
    took = time.perf_counter() - started
    database.close()
    return count / took


def _write(url: str, reader: TraceReader, like: str, name: str = "new") -> float:
    """Return traces per second, all submitted at once, each durable when its future resolves."""
    trace = reader.get(like)
    assert trace is not None
    writer = TraceWriter(url, queue=20_000)
    started = time.perf_counter()
    futures = [writer.submit(msgspec.structs.replace(trace, request_id=f"{name}-{n:012d}")) for n in range(WRITTEN)]
    for future in futures:
        future.result()
    rate = len(futures) / (time.perf_counter() - started)
    writer.close()
    return rate


def _write_by_hand(database: sqlite3.Connection) -> float:
    """Return rows per second into one table with one key, a hundred per commit; drops it afterwards."""
    names, marks = ", ".join(NAMES[1:]), ", ".join("?" for _ in NAMES)
    database.execute(f"CREATE TABLE by_hand (request_id TEXT PRIMARY KEY, {names})")
    row = database.execute(f"SELECT {names} FROM requests LIMIT 1").fetchone()
    database.execute("PRAGMA synchronous=FULL")
    started = time.perf_counter()
    for first in range(0, WRITTEN, 100):
        database.execute("BEGIN IMMEDIATE")
        rows = [(f"hand-{number:012d}", *row) for number in range(first, first + 100)]
        database.executemany(f"INSERT INTO by_hand VALUES ({marks})", rows)
        database.execute("COMMIT")
    rate = WRITTEN / (time.perf_counter() - started)
    database.execute("DROP TABLE by_hand")
    return rate


def _mlflow(folder: Path) -> tuple[float, float]:
    """Measure synchronous MLflow tracing on SQLite; returns (traces per second, seconds per look-up)."""
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("bench")
    ids = []
    started = time.perf_counter()
    for number in range(FEW):
        with mlflow.start_span(name="correct") as span:
            span.set_inputs({"sentence": f"Yesterday he goed to school {number}."})
        ids.append(span.trace_id)
    rate = FEW / (time.perf_counter() - started)
    client = mlflow.MlflowClient()
    picks = random.Random(4)
    return rate, median(lambda: client.get_trace(picks.choice(ids)), runs=30)
