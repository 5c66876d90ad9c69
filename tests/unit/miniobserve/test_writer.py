"""Group commit: what is acknowledged is kept, what fails says so, and nothing ends the thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from miniobserve.sql.sqlite import SQLite
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, TraceWriter

Make = Callable[..., Trace]
sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def lock_of(writer: TraceWriter) -> Any:
    """What keeps the writer's thread from committing while it is held."""
    return writer._database._lock  # type: ignore[attr-defined]


def test_a_resolved_future_means_another_connection_reads_the_same_trace(
    writer: TraceWriter, url: str, trace: Make
) -> None:
    written = trace("request-1", input="naïve \x00 \u202e text", unit_hash="c" * 64)
    writer.submit(written).result(5)
    assert TraceReader.open(url).get("request-1") == written


def test_a_repeated_request_id_never_overwrites(writer: TraceWriter, url: str, trace: Make) -> None:
    writer.submit(trace("request-1", output="first")).result(5)
    with pytest.raises(Duplicate):
        writer.submit(trace("request-1", output="second")).result(5)
    assert TraceReader.open(url)["request-1"].output == "first"


def test_of_one_id_submitted_by_many_threads_one_is_kept_and_the_others_are_told(
    writer: TraceWriter, url: str, trace: Make
) -> None:
    barrier = threading.Barrier(8)
    futures: list[Future[None]] = []

    def submit(number: int) -> None:
        barrier.wait()
        futures.append(writer.submit(trace("request-1", output=str(number))))

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(futures, 5)
    assert sorted(type(future.exception()).__name__ for future in futures) == ["Duplicate"] * 7 + ["NoneType"]
    assert TraceReader.open(url).list().matched == 1


def test_a_duplicate_is_not_rolled_up_twice(writer: TraceWriter, url: str, trace: Make) -> None:
    futures = [writer.submit(trace(f"request-{number % 5}")) for number in range(20)]
    wait(futures, 5)
    (minute,) = TraceReader.open(url).minutes(0)
    assert minute.n == 5
    assert minute.cost == pytest.approx(5 * 4e-8)


def test_a_writer_that_was_closed_and_opened_again_knows_what_it_kept(url: str, trace: Make) -> None:
    first = TraceWriter(url)
    future = first.submit(trace("request-1"))
    first.close()
    assert future.done(), "closing writes what waits"
    second = TraceWriter(url)
    with pytest.raises(Duplicate):
        second.submit(trace("request-1")).result(5)
    second.submit(trace("request-2")).result(5)
    second.close()
    (minute,) = TraceReader.open(url).minutes(0)
    assert minute.n == 2


def test_after_closing_a_submission_fails_and_does_not_hang(url: str, trace: Make) -> None:
    writer = TraceWriter(url)
    writer.close()
    with pytest.raises(StorageError):
        writer.submit(trace("request-1")).result(5)


def test_the_queue_is_bounded(url: str, trace: Make) -> None:
    writer = TraceWriter(url, queue=3)
    with lock_of(writer):  # the writer's thread cannot commit meanwhile
        futures = [writer.submit(trace(f"request-{number}")) for number in range(10)]
        refused = [future for future in futures if future.done()]
    writer.close()
    assert 6 <= len(refused) <= 7
    assert all(isinstance(future.exception(), StorageError) for future in refused)
    assert TraceReader.open(url).list().matched == 10 - len(refused)


def test_what_comes_shortly_after_a_commit_joins_the_few_that_wait(
    writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    later: list[Future[None]] = []
    write = writer._write
    monkeypatch.setattr(writer, "_write", lambda group, **more: (groups.append(len(group)), write(group, **more)))
    # What the callers do while the writer pauses.
    paused = SimpleNamespace(sleep=lambda _seconds: later.append(writer.submit(trace("request-3"))))
    monkeypatch.setattr("miniobserve.writer.time", paused)
    with lock_of(writer):
        futures = [writer.submit(trace("request-1"))]
        while not groups:
            threading.Event().wait(0.001)
        futures.append(writer.submit(trace("request-2")))
    wait(futures, 5)
    monkeypatch.undo()
    wait(later, 5)
    assert (groups, len(later)) == ([1, 2], 1)


def test_whoever_gave_up_waiting_leaves_no_trace(url: str, trace: Make) -> None:
    writer = TraceWriter(url)
    with lock_of(writer):
        writer.submit(trace("request-0"))  # taken by the thread at once
        while writer._waiting:
            pass
        given_up = writer.submit(trace("request-1"))
        assert given_up.cancel()
    writer.close()
    assert TraceReader.open(url).get("request-1") is None
    assert TraceReader.open(url).get("request-0") is not None


def test_feedback_stands_beside_the_trace_and_the_last_word_counts(writer: TraceWriter, url: str, trace: Make) -> None:
    writer.submit(trace("request-1"))
    assert writer.feedback("request-1", "accepted").result(5) is True
    assert writer.feedback("request-1", "dismissed").result(5) is True
    assert writer.feedback("request-unknown", "dismissed").result(5) is False
    assert TraceReader.open(url)["request-1"].feedback == "dismissed"
    with pytest.raises(ValueError, match="outcome"):
        writer.feedback("request-1", "loved")  # type: ignore[arg-type]


@sqlite_only
def test_a_full_disk_fails_its_group_and_the_writer_goes_on(writer: TraceWriter, url: str, trace: Make) -> None:
    assert isinstance(writer._database, SQLite)
    connection = writer._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 2}")
    futures = [writer.submit(trace(f"request-{number}", input="x" * 3000)) for number in range(40)]
    wait(futures, 10)
    failed = [future.exception() for future in futures if future.exception() is not None]
    assert failed, "the fault did not fire"
    assert all(isinstance(error, StorageError) and error.kind == "unavailable" for error in failed)
    connection.execute("PRAGMA max_page_count=1000000")
    writer.submit(trace("request-after")).result(5)
    kept = {found.request_id for found in TraceReader.open(url).list(limit=100).traces}
    assert kept == {"request-after"} | {f"request-{n}" for n, f in enumerate(futures) if f.exception() is None}


