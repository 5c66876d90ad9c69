"""Closed days in Parquet: read back before anything is deleted, and found again as if they were live."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from hostile import STRINGS
from miniobserve import export
from miniobserve.archive import Archive, digest
from miniobserve.export import export_day
from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, TraceWriter
from observed import DAY_NS, MONDAY_NS

Make = Callable[..., Trace]
MONDAY, TUESDAY = "2026-03-02", "2026-03-03"
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
DOC = Path(__file__).parents[3] / "docs" / "TRACES.md"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(tmp_path / "it's [a] parquet?" / "parquet")
    yield opened
    opened.close()


def fill(writer: TraceWriter, traces: Sequence[Trace]) -> None:
    futures = [writer.submit(trace) for trace in traces]
    wait(futures, 10)
    for future in futures:
        future.result()


@pytest.fixture
def week(writer: TraceWriter, trace: Make) -> list[str]:
    """Twelve requests over two days, some at one nanosecond, hostile texts among them; two with feedback."""
    texts = [*STRINGS[:8], "100%_here!", "GoEd", "ünïcode \x00 nul", ""]
    traces = [
        trace(
            f"request-{number:02}", started_ns=MONDAY_NS + (number // 3) * (DAY_NS // 2), sentence=text,
            correction=text[::-1], features={"verb": "go" if number % 2 else "work", "odd": "a|b=c"},
            is_correct=[True, False, None][number % 3], seconds=0.1 * number,
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
    fill(writer, traces)
    writer.feedback("request-01", "dismissed").result(5)
    writer.feedback("request-07", "accepted").result(5)
    return [one.request_id for one in traces]


ASKED: list[dict[str, Any]] = [
    {}, {"limit": 3}, {"limit": 2, "before_ns": MONDAY_NS + DAY_NS}, {"day": MONDAY}, {"day": TUESDAY},
    {"text": "goed"}, {"text": "100%_h"}, {"text": "%"}, {"text": "!"}, {"text": "ünïcode"}, {"outcome": "dismissed"},
    {"is_correct": True}, {"is_correct": False}, {"features": {"verb": "go"}}, {"features": {"odd": "a|b=c"}},
    {"arm": "stable", "day": MONDAY}, {"arm": "x"}, {"sha": "e" * 64, "limit": 5}, {"text": "\x00"}, {"limit": 0},
]  # fmt: skip


def everything(url: str, archive: Archive, ids: Sequence[str]) -> list[Any]:
    """What every look-up says."""
    reader = TraceReader.open(url, archive.folder)
    said = [reader.list(**asked) for asked in ASKED]
    found = [reader.get(one) for one in (*ids, "request-none")]
    usage = reader.usage("e" * 64)
    reader.close()
    return [*said, *found, usage]


def test_a_pruned_day_answers_every_look_up_as_it_did_live(url: str, archive: Archive, week: list[str]) -> None:
    live = everything(url, archive, week)
    for day in (MONDAY, TUESDAY):
        done = export_day(url, archive, day)
        assert done is not None
        assert (done.rows, done.written, done.pruned) == (6, True, 0)
    assert everything(url, archive, week) == live
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    assert (done.rows, done.written, done.pruned) == (6, False, 6)
    assert TraceReader.open(url).list().matched == 6, "the rows left the live store"
    assert everything(url, archive, week) == live
    done = export_day(url, archive, TUESDAY, prune=True)
    assert done is not None
    assert done.pruned == 6
    assert TraceReader.open(url).list().matched == 0
    assert everything(url, archive, week) == live
    assert not [path for path in archive.folder.rglob("*") if path.name.endswith(".tmp")]


def test_what_a_killed_export_left_goes_with_the_next_one(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it writes: neither file of its own is taken away, nor is either ever read."""
    folder = archive.file(MONDAY).parent

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        patch.setattr(Path, "unlink", kill)
        with pytest.raises(Killed):
            export_day(url, archive, MONDAY)
    assert len(list(folder.iterdir())) == 2
    assert archive.days() == []
    assert export_day(url, archive, TUESDAY) is not None
    assert not list(folder.iterdir())
    assert export_day(url, archive, MONDAY) is not None
    assert [file.name for file in folder.iterdir()] == ["traces.parquet"]


