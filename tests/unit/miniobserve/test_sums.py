"""Sums made apart from the commits: exact after a kill at any point; and ids of which one of two writers keeps one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from miniobserve import rollup
from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.kept import claim
from miniobserve.prune import delete_day
from miniobserve.reader import TraceReader
from miniobserve.rollup import roll_up
from miniobserve.rows import request_row
from miniobserve.schema import COLUMNS, MINUTE_NS
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import Duplicate, TraceWriter
from observed import DAY_NS, MONDAY_NS

Make = Callable[..., Trace]
WRITES = """
import sys, msgspec
from miniobserve import rollup
from miniobserve.writer import TraceWriter
from observed import MONDAY_NS, make_trace
rollup.EVERY_SECONDS = 0.005
rollup._ROWS_AT_ONCE, rollup._PAUSE_SECONDS = 5, 0.0001
url, first = sys.argv[1], int(sys.argv[2])
writer = TraceWriter(url)
for number in range(first, first + 100_000):
    given = msgspec.structs.replace(make_trace("x").assignment, u=f"{number % 5:016x}", sticky=number % 3 > 0)
    made = make_trace(f"request-{number:07}", started_ns=MONDAY_NS + number % 40 * 3 * 10**9, assignment=given)
    writer.submit(made).result()
    print(made.request_id, flush=True)
