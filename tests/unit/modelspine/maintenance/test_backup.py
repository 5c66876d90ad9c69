"""Backup and restore: what is in an archive, that it holds together while others write, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli_world import REQUEST, World, check_refused, leave_trace, make_world, run
from modelspine.cli import main
from modelspine.errors import BadInput, Damaged, SpineError
from modelspine.files import path_fault
from modelspine.ledger.store import Head
from modelspine.maintenance.backup import backup, place_of
from modelspine.maintenance.restore import restore
from modelspine.maintenance.tar_archive import created
from modelspine.settings import Settings, load
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
Quiet = lambda *_: None  # noqa: E731


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project with drift reports, and closed days of traces as files."""
    world = make_world(tmp_path_factory.mktemp("kept") / "project")
    (world.root / "drift_reports").mkdir()
    (world.root / "drift_reports" / "2026-11-22.json").write_text("{}")
    days = world.root / ".spine" / "days"
    days.mkdir()
    (days / "2026-11-21.parquet").write_bytes(b"PAR1")
    (world.root / ".spine" / "keys").mkdir()
    (world.root / ".spine" / "keys" / "ci.pem").write_text("secret")
    return world


@pytest.fixture(scope="module")
def archive(made: World) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        assert main(["backup", "../kept.tar"]) == 0
    return made.root.parent / "kept.tar"


def settings_of(root: Path) -> Settings:
    return load(environ={"SPINE_ROOT": str(root)})


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_restored_backup_is_the_project_again(
    made: World, archive: Path, tmp_path: Path, echo: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "restore", str(archive), "--into", "again", "--json")
    assert (done.code, done.json["ok"], done.err) == (0, True, "")
    assert done.json["restored"]["ledger"] == done.json["checkpoint"]
    (tmp_path / "again" / "spine.toml").write_text('workload = "echo"\n')
    with open_spine(made.root, readonly=True) as before, open_spine(tmp_path / "again") as after:
        assert after.ledger.head() == before.ledger.head()
        assert [e.sha for e in after.registry.list()] == [made.silent, made.loud, made.child]
        assert after.traces[REQUEST] == before.traces[REQUEST]
        assert after.incident(REQUEST).answers[0].status == "verified"
        after.routing.single("v0.2.0", reason="it goes on")
    assert (tmp_path / "again" / "drift_reports" / "2026-11-22.json").is_file()
    assert (tmp_path / "again" / ".spine" / "days" / "2026-11-21.parquet").is_file()
    assert not (tmp_path / "again" / ".spine" / "keys").exists()
    check_refused(run(capsys, "restore", str(archive), "--into", "again"), 2)


def test_any_tar_and_sha256sum_read_it(archive: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "xf", str(archive)], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    listed = names(archive)
    assert listed[:2] == ["traces.db", "ledger.db"]
    assert listed[-2:] == ["SHA256SUMS", "MANIFEST.json"]
    assert archive.stat().st_mode & 0o777 == 0o600
    assert not [name for name in listed if "key" in name or name.endswith((".toml", "-wal", "-shm"))]


def test_a_project_at_rest_gives_the_same_bytes_twice(made: World, archive: Path, tmp_path: Path) -> None:
    again = backup(settings_of(made.root), tmp_path / "again.tar", progress=Quiet)
    packed = backup(settings_of(made.root), tmp_path / "again.tar.gz", progress=Quiet)
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()
    assert gzip.decompress((tmp_path / "again.tar.gz").read_bytes()) == archive.read_bytes()
    assert again.manifest_sha256 == packed.manifest_sha256
    assert packed.size < again.size