@sqlite_only
def test_a_locked_store_fails_the_future_and_heals(writer: TraceWriter, tmp_path: Path, url: str, trace: Make) -> None:
    assert isinstance(writer._database, SQLite)
    writer._database._connection.execute("PRAGMA busy_timeout=50")
    holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        writer.submit(trace("request-1")).result(5)
    with pytest.raises(StorageError):
        writer.probe().result(5)
    holder.execute("COMMIT")
    holder.close()
    writer.probe().result(5)
    writer.submit(trace("request-1")).result(5)
    assert TraceReader.open(url).get("request-1") is not None


SWALLOWED = {
    "ignored": "CREATE TRIGGER t BEFORE INSERT ON requests WHEN {} BEGIN SELECT RAISE(IGNORE); END",
    "deleted": "CREATE TRIGGER t AFTER INSERT ON requests WHEN {} BEGIN DELETE FROM requests WHERE {}; END",
    "changed": "CREATE TRIGGER t AFTER INSERT ON requests WHEN {} BEGIN UPDATE requests SET arm = 'x' WHERE {}; END",
    "altered": "CREATE TRIGGER t AFTER INSERT ON requests WHEN {} BEGIN UPDATE requests SET cost = 1 WHERE {}; END",
}


@sqlite_only
@pytest.mark.parametrize("how", SWALLOWED)
def test_a_trace_that_a_trigger_swallows_is_not_acknowledged_and_the_others_are(
    writer: TraceWriter, tmp_path: Path, url: str, trace: Make, how: str
) -> None:
    with closing(sqlite3.connect(next(tmp_path.glob("*.db")))) as connection:
        ghost = "request_id LIKE 'ghost%'"
        connection.execute(SWALLOWED[how].format(f"NEW.{ghost}", ghost))
    with lock_of(writer):
        futures = [writer.submit(trace(f"{name}-request")) for name in ("first", "ghost", "other")]
    futures[0].result(5)
    futures[2].result(5)
    with pytest.raises(StorageError, match="does not hold it"):
        futures[1].result(5)
    reader = TraceReader.open(url)
    assert [reader.get(f"{name}-request") is not None for name in ("first", "ghost", "other")] == [True, False, True]
    assert sum(minute.n for minute in reader.minutes(0)) == 2, "nothing of it is counted"


@sqlite_only
def test_feedback_that_a_trigger_swallows_is_not_acknowledged(writer: TraceWriter, tmp_path: Path, trace: Make) -> None:
    writer.submit(trace("request-1")).result(5)
    with closing(sqlite3.connect(next(tmp_path.glob("*.db")))) as connection:
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON feedback BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(StorageError, match="does not hold it"):
        writer.feedback("request-1", "dismissed").result(5)


@sqlite_only
def test_a_store_put_in_its_place_gets_what_is_written_from_then_on(
    writer: TraceWriter, tmp_path: Path, url: str, trace: Make
) -> None:
    writer.submit(trace("request-1")).result(5)
    file = next(tmp_path.glob("*.db"))
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    for name in ("-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    copy.rename(file)
    writer.submit(trace("request-2")).result(5)
    seen = TraceReader.open(url)
    assert [seen.get(name) is not None for name in ("request-1", "request-2")] == [True, True]


def test_a_value_the_driver_cannot_bind_fails_alone(writer: TraceWriter, url: str, trace: Make) -> None:
    with lock_of(writer):  # so that they share a group
        good = [writer.submit(trace(f"request-{number}")) for number in range(5)]
        bad = writer.submit(trace("request-bad", started_ns=2**70))
        more = [writer.submit(trace(f"request-{number}")) for number in range(5, 10)]
    for future in (*good, *more):
        future.result(5)
    assert isinstance(bad.exception(5), OverflowError | ValueError)
    assert TraceReader.open(url).list().matched == 10


def test_a_trace_that_cannot_be_encoded_fails_its_own_future(writer: TraceWriter, trace: Make) -> None:
    assert isinstance(writer.submit(trace("request-1", input="\ud800")).exception(5), ValueError)
    writer.submit(trace("request-2")).result(5)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    path.write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(StorageError) as caught:
        TraceWriter(f"sqlite:///{path}")
    assert caught.value.kind == "damaged"
    assert path.read_bytes().startswith(b"not a database")
