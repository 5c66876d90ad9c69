"""``spine traces export``: a closed day leaves the live store, and every walk gives the answers it gave."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli_world import HOSTILE, World, check_refused, leave_trace, make_world, run
from miniobserve.objects.cloud import Cloud
from miniobserve.writer import TraceWriter
from modelspine import settings
from modelspine.ledger.route import assign, shadow_assignment
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
OLD = "req-six-months-ago"
DAY_NS = 86_400_000_000_000
AGO = 183 * DAY_NS


def day_of(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).date().isoformat()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, int]:
    """The project, with requests of six months ago and of yesterday beside today's."""
    world = make_world(tmp_path_factory.mktemp("export") / "project")
    then = time.time_ns() - AGO
    leave_trace(world.root, OLD, HOSTILE, HOSTILE, "dismissed", started_ns=then)
    leave_trace(world.root, "req-yesterday", "went", "went", started_ns=time.time_ns() - DAY_NS)
    return world, then


@pytest.fixture
def old_day(made: tuple[World, int], tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> str:
    root = tmp_path / "copy"
    shutil.copytree(made[0].root, root)
    monkeypatch.chdir(root)
    return day_of(made[1])


def only_file(day: str) -> Path:
    """The one Parquet file of a day."""
    (file,) = Path(f".spine/parquet/day={day}").rglob("*.parquet")
    return file


def test_verify_reads_the_exported_days_again(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--day", old_day, "--prune", "--json")
    file = only_file(old_day)
    sound = run(capsys, "verify", "--json")
    assert (sound.code, exports(sound.json)) == (0, (1, []))
    whole = file.read_bytes()
    for bytes_ in (whole[:-100], whole.replace(b"PAR1", b"PAR2"), b""):
        file.write_bytes(bytes_)
        found = run(capsys, "verify", "--json")
        (problem,) = exports(found.json)[1]
        assert (found.code, old_day in problem) == (5, True)
    file.unlink()
    (problem,) = exports(run(capsys, "verify", "--json").json)[1]
    assert problem.endswith("is missing")
    (file.parents[2] / "manifest-1.json").unlink()
    assert exports(run(capsys, "verify", "--json").json)[1] == [
        f"{old_day}: it was pruned from the live store, and its manifest is missing"
    ]


def test_a_pruned_day_whose_files_are_gone_is_named_and_not_checked(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--prune", "--json")
    shutil.rmtree(f".spine/parquet/day={old_day}")
    found = run(capsys, "verify", "--json")
    (check,) = (check for check in found.json["checks"] if check["name"] == "exports")
    missing = "it was pruned from the live store, and its files are not there"
    assert (check["checked"], check["problems"], check["not_checked"]) == (1, [], [f"{old_day}: {missing}"])
    shutil.move(".spine/parquet", ".spine/elsewhere")
    out = run(capsys, "verify").out
    assert f"{old_day}: {missing}" in " ".join(out.split())
    assert "all sound" not in out


def test_an_exported_day_that_cannot_be_read_is_not_checked(
    capsys: Capture, old_day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "traces", "export", "--day", old_day)
    real = Path.open

    def denied(path: Path, *words: Any, **more: Any) -> Any:
        if path.suffix == ".parquet":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **more)

    monkeypatch.setattr(Path, "open", denied)
    found = run(capsys, "verify", "--json")
    assert (found.code, exports(found.json)) == (0, (0, []))
    (check,) = (check for check in found.json["checks"] if check["name"] == "exports")
    assert check["not_checked"][0].startswith("1 day: ")
    assert "Permission denied" in check["not_checked"][0]


def test_what_a_killed_export_left_is_swept(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--day", old_day)
    file = only_file(old_day)
    shutil.copy(file, file.with_name(f"part-{'0' * 12}.parquet"))
    check_refused(run(capsys, "traces", "export", "--sweep", "--prune"), 2)
    assert len(run(capsys, "traces", "export", "--sweep", "--json").json["deleted"]) == 1
    assert run(capsys, "traces", "export", "--sweep").out == "deleted 0 files that no manifest lists\n"
    assert only_file(old_day) == file


def test_a_day_goes_to_a_bucket(capsys: Capture, old_day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every walk finds it there, and a store that replaces objects is refused before anything is pruned."""
    before = run(capsys, "traces", "show", OLD, "--json")
    place = f"memory://{Path.cwd().parent.name}"
    monkeypatch.setenv("SPINE_PARQUET", place)
    # The settings refuse a place in memory, which only this process has.
    checked = settings.place
    monkeypatch.setattr(settings, "place", lambda name, *rest: place if name == "parquet" else checked(name, *rest))
    monkeypatch.setattr("miniobserve.export.LISTING_SECONDS", -1)
    with monkeypatch.context() as patch:
        real = Cloud.put
        patch.setattr(Cloud, "put", lambda self, key, source, **_: real(self, key, source, replace=True))
        refused = run(capsys, "traces", "export", "--day", old_day, "--prune")
        check_refused(refused, 3)
        assert "ignores create-only puts" in refused.err
    (day,) = run(capsys, "traces", "export", "--day", old_day, "--prune", "--json").json["days"]
    assert (day["pruned"], day["file"]) == (1, f"{place}/day={old_day}/manifest-1.json")
    assert not Path(".spine/parquet").exists()
    assert run(capsys, "traces", "show", OLD, "--json") == before
    assert sorted(path.suffix for path in Path(".spine/cache/days").iterdir()) == [".ids", ".parquet"]
    assert exports(run(capsys, "verify", "--json").json) == (1, [])


def exports(found: dict[str, Any]) -> tuple[int, list[str]]:
    """How many exported days were checked, and what is wrong with them."""
    (check,) = (check for check in found["checks"] if check["name"] == "exports")
    return check["checked"], check["problems"]


def test_a_request_of_six_months_ago_still_walks(capsys: Capture, old_day: str) -> None:
    asked = (
        ["incident", OLD, "--json"], ["incident", OLD], ["traces", "show", OLD, "--json"], ["traces", "show", OLD],
        ["traces", "list", "--json"], ["traces", "list", "--day", old_day], ["traces", "list", "--limit", "1"],
        ["traces", "list", "--outcome", "dismissed", "--json"], ["impact", "data/v1.jsonl", "--json"],
    )  # fmt: skip
    before = [run(capsys, *words) for words in asked]
    assert before[0].code == 0
    done = run(capsys, "traces", "export", "--day", old_day, "--prune", "--json")
    (day,) = done.json["days"]
    assert (day["day"], day["rows"], day["pruned"], day["written"]) == (old_day, 1, 1, True)
    assert Path(day["file"]) == Path.cwd() / ".spine" / "parquet" / f"day={old_day}" / "manifest-1.json"
    assert [run(capsys, *words) for words in asked] == before
    shutil.move(".spine/parquet", "elsewhere")
    check_refused(run(capsys, "incident", OLD), 2)


def test_a_closed_day_is_counted_as_it_was(capsys: Capture, old_day: str) -> None:
    """Drift, cost and the comparison of arms say of a pruned day what they said while it was live."""
    with open_spine(Path.cwd()) as spine:
        spine.routing.shadow("v0.2.0", reason="what would it say?")
        epoch = spine.registry.state().seq
        route = spine.registry.route()
    assert route is not None
    given = assign(route, "learner-1", sticky=True)
    arm = route.shadow
    assert arm is not None
    paid = {"stages": {"decode": 0.72}, "cost": 1e-5, "rate_per_hour": 0.05, "input_tokens": 5, "output_tokens": 5}
    then = time.time_ns() - AGO
    for number in range(9):
        told = {"started_ns": then + number, "features": {"length": str(number % 3)}, "graded": number % 2 > 0}
        one = f"req-closed-{number}"
        leave_trace(Path.cwd(), one, "x", "x", "accepted" if number else None, assignment=given, **told, **paid)
        told |= {"graded": True, "assignment": shadow_assignment(given, arm), "shadow_of": one}
        leave_trace(Path.cwd(), f"req-copied-{number}", "x", "x", **told, **paid)
    asked = (
        ["drift", "report", "--day", old_day, "--json"], ["cost", "--day", old_day, "--json"],
        ["route", "report", "--epoch", str(epoch), "--json"],
    )  # fmt: skip
    everything = run(capsys, "cost", "--json").json
    before = [run(capsys, *words).json for words in asked]
    assert before[0]["window"]["n"] == 10
    assert [before[1]["entries"][0][name] for name in ("priced", "shadow")] == [9, 9]
    assert before[2]["arms"][0]["feedback"]["accepted"] == 8
    assert {square["bucket"] for square in before[2]["shadow"]["buckets"]} == {"length=0", "length=1", "length=2"}
    assert run(capsys, "traces", "export", "--prune", "--json").json["days"][0]["pruned"] == 19
    after = [run(capsys, *words).json for words in asked]
    assert before[1].pop("at") < after[1].pop("at")
    assert (before[0].pop("created"), after[0].pop("created")) == (True, False), "the same day is the same report"
    assert after == before
    assert run(capsys, "cost", "--json").json["requests"] == everything["requests"]
    with sqlite3.connect(".spine/traces.db") as store:
        store.execute("DELETE FROM requests")
    assert run(capsys, "drift", "report", "--json").json["day"] == day_of(time.time_ns() - DAY_NS), "the newest day"


def test_every_closed_day_and_never_today(capsys: Capture, old_day: str) -> None:
    done = run(capsys, "traces", "export")
    assert done.code == 0
    assert "\x1b" not in done.out
    yesterday = day_of(time.time_ns() - DAY_NS)
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == [old_day, yesterday]
    assert "unchanged" in run(capsys, "traces", "export").out
    today = datetime.now(UTC).date()
    for words in (
        ["--day", today.isoformat()], ["--day", (today + timedelta(1)).isoformat()],
        ["--before", (today + timedelta(1)).isoformat()], ["--day", old_day, "--before", old_day],
        ["--prune", "--out", "elsewhere"], ["--day", "some day"],
    ):  # fmt: skip
        check_refused(run(capsys, "traces", "export", *words), 2)
    assert run(capsys, "traces", "export", "--before", old_day, "--json").json == {"days": []}
    assert run(capsys, "traces", "export", "--day", "2001-01-01").out == "there is nothing to export\n"


def test_a_plain_export_takes_feedback_into_a_day_that_left_the_store(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--prune")
    assert run(capsys, "traces", "export").out == "there is nothing to export\n"
    told = TraceWriter(settings.load(Path.cwd()).traces, archive=Path(".spine/parquet"))
    assert told.feedback(OLD, "revised").result(5) is True
    told.close()
    (day,) = run(capsys, "traces", "export", "--json").json["days"]
    assert (day["day"], day["written"]) == (old_day, True)
    (file,) = Path(f".spine/parquet/day={old_day}").glob("said-*.parquet")
    assert duckdb.sql(f"SELECT request_id, outcome FROM '{file}'").fetchall() == [(OLD, "revised")]
    assert run(capsys, "traces", "export").out == "there is nothing to export\n"
    assert exports(run(capsys, "verify", "--json").json) == (2, [])


def test_another_folder_and_one_that_cannot_be_written(capsys: Capture, old_day: str) -> None:
    done = run(capsys, "traces", "export", "--day", old_day, "--out", "backup/days", "--json")
    assert Path(done.json["days"][0]["file"]).is_file()
    assert not Path(".spine/parquet").exists()
    Path("file").write_text("x")
    check_refused(run(capsys, "traces", "export", "--out", "file/days"), 3)
    info = json.loads(run(capsys, "info", "--json").out)
    assert info["stores"]["parquet"]["state"] == "missing"


def test_a_broken_day_is_damage(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--prune")
    only_file(old_day).write_bytes(b"PAR1")
    check_refused(run(capsys, "traces", "list"), 5)
    manifest = Path(f".spine/parquet/day={old_day}/manifest-1.json")
    manifest.write_text("{}")
    check_refused(run(capsys, "traces", "export", "--day", old_day), 5)


def test_a_day_of_an_earlier_version_names_the_command(capsys: Capture, old_day: str) -> None:
    run(capsys, "traces", "export", "--day", old_day, "--prune")
    shutil.rmtree(".spine/parquet")
    old = Path(".spine/parquet/day=2026-03-02")
    old.mkdir(parents=True)
    (old / "traces.parquet").write_bytes(b"PAR1")
    refused = run(capsys, "traces", "show", OLD)
    check_refused(refused, 3)
    assert "spine migrate" in refused.err
