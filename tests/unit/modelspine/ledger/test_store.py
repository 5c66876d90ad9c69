"""The ledger: what is appended is kept, in order, once, and nothing can be changed unseen."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from modelspine.errors import BadInput, Conflict, Damaged, Unavailable
from modelspine.ledger.store import GENESIS, Draft, Head, Ledger
from modelspine.maintenance.chain import read_chain
from postgres import admin


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url, actor="ada", create=True)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the fixture ``url`` keeps a SQLite ledger."""
    return tmp_path / "store.db"


@pytest.fixture
def sqlite_ledger(file: Path) -> Ledger:
    return Ledger(f"sqlite:///{file}", actor="ada", create=True)


def note(text: str) -> list[Draft]:
    return [Draft(kind="noted", body={"text": text})]


def test_hash_is_sha256_over_the_canonical_event(ledger: Ledger) -> None:
    """The digest follows from RECIPES alone: this rebuilds it with json and hashlib."""
    events, created = ledger.append(note("hej"), expected=0)
    event = events[0]
    fields = {name: getattr(event, name) for name in ("seq", "at", "actor", "host", "kind", "body", "prev")}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert created
    assert event.prev == GENESIS
    assert event.hash == hashlib.sha256(text.encode()).hexdigest()
    assert ledger.head() == Head(1, event.hash)


def test_events_link_and_read_back(ledger: Ledger, url: str) -> None:
    for number in range(5):
        ledger.append(note(str(number)), expected=number)
    events = Ledger(url, actor="bob", readonly=True).events()
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert [event.prev for event in events][1:] == [event.hash for event in events][:-1]
    assert ledger.events(Head(3, events[2].hash)) == events[3:]


def test_append_on_a_moved_head_is_a_conflict_and_changes_nothing(ledger: Ledger) -> None:
    ledger.append(note("one"), expected=0)
    with pytest.raises(Conflict, match="moved from #0 to #1"):
        ledger.append(note("two"), expected=0)
    assert ledger.head().seq == 1


def test_drafts_land_together_or_not_at_all(ledger: Ledger) -> None:
    with pytest.raises(BadInput):
        ledger.append([*note("good"), Draft(kind="noted", body={"text": "x" * 2000})], expected=0)
    assert ledger.head().seq == 0
    events, _ = ledger.append([*note("a"), *note("b")], expected=0, key="k")
    assert [event.seq for event in events] == [1, 2]
    assert events[1].prev == events[0].hash


def test_same_key_same_body_is_the_earlier_result(ledger: Ledger) -> None:
    first, created = ledger.append(note("x"), expected=0, key="key-1")
    again, created_again = ledger.append(note("x"), expected=0, key="key-1")
    assert (created, created_again) == (True, False)
    assert again == first
    assert ledger.head().seq == 1


def test_same_key_other_body_is_a_conflict(ledger: Ledger) -> None:
    ledger.append(note("x"), expected=0, key="key-1")
    with pytest.raises(Conflict, match="was already used for event #1"):
        ledger.append(note("y"), expected=1, key="key-1")


def test_time_never_runs_backwards_and_a_clock_far_behind_is_recorded_too(url: str) -> None:
    noon = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
    times = [noon, noon - timedelta(minutes=5), noon - timedelta(days=2), noon + timedelta(seconds=1)]
    ledger = Ledger(url, actor="ada", create=True, clock=lambda: times.pop(0))
    for number in range(4):
        ledger.append(note("x"), expected=number)
    events = ledger.events()
    assert [event.at[17:] for event in events] == ["00.000000Z", "00.000001Z", "00.000002Z", "01.000000Z"]
    assert [event.body.get("clock") for event in events] == [None, None, "2026-04-30T12:00:00.000000Z", None]
    assert [event.time == event.at for event in events] == [True, True, False, True]


def test_a_clock_at_the_end_of_time_blocks_nobody(url: str) -> None:
    times = [datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)]
    ledger = Ledger(url, actor="ada", create=True, clock=lambda: times.pop(0))
    ledger.append(note("x"), expected=0)
    ledger.append([Draft(kind="noted", body={"text": "y" * 1013})], expected=1)  # as long as a body may be
    assert ledger.events()[-1].time == "2026-05-02T00:00:00.000000Z"


