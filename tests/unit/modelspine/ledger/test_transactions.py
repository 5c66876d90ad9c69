"""A state is what the newest events say, or an error: never what they said before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modelspine.errors import Damaged, Locked, Replaced
from modelspine.ledger.store import Draft
from modelspine.spine import Spine
from past_spine import run_sql


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


def put(spine: Spine, copy: Path, *, in_place: bool) -> None:
    """Put a copy in the place of the open ledger: as another file, or into the same one."""
    file = spine.settings.home / "ledger.db"
    if in_place:
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
        return
    for name in ("ledger.db-wal", "ledger.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    copy.rename(file)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_ledger_put_in_its_place_is_followed_where_it_continues(spine: Spine, tmp_path: Path, in_place: bool) -> None:
    spine.registry.state()
    copy = copied(spine.settings.home / "ledger.db", tmp_path / "copy.db")
    put(spine, copy, in_place=in_place)
    other = copied(spine.settings.home / "ledger.db", tmp_path / "other.db")  # what anybody sees who opens it now
    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    spine.ledger.append([Draft(kind="noted", body={"text": "later"})], expected=1)
    assert spine.registry.state().seq == 2
    with closing(sqlite3.connect(spine.settings.home / "ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,), "written where nobody looks"


@pytest.mark.parametrize("in_place", [False, True])
def test_a_ledger_without_what_was_read_before_is_refused(spine: Spine, tmp_path: Path, in_place: bool) -> None:
    copy = copied(spine.settings.home / "ledger.db", tmp_path / "copy.db")
    spine.ledger.append([Draft(kind="noted", body={"text": "lost"})], expected=1)
    assert spine.registry.state().seq == 2
    put(spine, copy, in_place=in_place)
    for _ in range(2):
        with pytest.raises(Replaced, match=r"no longer holds event #2 .* ends at #1"):
            spine.registry.state()


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


def test_it_does_not_wait_for_ever(rolled: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelspine.ledger.transactions.PATIENCE", 0.2)
    holder = lock(rolled)
    with pytest.raises(Locked, match="locked"):
        rolled.routing.rollback("v1.0.0", reason="harm")
    holder.close()
