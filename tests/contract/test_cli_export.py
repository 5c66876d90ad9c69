"""``spine traces export``: a closed day leaves the live store, and every walk gives the answers it gave."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli_world import HOSTILE, World, check_refused, leave_trace, make_world, run

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
    assert Path(day["file"]) == Path.cwd() / ".spine" / "parquet" / f"day={old_day}" / "traces.parquet"
    assert [run(capsys, *words) for words in asked] == before
    shutil.move(".spine/parquet", "elsewhere")
    check_refused(run(capsys, "incident", OLD), 2)


def test_every_closed_day_and_never_today(capsys: Capture, old_day: str) -> None:
    done = run(capsys, "traces", "export")
    assert done.code == 0
    assert "\x1b" not in done.out
    yesterday = day_of(time.time_ns() - DAY_NS)
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == [old_day, yesterday]
    assert "as it was" in run(capsys, "traces", "export").out
    today = datetime.now(UTC).date()
    for words in (
        ["--day", today.isoformat()], ["--day", (today + timedelta(1)).isoformat()],
        ["--before", (today + timedelta(1)).isoformat()], ["--day", old_day, "--before", old_day],
        ["--prune", "--out", "elsewhere"], ["--day", "yesterday"],
    ):  # fmt: skip
        check_refused(run(capsys, "traces", "export", *words), 2)
    assert run(capsys, "traces", "export", "--before", old_day, "--json").json == {"days": []}
    assert run(capsys, "traces", "export", "--day", "2001-01-01").out == "there is nothing to export\n"


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
    Path(f".spine/parquet/day={old_day}/traces.parquet").write_bytes(b"PAR1")
    check_refused(run(capsys, "traces", "list"), 5)
    check_refused(run(capsys, "traces", "export", "--day", old_day), 5)
