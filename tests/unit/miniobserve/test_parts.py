"""The buckets of a fold hold every request once, whole units together, wherever the requests are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from miniobserve import day_files, parts
from miniobserve.archive import Archive
from miniobserve.columns import FOR_SUMS
from miniobserve.day_files import connected, literal
from miniobserve.export import export_day
from miniobserve.fold import Bucket, Files, fold
from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from observed import DAY_NS, MONDAY_NS, make_trace

MakeTrace = Callable[..., Trace]
MONDAY, TUESDAY = "2026-03-02", "2026-03-03"
EACH = {
    "ids": "SELECT request_id FROM {rows} WHERE started_ns >= $since AND started_ns < $until ORDER BY 1",
    "units": "SELECT coalesce(unit_hash, retry_of, request_id), count(*) FROM {rows} GROUP BY ALL ORDER BY ALL",
}
SPAN = (MONDAY_NS, MONDAY_NS + 3 * DAY_NS)


def fill(writer: TraceWriter, traces: list[Trace]) -> None:
    for future in [writer.submit(trace) for trace in traces]:
        future.result(10)


@pytest.mark.parametrize("most", [1, 4_000_000])
def test_every_request_is_in_one_bucket_with_its_unit(
    writer: TraceWriter, trace: MakeTrace, url: str, folder: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ONE", most)
    monkeypatch.setattr(day_files, "BUCKET_ROWS", 8)
    units = [None, *(f"{n:064x}" for n in range(7))]
    fill(writer, [
        trace(f"request-{n:02}", started_ns=MONDAY_NS + n % 3 * DAY_NS + n, unit_hash=units[n % 8],
              retry_of="request-00" if n == 48 else None)
        for n in range(60)
    ])  # fmt: skip
    archive = Archive(folder)
    export_day(url, archive, MONDAY, prune=True)
    export_day(url, archive, TUESDAY)  # not pruned: the live store answers
    fill(writer, [trace("request-late", started_ns=MONDAY_NS + 5, unit_hash=units[3])])
    reader = TraceReader.open(url, folder)
    buckets = reader.requests.buckets(*SPAN)
    found = fold(buckets, EACH, {"since": SPAN[0], "until": SPAN[1]})
    assert sorted(row[0] for row in found["ids"]) == sorted([*(f"request-{n:02}" for n in range(60)), "request-late"])
    counted = dict(found["units"])
    assert len(counted) == len(found["units"]), "a unit is in one bucket"
    assert (counted[units[3]], counted["request-00"]) == (9, 2)
    assert len(buckets) == (1 if most > 1 else 4)
    assert sum(bucket.rows for bucket in buckets) == pytest.approx(61, abs=4)
    reader.close()


def test_a_request_in_both_places_counts_once(writer: TraceWriter, trace: MakeTrace, url: str, folder: Path) -> None:
    """As after a prune that was cut short."""
    fill(writer, [trace("request-00"), trace("request-01")])
    export_day(url, Archive(folder), MONDAY, prune=True)
    reader = TraceReader.open(url, folder)
    (bucket,) = reader.requests.buckets(*SPAN)
    span = dict(zip(("since", "until"), SPAN, strict=True))
    still_live = bucket._replace(files=tuple(one._replace(without=("request-00",)) for one in bucket.files))
    assert fold([bucket], EACH, span)["ids"] == [("request-00",), ("request-01",)]
    assert fold([still_live], EACH, span)["ids"] == [("request-01",)]
    reader.close()


def test_the_columns_for_sums_are_the_same_wherever_a_request_is(
    writer: TraceWriter, trace: MakeTrace, url: str, folder: Path, tmp_path: Path
) -> None:
    """In the live store, in a closed day, in one of a version that did not write them, and in no file at all."""
    described = [{"verb": 'a"\u202e', "tense": "1"}, {"verb": "go"}]
    kept = [
        trace(f"request-{n}", started_ns=MONDAY_NS + n % 2 * DAY_NS + n, unit_hash=f"{n % 4:064x}" if n % 3 else None,
              retry_of="request-0" if n == 9 else None, features=described[n % 2] if n % 5 else {})
        for n in range(12)
    ]  # fmt: skip
    fill(writer, kept)
    export_day(url, Archive(folder), MONDAY, prune=True)
    reader = TraceReader.open(url, folder)
    (bucket,) = reader.requests.buckets(*SPAN)
    (closed,) = folder.rglob("*.parquet")
    made, earlier, without = tmp_path / "made.parquet", folder.parent / "earlier.parquet", ", ".join(FOR_SUMS)
    connected().execute(f"COPY (SELECT * EXCLUDE ({without}) FROM read_parquet(?)) TO '{made}'", [literal(closed)])
    made.rename(earlier)  # the folder's name has signs that mean something to DuckDB
    live = next(some.files for some in bucket.files if some.files)
    query = {
        "rows": f"SELECT request_id, {without} FROM {{rows}} ORDER BY 1",
        "units": "SELECT count(DISTINCT unit_number), count(*) FILTER (has_unit) FROM {rows}",
    }
    found = fold([bucket], query, {})
    assert found == fold([Bucket((Files((*live, str(earlier))),))], query, {})
    assert found == fold([Bucket(live=tuple(kept))], query, {})
    assert found["units"] == [(4 + 3, 8)], "the retry is of the same unit as the request that it repeats"
    assert {row[1] for row in found["rows"]} >= {"{}", '{"verb":"a\\"\u202e","tense":"1"}'}
    reader.close()


def test_a_query_reads_the_table_that_one_before_it_made_of_its_bucket() -> None:
    table = "CREATE TEMP TABLE kept AS SELECT request_id AS id FROM {rows} WHERE started_ns >= $since"
    queries = {"table": table, "ids": "SELECT id FROM kept ORDER BY id", "number": "SELECT count(*) FROM kept"}
    buckets = [Bucket(live=(make_trace(f"request-{n}"), make_trace(f"request-{n + 2}"))) for n in range(2)]
    found = fold(buckets, queries, {"since": MONDAY_NS})
    assert found["ids"] == [("request-0",), ("request-2",), ("request-1",), ("request-3",)]
    assert found["number"] == [(2,), (2,)]


def test_progress_is_told_and_ends_at_the_whole(writer: TraceWriter, trace: MakeTrace, url: str) -> None:
    fill(writer, [trace("request-00"), trace("request-01", started_ns=MONDAY_NS + DAY_NS)])
    reader, seen = TraceReader.open(url), []
    reader.requests.buckets(*SPAN, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    reader.close()


CLUSTER = """
import ray, sys
from miniobserve.fold import fold
from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from pathlib import Path
url, folder, since, until, sql = sys.argv[1:]
span = {"since": int(since), "until": int(until)}
reader = TraceReader.open(url, Path(folder))
buckets = reader.requests.buckets(*span.values())
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
queries = {"table": f"CREATE TEMP TABLE kept AS {sql}", "ids": "SELECT * FROM kept ORDER BY 1"}
print(fold(buckets, queries, span, engine="ray://auto") == fold(buckets, queries, span))
try:
    fold(buckets, {"ids": "SELECT nothing FROM {rows}"}, span, engine="ray://auto")
except StorageError as error:
    print(error.kind)
"""


@pytest.mark.long
def test_a_ray_cluster_gives_the_same_rows(writer: TraceWriter, trace: MakeTrace, url: str, folder: Path) -> None:
    pytest.importorskip("ray")
    if url.startswith("postgresql"):
        pytest.skip("the files are the same whatever store they were made from")
    fill(writer, [trace(f"request-{n}", started_ns=MONDAY_NS + n % 2 * DAY_NS) for n in range(6)])
    export_day(url, Archive(folder), MONDAY, prune=True)
    given = [url, str(folder), *map(str, SPAN), EACH["ids"]]
    done = subprocess.run([sys.executable, "-c", CLUSTER, *given], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\ndamaged\n", done.stderr


def test_an_engine_that_cannot_be_used_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StorageError, match="needs Ray") as raised:
        fold([Bucket()], EACH, {"since": 0, "until": 1}, engine="ray://head:10001")
    assert "modelspine[ray]" in raised.value.hint
