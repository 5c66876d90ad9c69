"""Closed days in Parquet: read back before anything is deleted, and found again as if they were live."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from hostile import STRINGS
from miniobserve import day_files, export, manifests
from miniobserve.archive import Archive
from miniobserve.closed_check import checked_day
from miniobserve.export import Exported, export_day, sweep
from miniobserve.objects import Exists
from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, TraceWriter
from observed import DAY_NS, MONDAY_NS

Make = Callable[..., Trace]
MONDAY, TUESDAY = "2026-03-02", "2026-03-03"
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
ELSEWHERE = b'"said": [{"store": "", "path": "../up", "bytes": 1, "sha256": "00", "rows": 1, "newest_ns": 1}]'
DOC = Path(__file__).parents[3] / "docs" / "TRACES.md"


class Killed(BaseException):
    """What a process that is killed does not catch."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(tmp_path / "it's [a] parquet?" / "parquet")
    yield opened
    opened.close()


def folder(archive: Archive) -> Path:
    return Path(archive.place)


def files(archive: Archive) -> list[str]:
    """The keys of all objects."""
    return [stored.key for stored in archive.objects.list()]


def closed(url: str, archive: Archive, day: str, **more: Any) -> Exported:
    done = export_day(url, archive, day, **more)
    assert done is not None
    return done


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
            f"request-{number:02}", started_ns=MONDAY_NS + (number // 3) * (DAY_NS // 2), input=text,
            output=text[::-1], features={"verb": "go" if number % 2 else "work", "odd": "a|b=c"},
            accepted=[True, False, None][number % 3], seconds=0.1 * number,
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
    {"accepted": True}, {"accepted": False}, {"features": {"verb": "go"}}, {"features": {"odd": "a|b=c"}},
    {"arm": "stable", "day": MONDAY}, {"arm": "x"}, {"sha": "e" * 64, "limit": 5}, {"text": "\x00"}, {"limit": 0},
]  # fmt: skip


def everything(url: str, archive: Archive, ids: Sequence[str], asked: Sequence[dict[str, Any]] = ASKED) -> list[Any]:
    """What every look-up says."""
    reader = TraceReader.open(url, archive.place)
    said = [reader.list(**each) for each in asked]
    found = [reader.get(one) for one in (*ids, "request-none")]
    usage = reader.usage("e" * 64)
    reader.close()
    return [*said, *found, usage]


def test_a_pruned_day_answers_every_look_up_as_it_did_live(url: str, archive: Archive, week: list[str]) -> None:
    live = everything(url, archive, week)
    for day in (MONDAY, TUESDAY):
        done = closed(url, archive, day)
        assert (done.rows, done.written, done.pruned, done.files) == (6, True, 0, 1)
    assert everything(url, archive, week) == live
    done = closed(url, archive, MONDAY, prune=True)
    assert (done.rows, done.written, done.pruned) == (6, False, 6)
    assert TraceReader.open(url).list().matched == 6, "the rows left the live store"
    assert everything(url, archive, week) == live
    assert closed(url, archive, TUESDAY, prune=True).pruned == 6
    assert TraceReader.open(url).list().matched == 0
    assert everything(url, archive, week) == live
    assert [checked_day(archive, day) for day in (MONDAY, TUESDAY)] == [[], []]
    assert export_day(url, archive, "2020-01-01") is None


def test_what_arrives_late_is_added_without_a_rewrite(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, trace: Make
) -> None:
    first = closed(url, archive, MONDAY, prune=True)
    before = set(files(archive))
    fill(writer, [trace("request-late", started_ns=MONDAY_NS + 5)])
    ids = [*week, "request-late"]
    live = everything(url, archive, ids)
    done = closed(url, archive, MONDAY, prune=True)
    assert (done.rows, done.files, done.written, done.pruned) == (7, 2, True, 1)
    assert everything(url, archive, ids) == live
    assert len(set(files(archive)) - before) == 3, "one file with its list of ids, and one manifest"
    manifest = manifests.read(archive.objects, MONDAY, 2)[0]
    assert (manifest.previous, manifest.totals.rows) == (first.sha256, 7)
    again = closed(url, archive, MONDAY, prune=True)
    assert (again.rows, again.written, again.pruned, again.sha256) == (7, False, 0, done.sha256)


