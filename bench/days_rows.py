"""Bench group days: closing a day of many requests, in seconds and peak memory, next to DuckDB alone.

DuckDB alone copies the same rows, which are typed already, and reads nothing back. Spine reads the live store, builds
the rows, compares them with the file, and hashes it. There are 300,000 requests, or what the variable DAY_ROWS says.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row

from miniobserve.rows import request_row
from miniobserve.schema import COLUMNS, DAY_NS
from miniobserve.sql.open import connect
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter

DAY, NUMBER = "2026-03-02", 20_514
COUNT = int(os.environ.get("DAY_ROWS", "300000"))
_PAGE = 10_000

_CLOSE = """
import json, sys, time
from miniobserve.archive import Archive
from miniobserve.export import export_day
from peak_memory import peak_mb
began = time.perf_counter()
done = export_day(sys.argv[1], Archive(sys.argv[2]), sys.argv[3], prune=len(sys.argv) > 4)
print(json.dumps([time.perf_counter() - began, peak_mb(), done.bytes]))
"""
_COPY = """
import json, sys, time
import duckdb
from peak_memory import peak_mb
connection = duckdb.connect()
began = time.perf_counter()
query = "COPY (SELECT * FROM read_parquet(?)) TO '" + sys.argv[2] + "' (FORMAT parquet, COMPRESSION zstd)"
connection.execute(query, [sys.argv[1]]).fetchall()
print(json.dumps([time.perf_counter() - began, peak_mb(), 0]))
"""


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        url, days = f"sqlite:///{folder}/traces.db", Path(folder) / "days"
        make(url, COUNT)
        took, memory, size = child(_CLOSE, url, str(days), DAY)
        copied, copied_memory, _ = child(_COPY, f"{days}/*/*/*/*.parquet", f"{folder}/copy.parquet")
        yield Row(f"closing a day of {COUNT:,} requests", took, "s", None, "DuckDB copies the typed rows", copied)
        yield Row("peak memory of it", memory, "MB", 1000, "DuckDB copies the typed rows", copied_memory)
        yield Row("a closed request", size / COUNT, "B", None, "", None)
        took, memory, _ = child(_CLOSE, url, str(days), DAY, "prune")
        yield Row("comparing the day again, and pruning it", took, "s", None, "", None)


def child(code: str, *words: str) -> tuple[float, float, int]:
    """Run code in a process of its own, whose last line says seconds, megabytes and bytes."""
    command, here = [sys.executable, "-c", code, *words], Path(__file__).parent
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=here)
    seconds, memory, size = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory, size


def make(url: str, count: int) -> None:
    """Make a live store with one day of requests from a sixth as many learners."""
    TraceWriter(url).close()
    database, random_ = connect(url), random.Random(1)
    words = [f"word{number}" for number in range(3_000)]
    for first in range(0, count, _PAGE):
        numbers = range(first, min(first + _PAGE, count))
        some = [request_row(_trace(random_, words, number, count)) for number in numbers]
        with database.transaction() as tx:
            tx.insert("requests", COLUMNS, some)
    database.close()


def _trace(random_: random.Random, words: list[str], number: int, count: int) -> Trace:
    started = NUMBER * DAY_NS + number * (DAY_NS // count)
    unit, text = f"{random_.randrange(count // 6 + 1):016x}", " ".join(random_.choices(words, k=9))
    spent = {stage: random_.random() / 100 for stage in ("queue", "tokenize", "prefill", "decode", "format", "other")}
    return Trace(
        request_id=f"{started // 10**6:012x}{random_.getrandbits(80):020x}",
        trace_id=f"{random_.getrandbits(128):032x}",
        span_id=f"{random_.getrandbits(64):016x}", started_ns=started, entry_sha="e" * 64, intended_sha="e" * 64,
        semver="v0.1.0",
        assignment=Assignment(
            strategy="canary", epoch=3, salt="3", arm="canary" if number % 10 else "stable", bucket=number % 10_000,
            sticky=True, u=unit,
        ),
        unit_hash=unit * 4, input=text, output=text[::-1], accepted=False, graded=True,
        features={"verb": words[number % 50], "tense": "past_simple", "length": str(number % 12)},
        values={"verb": words[number % 50], "length": 9.0, "words": text.split()}, values_by="0" * 16,
        fields={"score": random_.random()}, stages=spent, seconds=random_.random() / 10, input_tokens=20,
        output_tokens=22, cost=random_.random() * 1e-6, rate_per_hour=0.05, price_version="2026-01", priced_by="busy/1",
    )  # fmt: skip