"""


def is_exact(url: str) -> bool:
    """Whether every sum is that of a full recount, both as readers tell it and as it was made."""
    reader = TraceReader.open(url)
    traces = [trace for day in reader.days("2100-01-01") for trace in reader.day_traces(day)]
    by_minute = Counter(trace.started_ns // MINUTE_NS for trace in traces)
    told = {minute.minute_ns // MINUTE_NS: minute.n for minute in reader.minutes(0)}
    seconds = sum(minute.seconds for minute in reader.minutes(0))
    units = Counter((t.assignment.arm, t.assignment.u if t.assignment.sticky else f"~{t.assignment.u}") for t in traces)
    told_units = {(unit.arm, unit.u): unit.n for unit in reader.evidence.units(3)}
    database = reader._database
    touched = {row[0] for row in database.read("SELECT minute FROM touched")}
    made = {m: int(n) for m, n in database.read("SELECT minute, SUM(n) FROM sums GROUP BY minute") if m not in touched}
    reader.close()
    return (
        told == by_minute
        and abs(seconds - sum(trace.seconds for trace in traces)) < 1e-9 * len(traces) + 1e-12
        and told_units == units
        and made == {minute: n for minute, n in by_minute.items() if minute not in touched}
    )


@pytest.mark.long
def test_a_writer_killed_at_any_point_leaves_sums_that_a_full_recount_gives(url: str, tmp_path: Path) -> None:
    draw, acknowledged, killed = random.Random(4), list[str](), 0
    for round_ in range(4):
        command = [sys.executable, "-c", WRITES, url, str(round_ * 100_000)]
        paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as child:
            assert child.stdout is not None
            for _ in range(draw.randrange(20, 150)):
                acknowledged.append(child.stdout.readline().strip())
            child.kill()
            acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
        killed += child.returncode == -9
        assert is_exact(url)
    assert killed == 4, "the fault did not fire"
    reader = TraceReader.open(url)
    assert all(reader.get(name) is not None for name in acknowledged[::7])
    made = reader._database.read("SELECT COUNT(*) FROM sums")[0][0]
    reader.close()
    assert made, "no sum was made meanwhile"
    TraceWriter(url).close()
    assert is_exact(url)


@pytest.fixture
def database(url: str, writer: TraceWriter) -> Iterator[Database]:
    opened = connect(url)
    yield opened
    opened.close()


@pytest.mark.parametrize("replaces", [True, False])
def test_a_minute_that_is_made_again_is_replaced(
    url: str, writer: TraceWriter, database: Database, trace: Make, monkeypatch: pytest.MonkeyPatch, replaces: bool
) -> None:
    """The twin adds what it summed, and counts the first requests of the minute twice."""
    if not replaces:
        monkeypatch.setattr(rollup, "_replace", _add)
    monkeypatch.setattr(rollup, "EVERY_SECONDS", 3_600)
    for number in range(6):
        writer.submit(trace(f"request-{number}", started_ns=MONDAY_NS + number)).result(5)
        if number % 2:
            roll_up(database, database)
    assert is_exact(url) is replaces


def _add(writes: Database, touches: Any, sums: Any, units: Any) -> int:
    with writes.transaction() as tx:
        for minute in touches:
            tx.execute("DELETE FROM touched WHERE minute = ?", (minute,))
        for row in sums:
            if tx.execute("SELECT 1 FROM sums WHERE minute = ?", (row[0],)):
                tx.execute("UPDATE sums SET n = n + ? WHERE minute = ?", (row[3], row[0]))
            else:
                rollup._insert(tx, "sums", rollup.MINUTE_COLUMNS, [row])
    return len(touches)


@pytest.mark.parametrize("first", ["the commit", "the other's sums"])
def test_sums_that_another_process_made_meanwhile_are_not_replaced_by_older_ones(
    first: str, url: str, writer: TraceWriter, database: Database, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, fired = rollup._replace, []

    def late(writes: Database, *older: Any) -> int:
        monkeypatch.setattr(rollup, "_replace", replace)
        if first == "the other's sums":  # the touch of the commit behind them is not taken for the one they deleted
            assert roll_up(database, database) == 1
        writer.submit(trace("request-2", started_ns=MONDAY_NS + 1)).result(5)
        if first == "the commit":
            assert roll_up(database, database) == 1
        fired.append(1)
        return replace(writes, *older)

    monkeypatch.setattr(rollup, "EVERY_SECONDS", 3_600)
    monkeypatch.setattr(rollup, "_replace", late)
    writer.submit(trace("request-1", started_ns=MONDAY_NS)).result(5)
    assert roll_up(database, database) == 0
    assert fired
    assert is_exact(url)


@pytest.mark.parametrize(
    ("between", "made"),
    [
        ("nothing", 1),
        ("a commit", 2),
        ("another process", 0),
        ("both", 0),
        ("another's first part", 0),
        ("a crash", None),
    ],
)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_many_units_are_written_in_parts_between_which_traces_are_committed_and_nobody_reads_half_of_them(
    url: str,
    writer: TraceWriter,
    database: Database,
    trace: Make,
    monkeypatch: pytest.MonkeyPatch,
    between: str,
    made: int | None,
) -> None:
    monkeypatch.setattr(rollup, "EVERY_SECONDS", 3_600)
    monkeypatch.setattr(rollup, "_ROWS_AT_ONCE", 2)
    ids = [f"request-{number}" for number in range(7)]
    for number, name in enumerate(ids):
        own = Assignment(strategy="single", epoch=3, salt="3", arm="stable", bucket=1, sticky=False, u=f"{number:016x}")
        writer.submit(trace(name, started_ns=MONDAY_NS + number, assignment=own)).result(5)
    pauses: list[bool] = []
    another: list[int] = []

    def pause(_seconds: float) -> None:
        pauses.append(is_exact(url))
        if another:
            raise KeyboardInterrupt
        if len(pauses) == 3 and between == "another's first part":  # it deletes the two parts that are written
            another.append(1)
            with pytest.raises(KeyboardInterrupt):
                roll_up(database, database)
            another.clear()
        if len(pauses) == 1 and between in ("a commit", "both"):
            writer.submit(trace("request-late", started_ns=MONDAY_NS + 8)).result(5)
        if len(pauses) == 1 and between in ("another process", "both"):
            monkeypatch.setattr(rollup, "_ROWS_AT_ONCE", 100)
            assert roll_up(database, database) == 1
            monkeypatch.setattr(rollup, "_ROWS_AT_ONCE", 2)
        if len(pauses) == 1 and between == "a crash":
            raise KeyboardInterrupt
        pauses.append(is_exact(url))

    monkeypatch.setattr("miniobserve.rollup.time", SimpleNamespace(sleep=pause))
    if made is None:
        with pytest.raises(KeyboardInterrupt):
            roll_up(database, database)
    else:
        assert roll_up(database, database) == made
    assert pauses
    assert all(pauses)
    assert is_exact(url)
    monkeypatch.setattr(rollup, "_ROWS_AT_ONCE", 100)
    assert roll_up(database, database) == (1 if between in ("a crash", "another's first part") else 0)
    assert is_exact(url)
    assert database.read("SELECT COUNT(*) FROM touched") == [(0,)]
    assert database.read("SELECT SUM(n) FROM sums") == [(8 if between in ("a commit", "both") else 7,)]


# ids ---------------------------------------------------------------------------------------------------------

MIDNIGHT = MONDAY_NS + DAY_NS
OF_MONDAY = f"{(MIDNIGHT - 10**9) // 10**6:012x}{'7' * 20}"
"""An id that carries the day before midnight."""


@pytest.mark.parametrize("request_id", ["a.callers-own-id", OF_MONDAY])
@pytest.mark.parametrize("locks", [True, False])
def test_of_one_id_on_both_sides_of_midnight_one_is_kept(
    postgres_url: str, trace: Make, monkeypatch: pytest.MonkeyPatch, request_id: str, locks: bool
) -> None:
    """The twin without the locks keeps both: each transaction looks before the other commits."""
    TraceWriter(postgres_url).close()
    one, other = connect(postgres_url), connect(postgres_url)
    rows = [request_row(trace(request_id, started_ns=MIDNIGHT + shift)) for shift in (-1, 1)]
    for row in rows:
        one.partition("requests", row[1])
    if not locks:
        monkeypatch.setattr(type(one), "lock", lambda *_, **__: None)
    kept, looked = [], threading.Event()

    def second() -> None:
        with other.transaction() as tx:
            used = claim(tx, [rows[1][:2]])
            looked.set()
            if not used:
                tx.insert("requests", COLUMNS, [rows[1]])
                kept.append("second")

    with one.transaction() as tx:
        assert claim(tx, [rows[0][:2]]) == set()
        tx.insert("requests", COLUMNS, [rows[0]])
        kept.append("first")
        thread = threading.Thread(target=second)
        thread.start()
        assert looked.wait(0.5) is not locks, "it waits for the first to commit"
    thread.join()
    assert kept == (["first"] if locks else ["first", "second"])
    one.close()
    other.close()


def test_two_writers_across_midnight_give_each_id_once(postgres_url: str, trace: Make) -> None:
    writers = [TraceWriter(postgres_url) for _ in range(2)]
    ids = [f"callers-own-{number}" for number in range(40)]
    ids += [f"{(MIDNIGHT - 10**9) // 10**6:012x}{number:020x}" for number in range(40)]
    sides = list(zip(writers, (MIDNIGHT - 1, MIDNIGHT + 1), strict=True))
    futures = [[each.submit(trace(name, started_ns=at)) for each, at in sides] for name in ids]
    found = [sorted(type(future.exception(20)).__name__ for future in pair) for pair in futures]
    assert found == [["Duplicate", "NoneType"]] * 80
    for each in writers:
        each.close()
    reader = TraceReader.open(postgres_url)
    assert reader.list(limit=1).matched == 80
    reader.close()


def test_a_day_leaves_the_store_whole_or_not_at_all(
    url: str, writer: TraceWriter, database: Database, trace: Make
) -> None:
    tester = Assignment(strategy="single", epoch=7, salt="3", arm="stable", bucket=1, sticky=False, u="1" * 16)
    ids = ["request-1", OF_MONDAY, f"{MIDNIGHT // 10**6:012x}{'5' * 20}"]
    for name in ids:
        writer.submit(trace(name, assignment=tester)).result(5)
    writer.submit(trace("request-2", started_ns=MIDNIGHT)).result(5)
    reader = TraceReader.open(url)
    before = reader.minutes(0)
    day = MONDAY_NS // DAY_NS
    assert not delete_day(database, day, 2), "one more came in than the file holds"
    assert reader.list().matched == 4
    assert delete_day(database, day, 3)
    assert reader.list().matched == 1
    assert reader.minutes(0) == before
    assert database.read("SELECT day, first_epoch, last_epoch FROM pruned") == [(day, 7, 7)]
    for name in ids:
        with pytest.raises(Duplicate):
            writer.submit(trace(name)).result(5)
    writer.submit(trace("request-late")).result(5)
    assert sum(minute.n for minute in reader.minutes(0)) == 5
    reader.close()


def test_a_pruned_days_partition_is_dropped(postgres_url: str, folder: Path, trace: Make) -> None:
    writer = TraceWriter(postgres_url, archive=folder)
    writer.submit(trace("request-1")).result(5)
    assert export_day(postgres_url, Archive(folder), "2026-03-02", prune=True) is not None
    database = connect(postgres_url)
    count = "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'requests'::regclass"
    assert database.read(count) == [(0,)]
    writer.submit(trace("request-2")).result(5)
    assert database.read(count) == [(1,)]
    database.close()
    writer.close()


def test_a_commit_reads_no_whole_day(postgres_url: str, trace: Make) -> None:
    """A statement is planned while a new day is nearly empty; its plan must also be good once the day is full."""
    writer = TraceWriter(postgres_url)
    for number in range(60):
        at = MONDAY_NS + number * 10**6
        writer.submit(trace(f"{at // 10**6:012x}{number:020x}", started_ns=at)).result(5)
    writer.close()  # the server counts what a session did at its end
    database = connect(postgres_url)
    day = f"requests_{MONDAY_NS // DAY_NS}"
    for _ in range(50):
        found = database.read(
            "SELECT seq_scan, n_tup_ins FROM pg_stat_user_tables WHERE relid = to_regclass(?)", (day,)
        )
        if found and found[0][1] == 60:
            break
        time.sleep(0.1)
    assert found[0][1] == 60
    assert found[0][0] < 20
    database.close()