def test_feedback_that_comes_later_wins(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, trace: Make, tmp_path: Path
) -> None:
    closed(url, archive, MONDAY, prune=True)
    told = TraceWriter(url, archive=archive.place)
    assert told.feedback("request-02", "revised").result(5) is True
    assert told.feedback("request-01", "accepted").result(5) is True
    assert told.feedback("request-99", "revised").result(5) is False
    told.close()
    reader = TraceReader.open(url, archive.place)
    assert reader["request-02"].feedback == "revised"
    for outcome, ids in (("revised", ["request-02"]), ("dismissed", []), ("accepted", ["request-07", "request-01"])):
        found = reader.list(outcome=outcome)
        assert ([one.request_id for one in found.traces], found.matched) == (ids, len(ids))
    assert {one.request_id: one.feedback for one in reader.list(day=MONDAY).traces}["request-01"] == "accepted"
    with pytest.raises(Duplicate):
        writer.submit(trace("request-01", input="another")).result(5)
    reader.close()


def said_file(archive: Archive) -> Path:
    """The one file of later feedback that the manifest of Monday lists."""
    (file,) = said_files(archive)
    return file


def said_files(archive: Archive) -> list[Path]:
    found = archive.index.manifest(MONDAY, fresh=True)
    assert found is not None
    return [folder(archive) / each.path for each in found[0].said]


def said_in(file: Path) -> list[tuple[str, str]]:
    """The request ids of a file of later feedback with what was said."""
    name = str(file).replace("'", "''")
    return sorted(duckdb.sql(f"SELECT request_id, outcome FROM read_parquet('{name}')").fetchall())


def test_feedback_that_comes_after_a_prune_is_added_to_the_closed_day(
    url: str, archive: Archive, week: list[str]
) -> None:
    closed(url, archive, MONDAY, prune=True)
    told = TraceWriter(url, archive=archive.place)
    assert told.feedback("request-02", "revised").result(5) is True
    assert closed(url, archive, MONDAY).written
    first = said_file(archive)
    assert told.feedback("request-01", "accepted").result(5) is True
    told.close()
    done = closed(url, archive, MONDAY, prune=True)
    assert (done.rows, done.files, done.written) == (6, 1, True), "the requests' own file stays as it is"
    file = said_file(archive)
    assert said_in(file) == [("request-01", "accepted"), ("request-02", "revised")]
    again = closed(url, archive, MONDAY)
    assert (again.written, again.sha256) == (False, done.sha256)
    assert (sweep(archive), checked_day(archive, MONDAY)) == ([str(first.relative_to(folder(archive)))], [])
    file.write_bytes(file.read_bytes()[:-1])
    (problem,) = checked_day(archive, MONDAY)
    assert file.name in problem


def test_each_store_that_closes_a_day_has_a_file_of_later_feedback(
    url: str, archive: Archive, week: list[str], tmp_path: Path, trace: Make
) -> None:
    closed(url, archive, MONDAY)
    told = TraceWriter(url, archive=archive.place)
    told.feedback("request-02", "revised").result(5)
    told.close()
    closed(url, archive, MONDAY)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    elsewhere = TraceWriter(other, archive=archive.place)
    fill(elsewhere, [trace("elsewhere-1", started_ns=MONDAY_NS + 5)])
    elsewhere.close()
    closed(other, archive, MONDAY)
    own = [("request-01", "dismissed"), ("request-02", "revised")]
    assert [said_in(file) for file in said_files(archive)] == [own], "the other store knows of none"
    elsewhere = TraceWriter(other, archive=archive.place)
    elsewhere.feedback("elsewhere-1", "accepted").result(5)
    elsewhere.close()
    closed(other, archive, MONDAY)
    assert [said_in(file) for file in said_files(archive)] == [own, [("elsewhere-1", "accepted")]]
    assert not any(closed(each, archive, MONDAY).written for each in (url, other, url)), "nothing is written in turn"


STEPS: list[tuple[Any, str]] = [
    (day_files, "write_files"), (export, "write_files"), (export, "uploaded"), (manifests, "put"), (export, "check"),
    (manifests, "mark_pruning"), (export, "delete_day"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, len(STEPS)))