def test_what_arrives_late_is_added_and_nothing_is_dropped(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, trace: Make
) -> None:
    export_day(url, archive, MONDAY, prune=True)
    fill(writer, [trace("request-late", started_ns=MONDAY_NS + 5)])
    ids = [*week, "request-late"]
    before = everything(url, archive, ids)
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    assert (done.rows, done.written, done.pruned) == (7, True, 1)
    assert everything(url, archive, ids) == before
    again = export_day(url, archive, MONDAY, prune=True)
    assert again is not None
    assert (again.rows, again.written, again.pruned, again.sha256) == (7, False, 0, done.sha256)


@on_sqlite
def test_feedback_that_came_since_keeps_its_row_live(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune = export._prune

    def late(url: str, archive: Archive, day: str) -> int:
        writer.feedback("request-02", "revised").result(5)
        return prune(url, archive, day)

    monkeypatch.setattr(export, "_prune", late)
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    assert (done.rows, done.pruned) == (6, 5)
    reader = TraceReader.open(url, archive.folder)
    assert reader["request-02"].feedback == "revised"
    assert [one.request_id for one in reader.list(outcome="revised").traces] == ["request-02"]
    assert reader.list(day=MONDAY).matched == 6
    reader.close()


def test_a_prune_that_is_cut_short_hides_nothing(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = everything(url, archive, week)
    delete, calls = export._delete, []

    def dies(tx: Any, chunk: Any, day: str) -> int:
        calls.append(len(chunk))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return delete(tx, chunk, day)

    monkeypatch.setattr(export, "_CHUNK", 2)
    monkeypatch.setattr(export, "_delete", dies)
    with pytest.raises(KeyboardInterrupt):
        export_day(url, archive, MONDAY, prune=True)
    assert calls == [2, 2]
    assert TraceReader.open(url).list().matched == 10
    assert everything(url, archive, week) == live
    monkeypatch.setattr(export, "_delete", delete)
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    assert (done.rows, done.written, done.pruned) == (6, False, 4)
    assert everything(url, archive, week) == live


def drops_a_row(lines: Path, *_: Any, to_parquet: Any = export._to_parquet) -> None:
    kept = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(b"".join(kept[1:]))
    to_parquet(lines, *_)


def alters_a_row(lines: Path, *_: Any, to_parquet: Any = export._to_parquet) -> None:
    lines.write_bytes(lines.read_bytes().replace(b'\\"status\\":200', b'\\"status\\":201', 1))
    to_parquet(lines, *_)


@on_sqlite
@pytest.mark.parametrize("fault", [drops_a_row, alters_a_row])
@pytest.mark.parametrize("checked", [True, False])
def test_what_does_not_read_back_is_not_kept_and_nothing_is_pruned(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch, fault: Any, checked: bool
) -> None:
    """The twin that does not read back keeps a file that is false: that is what the check is for."""
    live = everything(url, archive, week)
    monkeypatch.setattr(export, "_to_parquet", fault)
    if checked:
        with pytest.raises(StorageError, match="read back"):
            export_day(url, archive, MONDAY, prune=True)
        assert archive.days() == []
        assert everything(url, archive, week) == live
    else:
        monkeypatch.setattr(export, "_check", lambda *_: None)
        done = export_day(url, archive, MONDAY, prune=True)
        assert done is not None
        assert digest(archive.kept(done.file)) != (done.rows, done.sha256), "the file says what it does not hold"
        assert done.pruned == 5, "pruning compares once more"


@on_sqlite
def test_the_file_says_what_it_holds_and_hostile_text_stays_data(url: str, archive: Archive, week: list[str]) -> None:
    reader = TraceReader.open(url)
    texts = {one.request_id: (one.sentence, one.correction) for one in reader.list(day=MONDAY).traces}
    reader.close()
    done = export_day(url, archive, MONDAY)
    assert done is not None
    shutil.copy(done.file, copy := archive.folder.parents[1] / "copy.parquet")
    said = dict(duckdb.sql(f"SELECT key, value FROM parquet_kv_metadata('{copy}')").fetchall())
    assert (said[b"rows"], said[b"sha256"]) == (b"6", done.sha256.encode())
    assert digest(archive.kept(done.file)) == (done.rows, done.sha256)
    rows = duckdb.sql(f"SELECT request_id, sentence, correction, body, features['odd'] FROM '{copy}'").fetchall()
    assert {row[0]: row[1:3] for row in rows} == texts
    assert {row[4] for row in rows} == {"a|b=c"}
    assert all(msgspec.json.decode(row[3], type=Trace).sentence == row[1] for row in rows)


@on_sqlite
def test_the_documented_query_answers(
    url: str, archive: Archive, week: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (MONDAY, TUESDAY):
        export_day(url, archive, day)
    shutil.copytree(archive.folder, tmp_path / "run" / ".spine" / "parquet")
    monkeypatch.chdir(tmp_path / "run")
    (query,) = re.findall(r"```sql\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    answer = duckdb.sql(query).fetchall()
    assert [(str(day), verb, count) for day, verb, count in answer] == [(MONDAY, "go", 1)]
    columns = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", DOC.read_text(), re.MULTILINE))))
    there = {row[0] for row in duckdb.sql("DESCRIBE SELECT * FROM '.spine/parquet/*/*.parquet'").fetchall()}
    assert columns == there - {"day"}


@on_sqlite
def test_a_broken_file_is_said_and_what_is_live_goes_on(url: str, archive: Archive, week: list[str]) -> None:
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    done.file.write_bytes(b"PAR1 no more")
    reader = TraceReader.open(url, archive.folder)
    assert reader.get(week[-1]) is not None
    with pytest.raises(StorageError) as caught:
        reader.get(week[0])
    assert caught.value.kind == "damaged"
    with pytest.raises(StorageError):
        export_day(url, archive, MONDAY)
    assert done.file.read_bytes() == b"PAR1 no more"
    reader.close()


@on_sqlite
def test_one_export_at_a_time_and_an_empty_day_leaves_nothing(url: str, archive: Archive, week: list[str]) -> None:
    with export._alone(archive.folder), pytest.raises(StorageError, match="another export"):
        export_day(url, archive, MONDAY)
    assert export_day(url, archive, "2020-01-01") is None
    assert archive.days() == []
    assert [path.name for path in archive.folder.iterdir()] == [".lock"]


@on_sqlite
def test_a_day_of_many_pages_comes_whole(
    url: str, archive: Archive, writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniobserve.reader._PAGE", 7)
    fill(writer, [trace(f"request-{n:03}", started_ns=MONDAY_NS + n // 10) for n in range(95)])
    done = export_day(url, archive, MONDAY, prune=True)
    assert done is not None
    assert (done.rows, done.pruned) == (95, 95)
    reader = TraceReader.open(url, archive.folder)
    assert [one.request_id for one in reader.list(limit=95).traces][-10:] == [f"request-{n:03}" for n in range(10)]
    reader.close()


def test_an_exported_id_stays_taken_and_can_be_spoken_of(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, trace: Make
) -> None:
    reader = TraceReader.open(url, archive.folder)  # opened before there was anything to find
    first = export_day(url, archive, MONDAY, prune=True)
    assert first is not None
    with pytest.raises(Duplicate):
        writer.submit(trace("request-01", sentence="another")).result(5)
    assert writer.feedback("request-02", "revised").result(5) is True
    assert writer.feedback("request-99", "revised").result(5) is False
    assert reader["request-02"].feedback == "revised"
    assert {one.request_id: one.feedback for one in reader.list(day=MONDAY).traces}["request-02"] == "revised"
    again = export_day(url, archive, MONDAY)
    assert again is not None
    assert (again.rows, again.written) == (6, True)
    assert [one.request_id for one in reader.list(outcome="revised").traces] == ["request-02"]
    reader.close()
