"""The trace store: look-up by id among a million, and writing, beside MLflow tracing, SQLite by hand, PostgreSQL."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import stores
from rows import Row, median

from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.reader import TraceReader
from miniobserve.writer import TraceWriter

COUNT = 1_000_000
FEW = 200
"""Traces MLflow is given: it takes about twenty a second."""


def rows() -> Iterator[Row]:
    """Rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        url = stores.traces(path, COUNT)
        ids = [f"req-{random.Random(2).randrange(COUNT):012d}" for _ in range(1)]
        picks = random.Random(3)
        reader = TraceReader.open(url)
        looked = median(lambda: reader.get(f"req-{picks.randrange(COUNT):012d}"), runs=500)
        by_hand = sqlite3.connect(path)
        query = "SELECT body FROM bodies WHERE request_id = ?"
        plain = median(lambda: by_hand.execute(query, (f"req-{picks.randrange(COUNT):012d}",)).fetchall(), runs=500)
        wrote, looked_mlflow = _mlflow(Path(folder))
        what = f"look-up among {COUNT:,} traces"
        yield Row(what, 1000 * looked, "ms", 5, f"MLflow get_trace among {FEW}", 1000 * looked_mlflow)
        yield Row(what, 1000 * looked, "ms", 5, "SQLite by hand", 1000 * plain)
        mine = _write(url, reader, ids[0])
        yield Row("durable traces written a second", mine, "/s", None, "MLflow tracing", wrote, "more")
        yield from _closed_day(url, Path(folder), looked)
        yield from _postgres(path, looked, mine)
        by_hand.close()
        reader.close()


def _closed_day(url: str, folder: Path, looked: float) -> Iterator[Row]:
    """One of the thirty days as Parquet: exporting it, and a look-up there."""
    live = TraceReader.open(url)
    day = live.days("2026-01-01")[3]
    ids = [row[1] for row in live.day_rows(day)]
    live.close()
    archive = Archive(folder / "parquet")
    started = time.perf_counter()
    done = export_day(url, archive, day, prune=True)
    took = time.perf_counter() - started
    assert done is not None
    yield Row(f"closing a day of {done.rows:,} traces, read back and pruned", took, "s", None, "", None)
    reader, picks = TraceReader.open(url, archive.folder), random.Random(6)
    found = median(lambda: reader.get(picks.choice(ids)), runs=30)
    what = f"look-up in a closed day of {done.rows:,} (Parquet)"
    yield Row(what, 1000 * found, "ms", None, "the same request while live", 1000 * looked)
    reader.close()
    archive.close()


def _postgres(path: Path, looked: float, wrote: float) -> Iterator[Row]:
    """The same store on PostgreSQL, where one answers, beside SQLite."""
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


def _write(url: str, reader: TraceReader, like: str, name: str = "new") -> float:
    """Traces a second, all in flight, each durable when its future resolves."""
    trace = reader.get(like)
    assert trace is not None
    writer = TraceWriter(url, queue=20_000)
    started = time.perf_counter()
    futures = [writer.submit(msgspec.structs.replace(trace, request_id=f"{name}-{n:012d}")) for n in range(10_000)]
    for future in futures:
        future.result()
    rate = len(futures) / (time.perf_counter() - started)
    writer.close()
    return rate


def _mlflow(folder: Path) -> tuple[float, float]:
    """MLflow tracing on SQLite, each trace kept when its call returns: (traces a second, seconds a look-up)."""
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
