"""Runs a report's sums with DuckDB, polars or Evidently alone, on the same Parquet files; prints seconds as JSON.

python bench/reports_peers.py duckdb|polars|evidently cost|drift|route FILES BEFORE
FILES and BEFORE are globs of Parquet files, of the day and of the day before.
"""

from __future__ import annotations

import glob
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from peak_memory import peak_mb

SQL = {
    "cost": "SELECT entry_sha, price_version, count(*), sum(input_tokens + output_tokens), sum(cost), sum(busy)"
    " FROM read_parquet(?) GROUP BY ALL",
    "drift": "SELECT e.key, e.value, count(*) FROM (SELECT unnest(map_entries(categories)) AS e FROM read_parquet(?))"
    " GROUP BY ALL",
    "route": "SELECT arm, u, count(*), sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END), sum(seconds), count(graded),"
    " sum(graded::INTEGER) FROM read_parquet(?) GROUP BY ALL",
}  # fmt: skip


def duckdb_alone(what: str, files: str, _before: str) -> Callable[[], Any]:
    """The sums in SQL."""
    import duckdb

    connection = duckdb.connect()
    return lambda: connection.execute(SQL[what], [files]).fetchall()


def polars_alone(what: str, files: str, _before: str) -> Callable[[], Any]:
    """The sums as a lazy frame, collected by the streaming engine."""
    import polars as pl

    def found() -> Any:
        frame = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
        if what == "cost":
            sums = frame.group_by("entry_sha", "price_version").agg(
                pl.len(), (pl.col("input_tokens") + pl.col("output_tokens")).sum(), pl.col("cost").sum(),
                pl.col("busy").sum(),
            )  # fmt: skip
        elif what == "drift":
            each = frame.select(pl.col("categories")).explode("categories").unnest("categories")
            sums = each.group_by("key", "value").len()
        else:
            sums = frame.group_by("arm", "u").agg(
                pl.len(), (pl.col("status") >= 500).sum(), pl.col("seconds").sum(), pl.col("graded").count(),
                pl.col("graded").sum().alias("right"),
            )  # fmt: skip
        return sums.collect(engine="streaming")

    return found


def evidently_alone(what: str, files: str, before: str) -> Callable[[], Any]:
    """The PSI of the values; both frames are made before the clock starts."""
    assert what == "drift"
    import duckdb
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = ("verb", "tense_person", "label")
    columns = ", ".join(f"categories['{name}'] AS {name}" for name in names)
    definition = DataDefinition(categorical_columns=list(names))
    sets = []
    for given in (files, before):
        rows = duckdb.execute(f"SELECT {columns} FROM read_parquet(?)", [given]).fetchall()
        sets.append(Dataset.from_pandas(pd.DataFrame(rows, columns=list(names)), data_definition=definition))
    report = Report([DataDriftPreset(cat_method="psi")])
    return lambda: report.run(*sets).dict()


PEERS = {"duckdb": duckdb_alone, "polars": polars_alone, "evidently": evidently_alone}


def main(words: list[str]) -> None:
    """Run the peer twice and print the second run, as Spine's is."""
    peer, what, files, before = words
    assert glob.glob(files)  # noqa: PTH207 -- DuckDB's pattern
    call = PEERS[peer](what, files, before)
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({**took, "memory": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1:])
