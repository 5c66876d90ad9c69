"""Traces of the version before ``workers``: the live store and closed days are read as before, and 1 is taken."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cost_requests import entry
from miniobserve.archive import Archive
from miniobserve.closed_check import checked_day
from miniobserve.export import export_day
from miniobserve.fold import fold
from miniobserve.reader import TraceReader
from miniobserve.sql.open import connect
from miniobserve.transfer import transfer
from miniobserve.writer import TraceWriter
from modelspine.cost.figures import EntryCost, costs
from modelspine.cost.format import notes
from modelspine.cost.meter import merged
from modelspine.cost.partial import QUERIES
from observed import DAY_NS, MONDAY_NS, make_trace

FIXTURE = Path(__file__).parents[3] / "fixtures" / "traces-2"
SHA, EVER = "e" * 64, (0, 2**63 - 1)
DAY = "2026-03-02"


@pytest.fixture
def store(tmp_path: Path) -> str:
    (tmp_path / "store.db").write_bytes(gzip.decompress((FIXTURE / "store.db.gz").read_bytes()))
    shutil.copytree(FIXTURE / "parquet", tmp_path / "parquet")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def reader(store: str, tmp_path: Path) -> Iterator[TraceReader]:
    opened = TraceReader.open(store, tmp_path / "parquet")
    yield opened
    opened.close()


def figures(reader: TraceReader) -> EntryCost:
    buckets = reader.requests.buckets(*EVER)
    totals = merged(fold(buckets, QUERIES, {"since": EVER[0], "until": EVER[1]}))
    return costs([entry(SHA, 900)], totals)[0][0]


def test_older_requests_are_read_from_both_places(reader: TraceReader) -> None:
    found = [reader[f"request-{number:02}"] for number in range(20)]
    assert {trace.workers for trace in found} == {None}
    assert len(reader.list(limit=100).traces) == 20
    cost = figures(reader)
    assert (cost.priced, cost.workers, cost.workers_unknown) == (20, 1, 20)
    assert cost.cost == pytest.approx(sum(trace.cost or 0.0 for trace in found))
    assert any("20 older traces without the number of workers, which is taken as 1" in note for note in notes(cost))


def test_newer_requests_stand_beside_older_ones_of_the_same_days(
    store: str, reader: TraceReader, tmp_path: Path
) -> None:
    """Also in one closed day, of which some files have the column and others have not."""
    writer = TraceWriter(store, archive=tmp_path / "parquet")
    for number in (0, 1):
        stages = {"decode": 0.72}
        newer = make_trace(
            f"request-new-{number}", started_ns=MONDAY_NS + number * DAY_NS + 1, stages=stages, cost=5e-6,
            rate_per_hour=0.05, workers=2, price_version="2026-01", priced_by="busy/1", unit_hash="a" * 64,
        )  # fmt: skip
        writer.submit(newer).result(5)
    writer.close()
    archive = Archive(tmp_path / "parquet")
    export_day(store, archive, DAY, prune=True)
    assert checked_day(archive, DAY) == []
    assert [reader[f"request-new-{number}"].workers for number in (0, 1)] == [2, 2]
    assert reader["request-03"].workers is None
    cost = figures(reader)
    assert [(basis.workers, basis.priced, basis.workers_unknown) for basis in cost.bases] == [(1, 20, 20), (2, 2, 0)]
    assert cost.bases[1].unexplained == pytest.approx(0, abs=1e-9)


def test_an_older_store_takes_feedback(store: str, tmp_path: Path) -> None:
    """Its table of feedback has a column that nothing fills any more, and an index that holds it."""
    writer = TraceWriter(store, archive=tmp_path / "parquet")
    assert [writer.feedback(f"request-{number}", "dismissed").result(5) for number in ("03", "13")] == [True, True]
    writer.close()


def test_an_older_store_on_postgresql_takes_feedback(postgres_url: str) -> None:
    TraceWriter(postgres_url).close()
    database = connect(postgres_url)
    database.script(
        (
            "ALTER TABLE feedback ADD COLUMN filed INTEGER NOT NULL",
            "DROP INDEX feedback_day",
            "CREATE INDEX feedback_day ON feedback (day, filed)",
        )
    )
    writer = TraceWriter(postgres_url)
    writer.submit(make_trace("request-new-1")).result(5)
    assert writer.feedback("request-new-1", "dismissed").result(5) is True
    writer.close()
    definition = database.read("SELECT indexdef FROM pg_indexes WHERE indexname = 'feedback_day'")[0][0]
    database.close()
    assert "(day, at_ns)" in definition


def test_an_older_store_is_copied_whole(store: str, tmp_path: Path) -> None:
    target = connect(f"sqlite:///{tmp_path / 'copy.db'}", create=True)
    assert transfer(connect(store, readonly=True), target) == 10
    target.close()
    copy = TraceReader.open(f"sqlite:///{tmp_path / 'copy.db'}")
    assert copy["request-12"].workers is None
    copy.close()
