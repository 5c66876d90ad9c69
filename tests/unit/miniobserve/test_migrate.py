"""A store of the version before: every figure as that version told it, after a kill at any point too."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve import migrate as module
from miniobserve.archive import Archive
from miniobserve.migrate import Migrated, migrate
from miniobserve.old_days import convert_days
from miniobserve.reader import TraceReader
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, TraceWriter

FIXTURE = Path(__file__).parents[2] / "fixtures" / "traces-1"
EXPECTED = json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8"))
DONE = Migrated(requests=53, feedback=16, closed_days=1, unreadable=())


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The folder of the day that was closed and pruned."""
    shutil.copytree(FIXTURE / "parquet", tmp_path / "parquet")
    return tmp_path / "parquet"


@pytest.fixture
def old(url: str, tmp_path: Path) -> str:
    """A copy of the store, also on PostgreSQL."""
    file = tmp_path / "store.db"
    file.write_bytes(gzip.decompress((FIXTURE / "store.db.gz").read_bytes()))
    if url.startswith("sqlite"):
        return url
    source, target = sqlite3.connect(file), connect(url, create=True)
    made = source.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC").fetchall()
    target.script([sql for _, sql in made])
    for name, sql in made:
        if sql.startswith("CREATE TABLE") and (rows := source.execute(f"SELECT * FROM {name}").fetchall()):
            with target.transaction() as tx:
                tx.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' for _ in rows[0])})", rows)
    source.close()
    target.close()
    return url


def said(url: str, folder: Path) -> Any:
    """What ``make.py`` of the fixture asked the readers of its version."""
    reader = TraceReader.open(url, folder)
    evidence = reader.evidence
    found = {
        "minutes": reader.minutes(0), "usage": {sha: reader.usage(sha * 64) for sha in "ef"},
        "answered": reader.requests.answered(2**63 - 1), "count": reader.requests.count(0, 2**63 - 1),
        "testers": {epoch: reader.tester_requests(epoch) for epoch in (8, 9)},
        "units": {epoch: sorted(evidence.units(epoch)) for epoch in (8, 9)},
        "copies": {epoch: sorted(evidence.units(epoch, copies=True)) for epoch in (8, 9)},
        "said": {epoch: sorted(evidence.said(epoch)) for epoch in (8, 9)},
        "latencies": {epoch: evidence.latencies(epoch) for epoch in (8, 9)},
        "pairs": {epoch: sorted(evidence.pairs(epoch)) for epoch in (8, 9)},
        "span": {epoch: evidence.span(epoch) for epoch in (8, 9)},
        "feedback": dict(sorted(reader._database.read("SELECT request_id, outcome FROM feedback"))),
    }  # fmt: skip
    reader.close()
    return rounded(json.loads(msgspec.json.encode(found)))


def rounded(value: Any) -> Any:
    """Without what the order of adding leaves in sums."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return {name: rounded(each) for name, each in value.items()} if isinstance(value, dict) else value


def test_an_old_store_tells_the_same_figures_and_its_fields_have_their_new_names(
    old: str, closed: Path, trace: Callable[..., Trace]
) -> None:
    for refused in (lambda: TraceReader.open(old), lambda: TraceWriter(old)):
        with pytest.raises(StorageError, match="earlier version") as caught:
            refused()
        assert "spine migrate" in caught.value.hint
    assert migrate(old, closed) == DONE
    assert migrate(old, closed) is None
    assert said(old, closed) == rounded(EXPECTED)
    reader = TraceReader.open(old, closed)
    for name, number in (("request-025", 25), ("request-044", 44), ("request-004", 4)):
        found = reader[name]
        assert (found.input, found.output) == (f"Yesterday he goed {number}.\0 naïve", f"Yesterday he went {number}.")
        assert (found.unit_hash, found.accepted) == (f"{number % 7:064x}", [None, True, False][number % 3])
    reader.close()
    with TraceWriterOpen(old, closed) as writer:
        for used in ("request-001", "request-025", f"{1_772_409_600_000:012x}{0:020x}"):
            with pytest.raises(Duplicate):
                writer.submit(trace(used)).result(5)
        assert writer.feedback("request-001", "revised").result(5) is True


class TraceWriterOpen:
    """A writer that is closed in the end."""

    def __init__(self, url: str, folder: Path) -> None:
        self.writer = TraceWriter(url, archive=folder)

    def __enter__(self) -> TraceWriter:
        return self.writer

    def __exit__(self, *_: object) -> None:
        self.writer.close()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("checked", [True, False])
def test_what_is_killed_anywhere_loses_nothing_and_goes_on(
    old: str, closed: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    """The twin that takes every request to be copied drops those that were not."""
    monkeypatch.setattr(module, "_PAGE", 7)
    fired = []

    def kill_at(number: int) -> Callable[..., None]:
        calls = []

        def step(*_: Any) -> None:
            calls.append(1)
            if len(calls) == number:
                fired.append(number)
                raise Killed

        return step

    for number in (1, 2, 3, 5):
        with pytest.raises(Killed):
            migrate(old, closed, step=kill_at(number))
        with pytest.raises(StorageError, match="earlier version"):
            TraceReader.open(old)
    assert fired == [1, 2, 3, 5]
    if not checked:
        monkeypatch.setattr(module, "_MISSING", "SELECT 1 WHERE 1 = 0")
        database = connect(old)
        with database.transaction() as tx:
            tx.execute("DELETE FROM requests WHERE request_id = 'request-025'")  # as if it came in meanwhile
        database.close()
    done = migrate(old, closed)
    assert (done == DONE) is checked
    assert (said(old, closed) == rounded(EXPECTED)) is checked


def test_without_the_file_of_a_closed_day_nothing_is_dropped(old: str, tmp_path: Path, closed: Path) -> None:
    with pytest.raises(StorageError, match="2026-03-02"):
        migrate(old, tmp_path / "elsewhere")
    done = migrate(old, tmp_path / "elsewhere", without_closed_days=True)
    assert done is not None
    assert (done.requests, done.closed_days) == (53, 1)


def test_what_cannot_be_decoded_is_kept_and_named(old: str, closed: Path) -> None:
    database = connect(old)
    with database.transaction() as tx:
        tx.execute("UPDATE bodies SET body = '{' WHERE request_id = 'request-025'")
    done = migrate(old, closed)
    assert done is not None
    assert (done.requests, done.unreadable) == (52, ("request-025",))
    assert database.read("SELECT body FROM unreadable") == [("{",)]
    database.close()


def test_the_traces_of_an_old_file_have_their_new_names(closed: Path) -> None:
    archive = Archive(closed)
    convert_days(archive)
    found = {trace.request_id: trace for trace in archive.some(["2026-03-02"], "true", ())}
    archive.close()
    assert found["request-002"].input == "Yesterday he goed 2.\0 naïve"
    assert found["request-002"].feedback == "revised"
    assert found["request-002"].unit_hash == f"{2:064x}"
