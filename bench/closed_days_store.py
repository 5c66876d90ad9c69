"""Writes closed days of many requests for the bench: Parquet files made by DuckDB alone, and their manifest.

Each request of the live store's copies becomes several, with ids, learners and times of their own.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path

from miniobserve import manifests
from miniobserve.columns import COLUMNS, COMPUTED, STORED
from miniobserve.day_files import ROW_GROUP, buckets_for, connected
from miniobserve.days import date_of
from miniobserve.fold import BUCKET
from miniobserve.manifests import Manifest, Part, Totals
from miniobserve.objects import open_objects
from miniobserve.schema import DAY_NS


def make(slices: list[str], days: Path, rows: int, number: int) -> str:
    """Write one closed day with about so many rows, ``number`` in days since 1970, and return its name."""
    connection = connected()
    connection.execute("SET memory_limit = '6GB'; SET preserve_insertion_order = false")
    source = f"read_parquet({slices!r}, union_by_name = true)"
    held = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
    day, buckets, copies = date_of(number), buckets_for(rows), max(1, round(rows / held))
    known = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    made = {
        "request_id": f"printf('%012x', (({number} * {DAY_NS} + started_ns % {DAY_NS}) // 1000000)::BIGINT)"
        " || md5(request_id || copy)[:20]",
        "started_ns": f"{number} * {DAY_NS} + started_ns % {DAY_NS}",
        "unit_hash": "CASE WHEN unit_hash IS NOT NULL THEN md5(unit_hash || copy) || md5(copy || unit_hash) END",
        "u": "md5(u || copy)[:16]",
    }  # fmt: skip
    texts = ("feedback", "tester", "retry_of", "shadow_of", "error", "unit", "output", "input_sha256")
    constant = {"stages": "MAP {}", "fields": "'{}'"} | dict.fromkeys(texts, "NULL")
    columns = ", ".join(
        f"({made.get(name) or (name if name in known else constant.get(name, '0'))})::{kind} AS {name}"
        for name, kind in STORED.items()
    )
    computed = ", ".join(f"({COMPUTED[name]})::{COLUMNS[name]} AS {name}" for name in COMPUTED)
    folder = days / "made"
    days.mkdir(parents=True, exist_ok=True)
    query = (
        f"SELECT *, {computed}, {BUCKET} % {buckets} AS bucket"
        f" FROM (SELECT {columns} FROM (SELECT *, unnest(range({copies}))::VARCHAR AS copy FROM {source}))"
    )
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, PARTITION_BY (bucket)"
    connection.execute(f"COPY ({query}) TO '{folder}' ({options})")
    parts, totals = [], Totals()
    for file in sorted(folder.glob("bucket=*/*.parquet")):
        part, own = _part(connection, file, day, int(file.parent.name.partition("=")[2]))
        target = days / part.path
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        parts.append(part)
        totals += own
    shutil.rmtree(folder)
    now = time.time_ns()
    manifest = Manifest(
        day=day, n=1, created_ns=now, feedback_ns=now, buckets=buckets, totals=totals, parts=tuple(parts)
    )
    assert manifests.put(open_objects(days), manifest)
    return day


def _part(connection, file: Path, day: str, bucket: int) -> tuple[Part, Totals]:  # type: ignore[no-untyped-def]
    first_id, last_id, first, last, rows, failed, priced, cost, seconds, read, written = connection.execute(
        "SELECT min(request_id), max(request_id), min(started_ns), max(started_ns), count(*),"
        " count(*) FILTER (status >= 500), count(cost), sum(cost), sum(seconds), sum(input_tokens)::BIGINT,"
        f" sum(output_tokens)::BIGINT FROM '{file}'"
    ).fetchall()[0]
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    part = Part(
        path=manifests.part_key(day, "bench", bucket, sha256), bytes=file.stat().st_size, sha256=sha256, rows=rows,
        service="bench", bucket=bucket, first_id=first_id, last_id=last_id, first_ns=first, last_ns=last,
    )  # fmt: skip
    return part, Totals(
        rows=rows, failed=failed, priced=priced, cost=cost, seconds=seconds, input_tokens=read, output_tokens=written
    )


if __name__ == "__main__":
    print(make(sys.argv[4:], Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