@pytest.mark.parametrize("statement", ["UPDATE events SET hash = 'x'", "DELETE FROM events", "DELETE FROM evidence"])
def test_database_refuses_edits(ledger: Ledger, url: str, statement: str) -> None:
    ledger.append(note("x"), expected=0)
    ledger.put(b"{}")
    database = connect(url)
    with pytest.raises(StorageError, match="append-only"), database.transaction() as tx:
        tx.execute(statement)
    database.close()
    assert ledger.events()


def tampered(url: str, *statements: str) -> Ledger:
    """The ledger edited behind its back: a copy with its triggers dropped, or past them as a superuser may."""
    if url.startswith("postgresql"):
        columns = (("events", "event"), ("evidence", "body"))
        to_text = [f"ALTER TABLE {t} ALTER {c} TYPE TEXT USING convert_from({c}, 'UTF8')" for t, c in columns]
        to_bytes = [f"ALTER TABLE {t} ALTER {c} TYPE BYTEA USING convert_to({c}, 'UTF8')" for t, c in columns]
        admin(url, *to_text, *statements, *to_bytes)
        return Ledger(url, actor="eve", readonly=True)
    original = Path(url.removeprefix("sqlite:///"))
    path = original.with_name("tampered.db")
    shutil.copy(original, path)
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return Ledger(f"sqlite:///{path}", actor="eve", readonly=True)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE events SET hash = replace(hash, substr(hash, 1, 4), 'beef') WHERE seq = 2", "#2"),
        ("DELETE FROM events WHERE seq = 2", "#2"),
        ("UPDATE events SET seq = 10 - seq WHERE seq IN (4, 5)", "#4"),
    ],
)
def test_tampering_is_found(ledger: Ledger, url: str, statement: str, what: str) -> None:
    for number in range(5):
        ledger.append(note(str(number)), expected=number)
    ledger.close()
    assert len(tampered(url).events()) == 5
    with pytest.raises(Damaged, match=what):
        tampered(url, statement).events()


@pytest.mark.parametrize("edit", ["replace(event, '\"2\"', '\"7\"')", "'not json'", "event || ' '"])
def test_an_edited_row_is_known_as_one_and_the_others_are_read(ledger: Ledger, url: str, edit: str) -> None:
    for number in range(5):
        ledger.append(note(str(number)), expected=number)
    ledger.close()
    events = tampered(url, f"UPDATE events SET event = {edit} WHERE seq = 3").events()
    assert [event.kind for event in events] == ["noted", "noted", "unreadable", "noted", "noted"]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert events[2].body["why"] == "its bytes do not match its stored hash"


def test_swapped_rows_are_found(ledger: Ledger, url: str) -> None:
    for number in range(4):
        ledger.append(note(str(number)), expected=number)
    ledger.close()
    swap = (
        "UPDATE events SET seq = 99 WHERE seq = 2",
        "UPDATE events SET seq = 2 WHERE seq = 3",
        "UPDATE events SET seq = 3 WHERE seq = 99",
    )
    with pytest.raises(Damaged, match="#2"):
        tampered(url, *swap).events()


def test_evidence_is_kept_once_and_rehashed(ledger: Ledger, url: str) -> None:
    digest = ledger.put(b'{"a": "\xc3\xa9"}')
    assert ledger.put(b'{"a": "\xc3\xa9"}') == digest
    assert ledger.get(digest) == b'{"a": "\xc3\xa9"}'
    assert ledger.evidence_digests() == [digest]
    ledger.close()
    with pytest.raises(Damaged, match=digest[:12]):
        tampered(url, "UPDATE evidence SET body = '{}'").get(digest)
    with pytest.raises(Damaged, match="is not in"):
        tampered(url).get("0" * 64)


@pytest.mark.long
def test_eight_writers_of_fifty_lose_nothing(ledger: Ledger, url: str) -> None:
    """Each appends on whatever is newest; every acknowledged event is there, the chain holds."""
    seen: list[int] = []

    def write(worker: int) -> None:
        mine = Ledger(url, actor=f"w{worker}")
        for number in range(50):
            events, _ = mine.append(note(f"{worker}/{number}"), expected=None)
            seen.append(events[0].seq)
        mine.close()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 401))
    assert {event.body["text"] for event in ledger.events()} == {f"{w}/{n}" for w in range(8) for n in range(50)}