def test_a_backup_replaces_nothing(made: World, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        backup(settings_of(made.root), archive, progress=Quiet)
    assert archive.read_bytes() == before


# while others write -----------------------------------------------------------------------------------


def test_what_the_ledger_and_the_traces_name_is_in_it_while_they_grow(
    project: Path, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Register, promote, route and leave traces in a loop; each backup taken meanwhile restores and verifies."""
    stop = threading.Event()
    grown: list[str] = []

    def grow() -> None:
        with open_spine(project) as spine:
            while not stop.is_set() and len(grown) < 60:
                number = len(grown)
                sha = spine.registry.register(make_bundle(number)).sha
                spine.registry.promote(sha, f"v{number}.0.0")
                spine.routing.single(sha, reason="the newest")
                leave_trace(project, f"req-growing-{number}", "x", "x")
                grown.append(sha)

    thread = threading.Thread(target=grow)
    thread.start()
    heads = []
    while len(grown) < 2:
        assert thread.is_alive()
    try:
        for number in range(4):
            taken = backup(settings_of(project), tmp_path / f"{number}.tar", progress=Quiet)
            assert taken.warnings == ()
            heads.append(int(taken.ledger.split(":")[0]))
    finally:
        stop.set()
        thread.join()
    assert len(set(heads)) > 1, "nothing was written while the backups were taken"
    for number in range(4):
        assert main(["restore", str(tmp_path / f"{number}.tar"), "--into", str(tmp_path / f"back-{number}")]) == 0
        with open_spine(tmp_path / f"back-{number}", readonly=True) as spine:
            state = spine.registry.state()
            for trace in spine.traces.list(limit=100).traces:
                assert state.route_at(trace.assignment.epoch) is not None
                assert trace.entry_sha in state.entries


def test_a_copy_is_one_moment_of_a_database_that_is_written_on(tmp_path: Path) -> None:
    """Pairs are inserted together; no copy ever holds half a pair, however the steps of it fall."""
    from modelspine.maintenance.store_copies import snapshot

    file = tmp_path / "live.db"
    live = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("CREATE TABLE pairs (n INTEGER, filler TEXT)")
    live.execute("INSERT INTO pairs WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < 20000) "
                 "SELECT 0, hex(randomblob(500)) FROM c")  # fmt: skip
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            live.execute("BEGIN")
            live.execute("INSERT INTO pairs VALUES (1, 'a')")
            live.execute("INSERT INTO pairs VALUES (1, 'b')")
            live.execute("COMMIT")
            written.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    steps: list[int] = []
    counts = []
    for number in range(3):
        copy = tmp_path / f"{number}.db"
        before = len(written)
        snapshot(file, copy, lambda done, of: steps.append(done))
        during = len(written) - before
        with sqlite3.connect(copy) as reader:
            counts.append((reader.execute("SELECT count(*) FROM pairs WHERE n = 1").fetchone()[0], during))
        reader.close()
        assert not copy.with_name(f"{number}.db-wal").exists()
    stop.set()
    thread.join()
    live.close()
    assert all(count % 2 == 0 for count, _ in counts)
    assert any(during for _, during in counts), "nobody wrote meanwhile"
    assert len(steps) > 3


# what there is to say ---------------------------------------------------------------------------------


def test_what_is_not_kept_is_said(made: World, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    shutil.rmtree(root / ".spine" / "cache" / made.loud)
    artifacts = root / ".spine" / "mlartifacts"
    (artifacts / "1").mkdir(parents=True)
    (artifacts / "1" / "real").write_text("x")
    (artifacts / "1" / "link").symlink_to("/etc/passwd")
    os.mkfifo(artifacts / "1" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(artifacts / "1")  # a socket's path has room for 107 bytes
        listening.bind("socket")
    (artifacts / "1" / "odd\nname").write_text("x")
    taken = backup(settings_of(root), tmp_path / "kept.tar", progress=Quiet)
    told = "\n".join(taken.warnings)
    for part in (made.loud[:12], "1/link", "1/pipe", "1/socket", "1/odd␊name"):
        assert part in told
    assert len(taken.warnings) == 5
    assert "mlartifacts/1/real" in names(tmp_path / "kept.tar")
    assert main(["restore", str(tmp_path / "kept.tar"), "--into", str(tmp_path / "back")]) == 5


def test_closed_days_elsewhere_are_not_left_out_in_silence(made: World, tmp_path: Path) -> None:
    """Pruned days are in Parquet alone: who keeps that outside of the home has to keep it himself."""
    elsewhere = msgspec.structs.replace(settings_of(made.root), parquet=str(tmp_path / "days"))
    assert "days, outside the home" in "".join(backup(elsewhere, tmp_path / "a.tar", progress=Quiet).warnings)
    assert not backup(settings_of(made.root), tmp_path / "b.tar", progress=Quiet).warnings


def test_a_closed_day_is_in_it_whole(made: World, tmp_path: Path, capsys: Capture) -> None:
    """Without its manifest no file of a day is read, and a pruned request is in no other place."""
    root, yesterday = tmp_path / "copy", time.time_ns() - 86_400 * 10**9
    shutil.copytree(made.root, root)
    leave_trace(root, "req-yesterday", "x", "x", started_ns=yesterday)
    assert run(capsys, "traces", "export", "--prune", root=root).code == 0
    backup(settings_of(root), tmp_path / "kept.tar", progress=Quiet)
    assert main(["restore", str(tmp_path / "kept.tar"), "--into", str(tmp_path / "back")]) == 0
    with open_spine(tmp_path / "back", readonly=True) as spine:
        assert spine.traces["req-yesterday"].started_ns == yesterday


def test_a_broken_ledger_is_not_kept(made: World, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    with sqlite3.connect(root / ".spine" / "ledger.db") as database:
        database.execute("DROP TRIGGER events_no_DELETE")
        database.execute("DELETE FROM events WHERE seq = 3")
    database.close()
    with pytest.raises(Damaged, match="#3"):
        backup(settings_of(root), tmp_path / "kept.tar", progress=Quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_mlflows_server_keeps_its_own(made: World, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SPINE_MLFLOW", "http://u:secret@h")
    settings = load(environ={**os.environ, "SPINE_ROOT": str(made.root)})
    taken = backup(settings, tmp_path / "kept.tar", progress=Quiet)
    assert "MLflow's runs at" in "".join(taken.warnings)
    assert "secret" not in "".join(taken.warnings)
    assert "mlflow" not in {part.name for part in taken.parts}
    assert not backup(settings, tmp_path / "other.tar", without=["mlflow"], progress=Quiet).warnings


# restoring --------------------------------------------------------------------------------------------


def test_mlflows_addresses_come_along(made: World, tmp_path: Path) -> None:
    """Every spelling of the old place, also of one that the folder had been copied from before; others stay."""
    root = tmp_path / "old place"
    shutil.copytree(made.root, root)
    old, first = root / ".spine" / "mlartifacts", tmp_path / "where it began" / "mlartifacts"
    for name in "abcdef":
        (old / name / "artifacts" / "bundle").mkdir(parents=True)
        (old / name / "artifacts" / "bundle" / "config.json").write_text(name)
    addresses = [
        f"{old.as_uri()}/a/artifacts", f"{old}/b/artifacts", f"file:{old}/c/artifacts", f"{first.as_uri()}/d/artifacts",
        f"{first}/e/artifacts", "s3://bucket/mlartifacts/f/artifacts", f"{old.as_uri()}-other/z/artifacts",
    ]  # fmt: skip
    with sqlite3.connect(root / ".spine" / "mlflow.db") as store:
        store.execute("CREATE TABLE experiments (artifact_location TEXT)")
        store.execute("CREATE TABLE runs (artifact_uri TEXT)")
        store.executemany("INSERT INTO runs VALUES (?)", [(address,) for address in addresses])
        store.executemany("INSERT INTO experiments VALUES (?)", [(old.as_uri(),), (first.as_uri(),)])
    store.close()
    backup(settings_of(root), tmp_path / "kept.tar", progress=Quiet)
    restore(tmp_path / "kept.tar", settings_of(tmp_path / "new place"), progress=Quiet)
    new = tmp_path / "new place" / ".spine" / "mlartifacts"
    with sqlite3.connect(new.parent / "mlflow.db") as store:
        runs = [row[0] for row in store.execute("SELECT artifact_uri FROM runs")]
        experiments = {row[0] for row in store.execute("SELECT artifact_location FROM experiments")}
    store.close()
    assert runs == [
        f"{new.as_uri()}/a/artifacts", f"{new}/b/artifacts", f"file:{new}/c/artifacts", f"{new.as_uri()}/d/artifacts",
        f"{new}/e/artifacts", *addresses[5:],
    ]  # fmt: skip
    assert experiments == {new.as_uri()}


def test_a_place_that_is_not_empty_is_left_alone(made: World, archive: Path, tmp_path: Path, capsys: Capture) -> None:
    before = sorted(str(p) for p in made.root.rglob("*"))
    refused = run(capsys, "restore", str(archive), root=made.root)
    check_refused(refused, 2)
    assert "ledger.db already exists" in refused.err
    assert sorted(str(p) for p in made.root.rglob("*")) == before


def test_a_missing_archive_is_noticed_before_the_places(made: World, tmp_path: Path, capsys: Capture) -> None:
    refused = run(capsys, "restore", str(tmp_path / "nosuch"), root=made.root)
    check_refused(refused, 2)
    assert "there is no archive at" in refused.err
    assert "already exists" not in refused.err


def test_a_drift_report_that_says_something_else_stops_it(archive: Path, tmp_path: Path) -> None:
    report = tmp_path / "drift_reports" / "2026-11-22.json"
    report.parent.mkdir()
    report.write_text('{"other": 1}')
    with pytest.raises(BadInput, match="differs from the file in the backup"):
        restore(archive, settings_of(tmp_path), progress=Quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["drift_reports"]
    report.write_text("{}")
    assert restore(archive, settings_of(tmp_path), progress=Quiet)[0].env == "dev"


def member(name: str, body: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(body) if kind == tarfile.REGTYPE else 0, kind, link
    return info.tobuf(tarfile.GNU_FORMAT) + (body + bytes(-len(body) % 512) if info.size else b"")


SHA = "a" * 64
HOSTILE = [
    member("../escape"), member("/etc/cron.d/x"), member("cache/../../x"), member("cache//x"), member("./ledger.db"),
    member("ledger.db/x"), member("notes.txt"), member("cache/short/model"), member(f"cache/{SHA}/a\\b"),
    member("cache/x", kind=tarfile.SYMTYPE, link="/etc/passwd"), member("cache", kind=tarfile.DIRTYPE),
    member(f"cache/{SHA}/x", kind=tarfile.LNKTYPE, link="ledger.db"), member(f"cache/{SHA}/f", kind=tarfile.FIFOTYPE),
    member(f"cache/{SHA}/d", kind=tarfile.CHRTYPE), member("traces.db") * 2, member("ledger.db-wal"),
    member("mlartifacts/a") + member("mlartifacts/a/b"), member("mlartifacts/a/b") + member("mlartifacts/a"),
    member(f"mlartifacts/{'a' * 300}"), member("mlartifacts/a\x1b[31m"), member("days/../../x"),
    member("days/ledger.db"), member(f"days/cache/{SHA}/x.parquet"), member("days/keys/x.pem"),
    member("drift_reports/run.sh"),
]  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_archive_is_refused_and_leaves_nothing(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(raw + bytes(1024))
    with pytest.raises(BadInput):
        restore(tmp_path / "in" / "a.tar", settings_of(tmp_path / "out" / "project"), progress=Quiet)
    assert not list((tmp_path / "out").rglob("*.*"))
    assert not (tmp_path / "escape").exists()


def parsed(archive: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def forged(members: list[tuple[str, bytes]], path: Path) -> Path:
    path.write_bytes(b"".join(member(name, body) for name, body in members) + bytes(1024))
    return path


def without(part: str) -> Callable[[list[tuple[str, bytes]]], Iterator[tuple[str, bytes]]]:
    return lambda members: ((name, body) for name, body in members if not name.startswith(part))


def changed(part: str) -> Callable[[list[tuple[str, bytes]]], Iterator[tuple[str, bytes]]]:
    def change(members: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for name, body in members:
            at = len(body) // 2
            yield name, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if name.startswith(part) else body

    return change


@pytest.mark.parametrize("part", ["traces.db", "ledger.db", "cache/", "drift_reports/", "days/", "SHA256SUMS"])
@pytest.mark.parametrize("how", [without, changed])
def test_what_was_changed_or_left_out_is_found(archive: Path, tmp_path: Path, part: str, how: Any) -> None:
    file = forged(list(how(part)(parsed(archive))), tmp_path / "changed.tar")
    with pytest.raises(Damaged):
        restore(file, settings_of(tmp_path / "new"), progress=Quiet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["changed.tar"]


def test_a_manifest_of_another_kind_or_none(archive: Path, tmp_path: Path) -> None:
    *members, (name, raw) = parsed(archive)
    other = json.dumps({**json.loads(raw), "schema": "spine.backup/2"}).encode()
    for last in ([], [(name, other)], [(name, b"{}")], [(name, raw), ("days/x.parquet", b"more")]):
        with pytest.raises(SpineError):
            restore(forged([*members, *last], tmp_path / "a.tar"), settings_of(tmp_path / "new"), progress=Quiet)
        assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())


def test_an_mlflow_store_that_is_no_database_is_refused(archive: Path, tmp_path: Path) -> None:
    from modelspine.maintenance.backup import _seal

    settings = settings_of(tmp_path / "new")
    with created(tmp_path / "a.tar") as writer:
        for name, body in (("ledger.db", dict(parsed(archive))["ledger.db"]), ("mlflow.db", b"no database" * 999)):
            writer.text(name, body)
        _seal(writer, settings, Head(1, "0" * 64), "dev")
    with pytest.raises(Damaged, match=r"mlflow\.db is not an intact database"):
        restore(tmp_path / "a.tar", settings, progress=Quiet)
    assert not (tmp_path / "new").exists()


def test_cut_at_any_block_or_with_something_behind_it_is_refused(archive: Path, tmp_path: Path) -> None:
    raw = archive.read_bytes()
    packed = gzip.compress(raw, 1)
    cuts = [raw[: len(raw) * n // 13 // 512 * 512] for n in range(13)] + [
        packed[: len(packed) * n // 5] for n in range(1, 5)
    ]
    for number, part in enumerate([*cuts, raw + b"x", raw[:700], b"", b"\x1f\x8b", packed[:-8] + bytes(8)]):
        (tmp_path / "cut.tar").write_bytes(part)
        with pytest.raises(SpineError):
            restore(tmp_path / "cut.tar", settings_of(tmp_path / "new"), progress=Quiet)
        assert not (tmp_path / "new" / ".spine").exists(), number
    with pytest.raises(BadInput, match="no archive"):
        restore(tmp_path / "nosuch.tar", settings_of(tmp_path / "new"), progress=Quiet)


def members(tar: tarfile.TarFile) -> dict[str, bytes]:
    """What an archive holds, but for its sums and the change counters in the header page of a database."""
    found = {}
    for name in tar.getnames():
        if name not in ("SHA256SUMS", "MANIFEST.json"):
            body = tar.extractfile(name).read()  # type: ignore[union-attr]
            found[name] = body[:24] + body[28:92] + body[96:] if name.endswith(".db") else body
    return found


def test_flipped_bits_are_found_or_change_nothing(archive: Path, tmp_path: Path) -> None:
    raw = archive.read_bytes()
    rng = random.Random(7)
    refused = 0
    for number in range(24):
        at, place = rng.randrange(len(raw)), tmp_path / f"{number}"
        (tmp_path / "a.tar").write_bytes(raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :])
        try:
            restore(tmp_path / "a.tar", settings_of(place), progress=Quiet)
        except SpineError:
            refused += 1
            assert not place.exists()
        else:
            backup(settings_of(place), tmp_path / f"{number}.tar", progress=Quiet)
            with tarfile.open(tmp_path / f"{number}.tar") as again, tarfile.open(archive) as first:
                # A copy of a database counts itself as a change in its header; every page of rows is the same.
                assert members(again) == members(first)
    assert refused > 8


def test_a_member_larger_than_the_disk_is_not_begun(tmp_path: Path) -> None:
    info = tarfile.TarInfo("traces.db")
    info.size = 2**60
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(SpineError, match="room"):
        restore(tmp_path / "a.tar", settings_of(tmp_path / "new"), progress=Quiet)


def test_a_long_name_survives(tmp_path: Path) -> None:
    from modelspine.maintenance.tar_archive import opened

    name = "mlartifacts/" + "/".join(["n" * 120] * 4)
    with created(tmp_path / "a.tar") as writer:
        writer.text(name, b"body")
    assert names(tmp_path / "a.tar") == [name]
    with opened(tmp_path / "a.tar") as reader:
        assert [(found, reader.read(size)) for found, size in reader.members()] == [(name, b"body")]


@pytest.mark.parametrize("name", ["", "/", "a//b", "../a", "a/..", "a\0b", "a\nb", "\u202ea", "a\\b", "x" * 256])
def test_unsafe_names(name: str) -> None:
    assert path_fault(name)


@pytest.mark.parametrize("name", ["a", "a/b.c", ".git", "日本語　語.txt", "a\u200cb", "x" * 255, "é" * 127, "a b:c"])
def test_safe_names(name: str) -> None:
    assert path_fault(name) is None


def test_every_member_has_one_place(made: World) -> None:
    settings = settings_of(made.root)
    assert place_of(settings, "ledger.db") == settings.home / "ledger.db"
    assert place_of(settings, f"cache/{SHA}/config.json") == settings.cache / SHA / "config.json"
    assert [place_of(settings, name) for name in ("x.db", "ledger", "cache", "cache/x", "other/x")] == [None] * 5


def test_a_backup_that_fails_leaves_no_file(made: World, tmp_path: Path) -> None:
    with pytest.raises(TypeError), created(tmp_path / "a.tar") as writer:
        writer.text("x", None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpineError, match="shorter"), created(tmp_path / "b.tar") as writer:
        writer._add("x", io.BytesIO(b"ab"), 3)
    assert list(tmp_path.iterdir()) == []