def test_killed_at_any_step_nothing_is_lost_or_doubled(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    def all_rows(read_by: Archive) -> list[Any]:
        """Every row by several ways; after a kill it is the rows that matter, not each filter over them."""
        return everything(url, read_by, week, ASKED[:5])

    live, (module, name) = all_rows(archive), STEPS[step]
    real, fired = getattr(module, name), []

    def killed(*args: Any, **more: Any) -> Any:
        fired.append(name)
        if after:
            real(*args, **more)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        with pytest.raises(Killed):
            export_day(url, archive, MONDAY, prune=True)
    assert fired == [name]
    assert all_rows(Archive(archive.place)) == live
    done = closed(url, archive, MONDAY, prune=True) if name != "delete_day" or not after else None
    assert all_rows(archive) == live
    assert TraceReader.open(url).list().matched == 6
    sweep(archive)
    assert all_rows(archive) == live
    assert len([key for key in files(archive) if key.endswith(".parquet")]) == 1
    assert done is None or done.rows == 6


def test_a_prune_that_is_cut_short_hides_nothing(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = everything(url, archive, week)
    delete, calls = export.delete, []

    def dies(tx: Any, day: int, ids: Any) -> None:
        calls.append(len(ids))
        if len(calls) == 2:
            raise Killed
        delete(tx, day, ids)

    monkeypatch.setattr(export, "_CHUNK", 2)
    monkeypatch.setattr(export, "delete_day", lambda *_: False)
    monkeypatch.setattr(export, "delete", dies)
    with pytest.raises(Killed):
        export_day(url, archive, MONDAY, prune=True)
    assert calls == [2, 2]
    assert TraceReader.open(url).list().matched == 10
    assert everything(url, archive, week) == live
    monkeypatch.setattr(export, "delete", delete)
    done = closed(url, archive, MONDAY, prune=True)
    assert (done.rows, done.written, done.pruned) == (6, False, 4)
    assert everything(url, archive, week) == live


def loses_rows(real: Any) -> Any:
    return lambda traces, buckets: real(traces[1:], buckets[1:])


def alters_a_row(real: Any) -> Any:
    return lambda traces, buckets: real([msgspec.structs.replace(traces[0], status=201), *traces[1:]], buckets)


def spoils_bytes(real: Any) -> Any:
    def put(key: str, source: Any, **more: Any) -> None:
        real(key, b"PAR1 no more" if key.endswith(".parquet") else source, **more)

    return put


@on_sqlite
@pytest.mark.parametrize("fault", [loses_rows, alters_a_row, spoils_bytes])
def test_what_does_not_read_back_is_in_no_manifest_and_nothing_is_pruned(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    live = everything(url, archive, week)
    if fault is spoils_bytes:
        monkeypatch.setattr(archive.objects, "put", fault(archive.objects.put))
    else:
        monkeypatch.setattr(day_files, "batch_of", fault(day_files.batch_of))
    with pytest.raises(StorageError, match=r"read.* back"):
        export_day(url, archive, MONDAY, prune=True)
    assert archive.days() == []
    assert everything(url, archive, week) == live


@on_sqlite
def test_a_twin_that_prunes_before_reading_back_loses_the_day(
    url: str, archive: Archive, week: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why digests are read back just before live rows go: a file spoilt since its export costs the twin the day."""
    closed(url, archive, MONDAY)
    (part,) = archive.index.parts([MONDAY])
    file = archive.file(part)
    page = "SELECT data_page_offset FROM parquet_metadata(?) WHERE path_in_schema = 'trace_id'"
    (offset,) = duckdb.execute(page, [day_files.literal(file)]).fetchall()[0]
    spoilt = bytearray(file.read_bytes())
    spoilt[offset : offset + 20] = bytes(20)  # in a column that the export itself does not read
    file.write_bytes(spoilt)
    with pytest.raises(StorageError, match="does not match its manifest"):
        export_day(url, archive, MONDAY, prune=True)
    assert TraceReader.open(url).list().matched == 12
    monkeypatch.setattr(export, "check", lambda *_: None)
    assert closed(url, archive, MONDAY, prune=True).pruned == 6
    with pytest.raises(StorageError):
        TraceReader.open(url, archive.place).get(week[0])


@on_sqlite
def test_two_exports_at_once_make_one_whole_day(
    url: str, archive: Archive, week: list[str], writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write; one manifest wins, and the other export merges what the winner lacks."""
    real, lost = manifests.put, []
    both = threading.Barrier(2, timeout=20)

    def together(objects: Any, manifest: Any) -> Any:
        if manifest.n == 1:
            both.wait()
        digest = real(objects, manifest)
        if digest is None:
            lost.append(manifest.n)
        return digest

    monkeypatch.setattr(manifests, "put", together)
    done: list[Exported | None] = []
    other = Archive(archive.place)
    fill(writer, [trace(f"request-a{n}", started_ns=MONDAY_NS + n) for n in range(50)])
    threads = [threading.Thread(target=lambda a=a: done.append(export_day(url, a, MONDAY))) for a in (archive, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert lost in ([1], []), "or both put the very same manifest"
    assert [one.rows for one in done if one] == [56, 56]
    assert archive.rows(MONDAY, 0, 2**63 - 1) == 56
    assert closed(url, archive, MONDAY, prune=True).pruned == 56
    assert TraceReader.open(url, archive.place).list(day=MONDAY).matched == 56


@on_sqlite
def test_two_stores_close_one_day_together(
    url: str, archive: Archive, week: list[str], tmp_path: Path, trace: Make
) -> None:
    """Replicas with stores of their own; even where their callers used the same id, nothing is pruned unsaved."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    second = TraceWriter(other)
    fill(second, [trace("request-01", started_ns=MONDAY_NS + 7, input="of the other store")])
    second.close()
    closed(url, archive, MONDAY, prune=True)
    done = closed(other, archive, MONDAY, prune=True)
    assert (done.rows, done.pruned, done.files) == (7, 1, 2)
    texts = {one.input for one in archive.some([MONDAY], "request_id = ?", ("request-01",))}
    assert "of the other store" in texts
    assert len(texts) == 2


@on_sqlite
def test_days_in_a_bucket_are_fetched_once_and_checked(
    url: str, week: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LISTING_SECONDS", -1)
    archive = Archive(f"memory://{tmp_path.name}", tmp_path / "cache")
    live = everything(url, archive, week)
    assert closed(url, archive, MONDAY, prune=True).file == f"{archive.place}/day={MONDAY}/manifest-1.json"
    fetched: list[str] = []
    real = type(archive.objects).fetch
    monkeypatch.setattr(
        type(archive.objects), "fetch", lambda self, key, *a, **b: (fetched.append(key), real(self, key, *a, **b))[1]
    )
    for _ in range(2):
        reader = TraceReader.open(url, archive.place, tmp_path / "cache")
        assert [reader.list(**asked) for asked in ASKED] == live[: len(ASKED)]
        assert [reader.get(one) for one in week] == live[len(ASKED) : -2]
        reader.close()
    assert sorted(key.rpartition(".")[2] for key in fetched) == ["ids", "parquet"]
    assert checked_day(archive, MONDAY) == []
    shutil.rmtree(tmp_path / "cache")
    archive.objects.put(next(key for key in fetched if "parquet" in key), b"PAR1 no more", replace=True)
    with pytest.raises(StorageError, match="digest"):
        TraceReader.open(url, archive.place, tmp_path / "cache").get(week[0])
    assert len(checked_day(archive, MONDAY)) == 1


@on_sqlite
def test_leftovers_are_not_read_and_swept(url: str, archive: Archive, week: list[str]) -> None:
    closed(url, archive, MONDAY)
    (file,) = folder(archive).rglob("*.parquet")
    stray = file.with_name(f"part-{'0' * 12}.parquet")
    shutil.copy(file, stray)
    assert closed(url, archive, MONDAY, prune=True).rows == 6
    assert TraceReader.open(url, archive.place).list(day=MONDAY).matched == 6
    assert sweep(archive) == [str(stray.relative_to(folder(archive)))]
    assert (stray.exists(), file.exists()) == (False, True)


@on_sqlite
def test_a_manifest_is_never_replaced_and_one_that_lies_is_refused(url: str, archive: Archive, week: list[str]) -> None:
    closed(url, archive, MONDAY, prune=True)
    path = folder(archive) / manifests.manifest_key(MONDAY, 1)
    with pytest.raises(Exists):
        archive.objects.put(manifests.manifest_key(MONDAY, 1), b"{}")
    sound = path.read_bytes()
    lies = [
        b"{}", b"\xff", sound[:-9], sound.replace(MONDAY.encode(), TUESDAY.encode()),
        sound.replace(b'"rows": 6', b'"rows": 7', 1), sound.replace(b"service=default", b"service=../../up"),
        sound.replace(b'"n": 1', b'"n": 2'), sound.replace(b"spine-closed-day/1", b"spine-closed-day/9"),
        sound.replace(b'"said": []', ELSEWHERE),
    ]  # fmt: skip
    for lie in lies:
        assert lie != sound
        path.write_bytes(lie)
        with pytest.raises(StorageError):
            TraceReader.open(url, archive.place).get(week[0])
    path.write_bytes(sound)
    assert TraceReader.open(url, archive.place).get(week[0]) is not None


@on_sqlite
def test_the_documented_query_answers(
    url: str, archive: Archive, week: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (MONDAY, TUESDAY):
        export_day(url, archive, day)
    shutil.copytree(archive.place, tmp_path / "run" / ".spine" / "parquet")
    monkeypatch.chdir(tmp_path / "run")
    (query,) = re.findall(r"```sql\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    answer = duckdb.sql(query).fetchall()
    assert [(str(day), verb, count) for day, verb, count in answer] == [(MONDAY, "go", 1)]
    columns = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", DOC.read_text(), re.MULTILINE))))
    there = {row[0] for row in duckdb.sql("DESCRIBE SELECT * FROM '.spine/parquet/*/*/*/*.parquet'").fetchall()}
    assert columns == there - {"day", "service", "bucket"}


@on_sqlite
def test_a_broken_file_is_said_and_what_is_live_goes_on(url: str, archive: Archive, week: list[str]) -> None:
    closed(url, archive, MONDAY, prune=True)
    (file,) = folder(archive).rglob("*.parquet")
    whole = file.read_bytes()
    for bytes_ in (b"PAR1 no more", whole[:-100]):
        file.write_bytes(bytes_)
        reader = TraceReader.open(url, archive.place)
        assert reader.get(week[-1]) is not None
        with pytest.raises(StorageError) as caught:
            reader.get(week[0])
        assert caught.value.kind == "damaged"
        assert len(checked_day(archive, MONDAY)) == 1
        reader.close()
    file.unlink()
    assert "missing" in checked_day(archive, MONDAY)[0]
    file.write_bytes(whole)
    (folder(archive) / manifests.manifest_key(MONDAY, 1)).unlink()
    assert "manifest is missing" in checked_day(archive, MONDAY)[0]


@on_sqlite
def test_units_are_whole_within_a_bucket(
    url: str, archive: Archive, writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of many pages and batches, into several buckets, with late rows in the same ones."""
    monkeypatch.setattr("miniobserve.reader._PAGE", 7)
    monkeypatch.setattr(day_files, "BATCH", 5)
    monkeypatch.setattr(day_files, "BUCKET_ROWS", 30)
    units = [hashlib.sha256(bytes([n])).hexdigest() for n in range(9)]
    made = [
        trace(f"request-{n:03}", started_ns=MONDAY_NS + n // 10, unit_hash=units[n % 10] if n % 10 < 9 else None)
        for n in range(100)
    ]
    fill(writer, made[:95])
    done = closed(url, archive, MONDAY, prune=True)
    assert (done.rows, done.pruned, done.files) == (95, 95, 4)
    fill(writer, made[95:])
    assert closed(url, archive, MONDAY, prune=True).rows == 100
    parts = archive.index.parts([MONDAY])
    seen: dict[str, set[int]] = {}
    for part in parts:
        query = f"SELECT DISTINCT unit_hash FROM '{folder(archive) / part.path}' WHERE unit_hash IS NOT NULL"
        for (unit,) in duckdb.sql(
            query.replace("it's", "it''s").replace("[a]", "[[]a]").replace("?", "[?]")
        ).fetchall():
            seen.setdefault(unit, set()).add(part.bucket)
    assert seen.keys() == set(units)
    assert {len(buckets) for buckets in seen.values()} == {1}
    reader = TraceReader.open(url, archive.place)
    assert [one.request_id for one in reader.list(limit=100).traces][-10:] == [f"request-{n:03}" for n in range(10)]
    assert [reader.get(one.request_id) for one in made[::7]] == made[::7]
    reader.close()


@on_sqlite
def test_a_look_up_opens_only_files_that_may_hold_the_id(
    url: str, archive: Archive, writer: TraceWriter, trace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generated id names its day; of another id each day has a list; one with a wrong day is found all the same."""
    made = []
    for day in range(5):
        start = MONDAY_NS + day * DAY_NS
        own, wrong = (f"{at // 10**6:012x}{day:020x}" for at in (start, start + 9 * DAY_NS))
        made += [trace(one, started_ns=start + 10**9) for one in (own, f"order-{day}-of-a-caller", wrong)]
    made.append(trace(f"{(MONDAY_NS + DAY_NS - 1) // 10**6:012x}{9:020x}", started_ns=MONDAY_NS + DAY_NS + 1))
    fill(writer, made)
    for day in range(2, 7):
        closed(url, archive, f"2026-03-0{day}", prune=True)
    opened: list[int] = []
    real = Archive._read

    def counted(self: Archive, sql: str, days: Any, parts: Any, *rest: Any) -> Any:
        opened.append(len(parts))
        return real(self, sql, days, parts, *rest)

    monkeypatch.setattr(Archive, "_read", counted)
    reader = TraceReader.open(url, archive.place)
    for one in made:
        opened.clear()
        assert reader.get(one.request_id) == one
        assert sum(opened) <= 2
    opened.clear()
    assert reader.get("order-9-of-a-caller") is None
    assert opened == []
    reader.close()
