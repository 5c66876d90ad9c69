"""A state is what the newest events say, or an error: never what they said before."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from modelspine.cli.run import main
from modelspine.errors import Damaged, Locked, Replaced
from modelspine.ledger.store import Draft
from modelspine.spine import Spine
from past_spine import append_row, run_sql


def test_a_ledger_whose_chain_is_broken_fails_each_time_it_is_asked(spine: Spine) -> None:
    """A process that lives long must not go on with the state from before."""
    assert spine.registry.state().seq == 1
    run_sql(
        Path(spine.settings.ledger.removeprefix("sqlite:///")),
        "INSERT INTO events SELECT 3, event, 'x', NULL FROM events",
    )
    for _ in range(2):
        with pytest.raises(Damaged, match="event #2 is missing"):
            spine.registry.state()


def copied(file: Path, target: Path) -> Path:
    """A copy of a ledger's database as it is now, with what its log holds."""
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def put(spine: Spine, copy: Path, how: str) -> None:
    """Put a copy in the place of the open ledger: as another file, or into the same one, by SQLite or by ``cp``."""
    file = spine.settings.home / "ledger.db"
    if how == "cp":
        with closing(sqlite3.connect(file)) as other:  # as after a command that ended: the log is merged
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(copy, file)
        return
    if how == "backup":
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
        return
    for name in ("ledger.db-wal", "ledger.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    copy.rename(file)


@pytest.mark.parametrize("how", ["rename", "backup", "cp"])
def test_a_ledger_put_in_its_place_is_followed_where_it_continues(spine: Spine, tmp_path: Path, how: str) -> None:
    spine.registry.state()
    copy = copied(spine.settings.home / "ledger.db", tmp_path / "copy.db")
    put(spine, copy, how)
    other = copied(spine.settings.home / "ledger.db", tmp_path / "other.db")  # what anybody sees who opens it now
    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    spine.ledger.append([Draft(kind="noted", body={"text": "later"})], expected=1)
    assert spine.registry.state().seq == 2
    with closing(sqlite3.connect(spine.settings.home / "ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,), "written where nobody looks"


@pytest.mark.parametrize("how", ["rename", "backup", "cp"])
def test_a_ledger_without_what_was_read_before_is_refused(spine: Spine, tmp_path: Path, how: str) -> None:
    copy = copied(spine.settings.home / "ledger.db", tmp_path / "copy.db")
    spine.ledger.append([Draft(kind="noted", body={"text": "lost"})], expected=1)
    assert spine.registry.state().seq == 2
    put(spine, copy, how)
    for _ in range(2):
        with pytest.raises(Replaced, match=r"no longer holds event #2 .* ends at #1"):
            spine.registry.state()


def test_a_log_that_was_removed_is_noticed_and_nothing_that_was_written_is_lost(spine: Spine) -> None:
    spine.ledger.append([Draft(kind="noted", body={"text": "kept"})], expected=1)
    (spine.settings.home / "ledger.db-wal").unlink()
    for _ in range(2):
        with pytest.raises(Replaced, match=r"the log of ledger\.db was removed"):
            spine.registry.state()
        with pytest.raises(Replaced):
            spine.ledger.append([Draft(kind="noted", body={"text": "where nobody looks"})], expected=2)
    spine.close()
    with closing(sqlite3.connect(spine.settings.home / "ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_a_file_that_is_replaced_during_a_write_is_an_error(spine: Spine, tmp_path: Path) -> None:
    file = spine.settings.home / "ledger.db"
    copy = copied(file, tmp_path / "copy.db")
    database = connect(spine.settings.ledger)

    def write() -> None:
        with database.transaction() as tx:
            tx.execute("INSERT INTO events VALUES (2, '', '', NULL)")
            copy.rename(file)

    with pytest.raises(StorageError, match="replaced during a write"):
        write()
    database.close()


# keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["another event's key", "a row outside of the chain", "a row that is no rollback"])
def test_no_row_of_the_database_answers_for_a_rollback_that_was_not_made(rolled: Spine, how: str) -> None:
    file, route = rolled.settings.home / "ledger.db", rolled.routing
    route.rollback("v1.0.0", reason="harm")
    rolled.registry.release("v2.0.0", reason="x")
    route.single("v2.0.0", reason="x")
    if how == "another event's key":
        run_sql(file, "DROP TRIGGER events_no_UPDATE",
                "UPDATE events SET key = 'incident-7' WHERE event LIKE '%rolled_back%'")  # fmt: skip
    elif how == "a row outside of the chain":
        event = next(event for event in rolled.registry.events() if event.kind == "rolled_back")
        fields = msgspec.to_builtins(event) | {"seq": -1, "body": {**event.body, "key": "incident-7"}}
        forged = rfc8785.dumps({name: value for name, value in fields.items() if name != "hash"})
        run_sql(file, f"INSERT INTO events VALUES (-1, '{forged.decode()}', 'x', 'incident-7')")
    else:
        append_row(file, "rolled_back", {"sha": rolled.registry.resolve("v1.0.0"), "strategy": "single",
                                         "reason": "harm", "key": "incident-7"})  # fmt: skip
    with pytest.raises(Damaged, match="under the key 'incident-7', and no event has it"):
        route.rollback("v1.0.0", reason="harm", key="incident-7")
    assert route.rollback("v1.0.0", reason="harm", key="incident-8").created
    assert rolled.registry.state().production == rolled.registry.resolve("v1.0.0")


# patience ------------------------------------------------------------------------------------------------------------


def lock(spine: Spine) -> sqlite3.Connection:
    """A connection that keeps the ledger locked until it is closed."""
    connection = sqlite3.connect(spine.settings.home / "ledger.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


@pytest.fixture
def rolled(spine: Spine, make_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> Spine:
    """A ledger whose production may be rolled back, opened so that a locked write fails soon."""
    for number in (1, 2):
        entry = spine.registry.register(make_bundle(number))
        spine.registry.promote(entry.sha, f"v{number}.0.0", reason="x")
    spine.routing.single("v2.0.0", reason="x")
    monkeypatch.setattr("miniobserve.sql.protocol.BUSY_SECONDS", 0.05)
    return Spine(spine.settings, readonly=False)


def test_a_rollback_waits_for_whoever_keeps_the_ledger_locked_and_says_so(rolled: Spine) -> None:
    holder, told = lock(rolled), []

    def locked() -> None:
        told.append(1)
        if len(told) == 3:
            holder.close()

    rolled.routing.locked = locked
    rolled.routing.rollback("v1.0.0", reason="harm")
    assert len(told) == 3
    assert rolled.registry.state().production == rolled.registry.resolve("v1.0.0")


def test_an_abort_waits_too_and_a_step_forward_does_not(rolled: Spine) -> None:
    rolled.routing.rollback("v1.0.0", reason="x")
    rolled.registry.release("v2.0.0", reason="x")
    rolled.routing.canary("v2.0.0", reason="x")
    holder = lock(rolled)
    with pytest.raises(Locked):
        rolled.routing.advance(reason="x")
    with pytest.raises(Locked):
        rolled.registry.note("x")
    rolled.routing.locked = holder.close
    rolled.routing.abort(reason="harm")
    assert rolled.registry.state().route is not None
    assert rolled.registry.state().route.strategy == "single"


def test_it_waits_for_a_lock_that_keeps_readers_out_too(
    spine: Spine, rolled: Spine, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line, where the ledger has yet to be opened."""
    spine.close()
    rolled.close()
    holder = sqlite3.connect(rolled.settings.home / "ledger.db", isolation_level=None, check_same_thread=False)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("COMMIT")
    threading.Timer(1.0, holder.close).start()
    root = ["--root", str(rolled.settings.root)]
    assert main(["rollback", "v1.0.0", "--reason", "harm", *root]) == 0, capsys.readouterr()
    assert "waiting, because another process keeps the ledger locked" in capsys.readouterr().err
    with Spine(spine.settings, readonly=True) as again:
        assert again.registry.state().production == again.registry.resolve("v1.0.0")


def test_it_does_not_wait_for_ever(rolled: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelspine.ledger.transactions.PATIENCE", 0.2)
    holder = lock(rolled)
    with pytest.raises(Locked, match="locked"):
        rolled.routing.rollback("v1.0.0", reason="harm")
    holder.close()
