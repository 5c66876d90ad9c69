"""PostgreSQL connections that are killed: acknowledged means kept, one event a key, and everybody recovers."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from miniobserve.reader import TraceReader
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.writer import TraceWriter
from modelspine.errors import Unavailable
from modelspine.ledger.store import Draft, Event, Ledger
from modelspine.maintenance.chain import read_chain
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine
from observed import make_trace
from postgres import Cut, admin, end_backends, schema_of


def note(text: str) -> list[Draft]:
    return [Draft(kind="noted", body={"text": text})]


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger(postgres_url, actor="ada", create=True)
    yield opened
    opened.close()


def texts(ledger: Ledger) -> list[str]:
    return [event.body["text"] for event in ledger.events()]


def test_backends_ended_in_the_middle_of_appends(ledger: Ledger, postgres_url: str) -> None:
    """Four writers, their connections ended again and again: what was acknowledged is kept, and once."""
    acknowledged: list[str] = []
    refused: list[str] = []
    done = threading.Event()

    def write(worker: int) -> None:
        mine = ledgers[worker]
        for number in range(40):
            text = f"{worker}/{number}"
            try:
                mine.append(note(text), expected=None, key=text)
                acknowledged.append(text)
            except Unavailable:
                refused.append(text)
        mine.close()

    ledgers = [Ledger(postgres_url, actor=f"w{worker}") for worker in range(4)]  # open before the first one is ended
    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    fired = 0

    def kill() -> None:
        nonlocal fired
        for _ in range(25):  # not for ever: on a slow machine nobody would get a word in
            if done.wait(0.03):
                return
            fired += end_backends(schema_of(postgres_url))

    killer = threading.Thread(target=kill)
    killer.start()
    for thread in threads:
        thread.join()
    done.set()
    killer.join()
    assert fired > 0, "no connection was ended while they wrote"
    for text in refused:  # as its caller would: the same request under the same key
        ledger.append(note(text), expected=None, key=text)
    kept = texts(ledger)
    assert sorted(kept) == sorted(f"{w}/{n}" for w in range(4) for n in range(40))
    assert len(acknowledged) + len(refused) == 160
    assert not read_chain(postgres_url).problems
    print(f"{fired} connections ended, {len(acknowledged)} acknowledged, {len(refused)} refused")


Append = Callable[[Ledger, str], object]


def once(ledger: Ledger, text: str) -> tuple[list[Event], bool]:
    return ledger.append(note(text), expected=None)


def again_blindly(ledger: Ledger, text: str) -> None:
    """The broken twin: it takes a lost connection for a lost commit."""
    for _ in range(2):
        with contextlib.suppress(StorageError):
            with ledger._db.transaction() as tx:
                ledger._append(tx, note(text), None, None, (), [])
            return


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_nobody_heard_of_is_neither_lost_nor_made_twice(postgres_url: str, when: str) -> None:
    assert cut_append(postgres_url, when, once) == ["first", "second"]


def test_the_harness_catches_a_blind_repetition(postgres_url: str) -> None:
    assert cut_append(postgres_url, "after", again_blindly) == ["first", "second", "second"]


def cut_append(url: str, when: str, append: Append) -> list[str]:
    """Append twice, the connection cut at the second commit; what the ledger holds then."""
    with Cut(url, when) as cut:
        ledger = Ledger(cut.url, actor="ada", create=True)
        append(ledger, "first")
        cut.armed = 1
        append(ledger, "second")
        assert cut.fired == 1
        held = texts(ledger)
        ledger.close()
    return held


def test_a_commit_in_doubt_on_a_server_that_is_gone_is_told_and_its_key_settles_it(postgres_url: str) -> None:
    with Cut(postgres_url, "after") as cut:
        ledger = Ledger(cut.url, actor="ada", create=True)
        cut.armed = 1
        cut.close()  # the connection that is open goes on; a new one is refused
        with pytest.raises(Unavailable, match="during the commit of #1") as caught:
            ledger.append(note("x"), expected=0, key="once")
        assert "--key" in caught.value.hint
        assert cut.fired == 1
    direct = Ledger(postgres_url, actor="ada")
    events, created = direct.append(note("x"), expected=0, key="once")
    assert (len(direct.events()), created, events[0].seq) == (1, False, 1)
    direct.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_traces_survive_a_cut_commit_and_are_counted_once(postgres_url: str, when: str) -> None:
    with Cut(postgres_url, when) as cut:
        writer = TraceWriter(cut.url)
        writer.submit(make_trace("request-0")).result(5)
        cut.armed = 1
        futures = [writer.submit(make_trace(f"request-{number}")) for number in range(1, 20)]
        wait(futures, 10)
        assert [future.exception() for future in futures] == [None] * 19
        assert cut.fired == 1
        writer.close()
    reader = TraceReader.open(postgres_url)
    assert reader.list().matched == 20
    assert sum(minute.n for minute in reader.minutes(0)) == 20
    reader.close()


def test_reader_and_writer_go_on_after_their_backends_are_ended(postgres_url: str) -> None:
    writer, name = TraceWriter(postgres_url), schema_of(postgres_url)
    writer.submit(make_trace("request-0")).result(5)
    reader = TraceReader.open(postgres_url)
    assert reader.get("request-0") is not None
    assert end_backends(name) == 2
    assert reader.get("request-0") is not None
    writer.submit(make_trace("request-1")).result(5)
    assert reader.get("request-1") is not None
    writer.close()
    reader.close()


def test_two_writers_of_one_id_keep_one(postgres_url: str) -> None:
    """Two servers on one store: no lock keeps them apart, the unique id does."""
    writers = [TraceWriter(postgres_url) for _ in range(2)]
    futures = [w.submit(make_trace(f"request-{n}", semver=f"v{i}")) for n in range(200) for i, w in enumerate(writers)]
    wait(futures, 20)
    kept = sum(future.exception() is None for future in futures)
    told = {type(future.exception()).__name__ for future in futures}
    for writer in writers:
        writer.close()
    reader = TraceReader.open(postgres_url)
    assert (kept, told) == (200, {"NoneType", "Duplicate"})
    assert reader.list().matched == 200
    assert sum(minute.n for minute in reader.minutes(0)) == 200
    reader.close()


def test_a_row_changed_behind_the_triggers_is_found(postgres_url: str, tmp_path: Path) -> None:
    environ = {"SPINE_LEDGER": postgres_url, "SPINE_ROOT": str(tmp_path)}
    settings = load(tmp_path, environ=environ)
    create_ledger(settings, "dev")
    with open_spine(tmp_path, flags={"ledger": postgres_url}) as spine:
        spine.registry.note("for the record")
    assert not read_chain(postgres_url).problems
    change = "UPDATE events SET event = convert_to(replace(convert_from(event, 'UTF8'), 'record', 'recods'), 'UTF8')"
    admin(postgres_url, f"{change} WHERE seq = 2")
    problems = read_chain(postgres_url).problems
    assert len(problems) == 1
    assert "event #2 hashes to" in problems[0]


def test_truncate_is_refused(ledger: Ledger, postgres_url: str) -> None:
    ledger.append(note("x"), expected=0)
    database = connect(postgres_url)
    for table in ("events", "evidence"):
        with pytest.raises(StorageError, match="append-only"), database.transaction() as tx:
            tx.execute(f"TRUNCATE {table}")
    database.close()
    assert len(ledger.events()) == 1


def test_a_writer_that_stands_still_is_named_and_then_passed(
    ledger: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniobserve.sql.protocol.BUSY_SECONDS", 0.05)
    mine, other = Ledger(postgres_url, actor="a"), connect(postgres_url)
    with other.transaction() as tx:
        tx.execute("LOCK TABLE events")
        with pytest.raises(Unavailable, match="lock timeout") as caught:
            mine.append(note("x"), expected=0)
        assert "pg_stat_activity" in caught.value.hint
    assert mine.append(note("x"), expected=0)[1]
    mine.close()
    other.close()


@pytest.mark.parametrize(
    ("change", "said", "way_out"),
    [
        (lambda url: url.replace(":5432", ":1"), "refused", "start the server"),
        (lambda url: re.sub(r"/\w+\?", "/no_such_db?", url), "no_such_db", "createdb"),
        (lambda url: re.sub(r"//\w+@", "//nobody:hush@", url), "nobody", "createuser"),
        (lambda url: url.replace("127.0.0.1", "no.such.host.invalid"), "resolve", "correct the host"),
        (lambda url: url.replace("?schema=", "?schema=x;drop"), "schema", "lower-case letters"),
        (lambda url: url.replace("//", "//u:%zzhush@"), "cannot be read", "%XX"),
        (lambda url: url.replace("?schema=spine_", "?schema=empty_"), "lacks a table", "spine init"),
    ],
)  # fmt: skip
def test_what_keeps_us_out_is_said_with_the_way_out(
    postgres_url: str, change: Callable[[str], str], said: str, way_out: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        Ledger(change(postgres_url), actor="a", readonly=True).head()
    assert said in caught.value.message
    assert way_out in caught.value.hint
    assert "hush" not in caught.value.message + caught.value.hint
    assert "\n" not in caught.value.message


def test_a_reader_is_read_only_at_the_server(ledger: Ledger, postgres_url: str) -> None:
    reader = connect(postgres_url, readonly=True)
    with pytest.raises(StorageError, match="read-only"):
        reader.execute("INSERT INTO events (seq, event, hash) VALUES (1, 'x', 'y')")  # type: ignore[attr-defined]
    reader.close()
    assert ledger.head().seq == 0


def test_an_idle_connection_holds_nothing(ledger: Ledger, postgres_url: str) -> None:
    """Nobody is left inside a transaction: it would hold up vacuum, and with it the whole server."""
    ledger.append(note("x"), expected=0)
    reader = TraceReader.open(postgres_url)
    with pytest.raises(StorageError):
        reader.get("x")
    rows = admin(
        postgres_url, f"SELECT state FROM pg_stat_activity WHERE application_name = '{schema_of(postgres_url)}'"
    )
    assert {state for (state,) in rows} == {"idle"}
    reader.close()


def test_a_server_that_is_gone_fails_writes_and_reads_until_it_is_back(postgres_url: str) -> None:
    with Cut(postgres_url, "before") as cut:
        writer, reader = TraceWriter(cut.url), TraceReader.open(cut.url)
        writer.submit(make_trace("request-0")).result(5)
        assert reader.get("request-0") is not None
        cut.close()
        assert end_backends(schema_of(postgres_url)) == 2
        for future in (writer.submit(make_trace("request-1")), writer.probe()):
            error = future.exception(10)
            assert isinstance(error, StorageError)
            assert error.kind == "unavailable"
        with pytest.raises(StorageError, match="refused"):
            reader.get("request-0")
        cut.reopen()
        writer.probe().result(5)
        writer.submit(make_trace("request-1")).result(5)
        assert reader.get("request-1") is not None
        writer.close()
        reader.close()