def test_missing_zeroed_and_directory(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no database"):
        Ledger(f"sqlite:///{tmp_path / 'none.db'}", actor="a")
    (tmp_path / "zero.db").write_bytes(bytes(8192))
    with pytest.raises(Damaged, match="not an intact database"):
        Ledger(f"sqlite:///{tmp_path / 'zero.db'}", actor="a", readonly=True).events()
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(Unavailable):
        Ledger(f"sqlite:///{tmp_path / 'folder.db'}", actor="a", readonly=True)
    with pytest.raises(Unavailable, match="driver"):
        Ledger("mysql://x", actor="a")


def test_deleted_while_open_is_said_and_not_recreated(sqlite_ledger: Ledger, file: Path) -> None:
    sqlite_ledger.append(note("x"), expected=0)
    file.unlink()
    with pytest.raises(Unavailable, match="deleted while it was open"):
        sqlite_ledger.append(note("y"), expected=1)
    assert not file.exists()


def test_locked_database_names_the_way_out(sqlite_ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_ledger.close()
    monkeypatch.setattr("miniobserve.sql.protocol.BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{file}", actor="a")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked") as caught:
        ledger.append(note("x"), expected=0)
    assert "fuser" in caught.value.hint
    other.execute("ROLLBACK")
    assert ledger.append(note("x"), expected=0)[1]
    other.close()


def test_readonly_never_writes(ledger: Ledger, url: str) -> None:
    with pytest.raises(Unavailable):
        Ledger(url, actor="a", readonly=True).append(note("x"), expected=0)
    assert ledger.head().seq == 0


def test_a_rule_or_trigger_that_drops_rows_is_named_and_the_append_fails(ledger: Ledger, url: str) -> None:
    ledger.append(note("x"), expected=0)
    database = connect(url, readonly=True)
    assert read_chain(url).schema == ()
    if url.startswith("postgresql"):
        admin(url, "CREATE RULE quiet AS ON INSERT TO events DO INSTEAD NOTHING")
        said = ["the rule quiet on events does not belong to a ledger"]
    else:
        quiet = "CREATE TRIGGER quiet BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END"
        with sqlite3.connect(url.removeprefix("sqlite:///")) as writer:
            writer.execute(quiet)
        writer.close()
        said = ["the trigger quiet on events does not belong to a ledger"]
    assert list(read_chain(url).schema) == said
    database.close()
    with pytest.raises(Damaged, match="did not keep event #2"):
        ledger.append(note("y"), expected=1)
    assert ledger.head().seq == 1


def test_a_missing_guard_is_named(ledger: Ledger, url: str) -> None:
    ledger.append(note("x"), expected=0)
    postgres = url.startswith("postgresql")
    statement = "DROP TRIGGER events_append_only ON events" if postgres else "DROP TRIGGER events_no_UPDATE"
    database = connect(url)
    with database.transaction() as tx:
        tx.execute(statement)
    assert [fault.split(":")[0] for fault in read_chain(url).schema] == [
        "the trigger events_append_only on events is missing or disabled" if postgres
        else "the trigger events_no_UPDATE is missing"
    ]  # fmt: skip
    database.close()


def test_media_that_cannot_be_written_are_read_without_files_beside_them(
    sqlite_ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is denied, so that the folder cannot be written is said by the system's own question."""
    sqlite_ledger.append(note("x"), expected=0)
    sqlite_ledger.close()
    monkeypatch.setattr("miniobserve.sql.sqlite.os.access", lambda _path, _mode: False)
    reader = Ledger(f"sqlite:///{file}", actor="a", readonly=True)
    assert len(reader.events()) == 1
    assert [path.name for path in file.parent.glob(f"{file.name}*")] == [file.name]
    writer = Ledger(f"sqlite:///{file}", actor="another user")
    writer.append(note("y"), expected=1)
    assert len(reader.events()) == 2, "what another user writes meanwhile is seen"
    writer.close()
    reader.close()
