"""``spine drift``: a day becomes a report, an event and an answer of the walk."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli_world import REQUEST, SAID, World, check_refused, leave_trace, make_world, run
from modelspine.drift.days import record
from modelspine.drift.measurement import measure
from modelspine.spine import open_spine
from modelspine.times import ledger_time

Capture = pytest.CaptureFixture[str]
OLD_NS = 1_772_409_600_000_000_000
OLD = "2026-03-02"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project with an old day of 60 requests: 40 as trained on, 20 of a length no corpus row has."""
    world = make_world(tmp_path_factory.mktemp("drift") / "project")
    for number in range(60):
        leave_trace(
            world.root, f"req-old-{number:05d}", "row 1", "row 1", started_ns=OLD_NS + number, source="replay",
            features={"length": "2" if number < 40 else "9"}, unit_hash="heavy" if number % 4 else str(number),
        )  # fmt: skip
    return world


@pytest.fixture
def world(made: World, tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return made._replace(root=root)


def seqs(root: Path) -> list[int]:
    with open_spine(root, readonly=True) as spine:
        return [event.seq for event in spine.registry.events() if event.kind == "drift_reported"]


def test_a_report_is_a_file_and_an_event(world: World, capsys: Capture) -> None:
    made = run(capsys, "drift", "report", "--day", OLD, "--json").json
    assert (made["schema"], made["day"], made["entry_sha"]) == ("spine.drift/1", OLD, world.silent)
    assert made["window"]["n"] == made["window"]["replayed"] == 60
    assert (made["window"]["from"][:10], made["window"]["to"][:10]) == (OLD, "2026-03-03")
    assert made["reference"]["n"] == 50
    length = made["features"]["length"]
    assert (length["status"], length["bins"][0]["bin"]) == ("act", "(unseen)")
    assert made["created"] is True
    assert seqs(world.root) == [made["seq"]]
    with open_spine(world.root, readonly=True) as spine:
        raw = spine.ledger.get(made["digest"])
        shown = run(capsys, "drift", "show", "--day", OLD, "--json").json
        assert shown == {key: value for key, value in made.items() if key not in ("created", "ahead")}
        assert b'"spine.drift/1"' in raw
    file = world.root / "drift_reports" / f"{OLD}.json"
    assert '"psi"' in file.read_text()
    human = run(capsys, "drift", "show", "--day", OLD).out
    for part in (
        "✖ act",
        "60 answered, 60 of them replayed; 16 users, the busiest sent 75 %",
        "(unseen)",
        "50 rows",
    ):
        assert part in human


def test_the_same_day_again_is_the_same_event_and_more_traces_are_a_new_one(world: World, capsys: Capture) -> None:
    first = run(capsys, "drift", "report", "--day", OLD, "--json").json
    (world.root / "drift_reports" / f"{OLD}.json").unlink()
    again = run(capsys, "drift", "report", "--day", OLD, "--json").json
    assert (again["seq"], again["digest"], again["created"]) == (first["seq"], first["digest"], False)
    assert (world.root / "drift_reports" / f"{OLD}.json").is_file()
    assert "already recorded" in run(capsys, "drift", "report", "--day", OLD).out
    leave_trace(world.root, "req-later-1", "row 1", "row 1", started_ns=OLD_NS + 999, features={"length": "2"})
    later = run(capsys, "drift", "report", "--day", OLD, "--json").json
    assert later["seq"] > first["seq"]
    assert later["window"]["n"] == 61
    assert seqs(world.root) == [first["seq"], later["seq"]]
    assert run(capsys, "verify").code == 0


def test_many_at_once_record_it_once(world: World) -> None:
    def report(_: int) -> tuple[int, bool]:
        with open_spine(world.root) as spine:
            made = record(spine, measure(spine, OLD))
            return made.event.seq, made.created

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(report, range(4)))
    assert len({seq for seq, _ in done}) == 1
    assert [created for _, created in done].count(True) == 1
    assert len(seqs(world.root)) == 1


def test_shadow_copies_and_failures_are_no_inputs(world: World, capsys: Capture) -> None:
    leave_trace(world.root, "req-shadow-1", "x", "x", started_ns=OLD_NS + 70, shadow_of="req-old-00001")
    leave_trace(world.root, "req-failed-1", "x", "x", started_ns=OLD_NS + 71, status=500)
    assert run(capsys, "drift", "report", "--day", OLD, "--json").json["window"]["n"] == 60


def test_features_serve_where_the_text_was_not_kept(world: World, capsys: Capture) -> None:
    more = {"input": None, "output": None, "input_sha256": "0" * 64, "features": {"length": "2"}}
    for number in range(3):
        leave_trace(world.root, f"req-hashed-{number}", "row 1", "row 1", started_ns=OLD_NS + 80 + number, **more)
    assert run(capsys, "drift", "report", "--day", OLD, "--json").json["features"]["length"]["n"] == 63


def test_against_another_entry_has_a_file_of_its_own(world: World, capsys: Capture) -> None:
    run(capsys, "drift", "report", "--day", OLD)
    made = run(capsys, "drift", "report", "--day", OLD, "--against", "v0.2.0", "--json").json
    assert (made["entry_sha"], made["file"]) == (world.loud, f"{OLD}-{world.loud[:12]}.json")
    assert made["reference"]["n"] == 51
    assert run(capsys, "drift", "show", "--day", OLD, "--json").json["entry_sha"] == world.silent


def test_an_adapter_has_its_parents_reference_too(world: World, capsys: Capture) -> None:
    made = run(capsys, "drift", "report", "--day", OLD, "--against", world.child, "--json").json
    assert made["reference"]["n"] == 50
    assert made["expected_accuracy"] is None


def test_the_trend(world: World, capsys: Capture) -> None:
    none = run(capsys, "drift", "show").out
    assert "no report in the last 4 weeks" in none
    assert "2 answered, no report" in none or "1 answered, no report" in none
    run(capsys, "drift", "report", "--day", OLD)
    run(capsys, "drift", "report")
    assert "no report in the last 0 weeks" in run(capsys, "drift", "show", "--weeks", "0").out
    days = run(capsys, "drift", "show", "--weeks", "5000", "--json").json["days"]
    with open_spine(world.root, readonly=True) as spine:
        today = ledger_time(spine.trace(REQUEST).started_ns)[:10]
    assert [made["day"] for made in days] == [OLD, today]
    assert [made["day"] for made in run(capsys, "drift", "show", "--json").json["days"]] == [today]
    first = next(made for made in days if made["day"] == OLD)
    with open_spine(world.root, readonly=True) as spine:
        at = next(event.at for event in spine.registry.events() if event.seq == first["seq"])
    then = run(capsys, "drift", "show", "--weeks", "5000", "--at", at, "--json").json
    assert [made["day"] for made in then["days"]] == [OLD]
    assert then["unreported"] == [{"day": today, "answered": 1, "failed": 0}]
    human = run(capsys, "drift", "show", "--weeks", "5000").out
    assert f"{OLD} Mon  ✖ act" in human
    assert "Drifted on 1 of 1 day, 1 not judged; newest" in human
    assert "Drifted on 1 of 1 Monday; one week is too little to tell whether it repeats" in human
    whole = run(capsys, "drift", "show", "--weeks", "5000", "--json").json
    assert all(whole["sentences"][name] in human for name in ("trend", "weekdays"))
    assert [(each["name"], each["drifted"]) for each in whole["weekdays"] if each["drifted"]] == [("Monday", 1)]
    day = run(capsys, "drift", "show", "--day", OLD)
    assert day.out.startswith("Drifted: unseen length 33.6 %")
    assert day.out.startswith(run(capsys, "drift", "show", "--day", OLD, "--json").json["sentence"])
    assert "· insufficient" in human
    assert "█" in human


def test_the_walk_reads_the_recorded_report(world: World, capsys: Capture) -> None:
    def second(request: str) -> dict[str, object]:
        found: dict[str, object] = run(capsys, "incident", request, "--json").json["answers"][1]
        return found

    assert second(REQUEST)["status"] == "missing"
    seq = run(capsys, "drift", "report", "--day", OLD, "--json").json["seq"]
    found = second("req-old-00003")
    assert found["status"] == "verified"
    assert f"#{seq}" in str(found["answer"])
    file = world.root / "drift_reports" / f"{OLD}.json"
    file.write_text(file.read_text().replace('"act"', '"stable"'))
    assert "was changed afterwards" in str(second("req-old-00003")["answer"])
    file.unlink()
    assert second("req-old-00003")["status"] == "verified"
    _tamper(world.root / ".spine" / "ledger.db")
    assert second("req-old-00003")["status"] == "mismatch"
    check_refused(run(capsys, "drift", "show", "--day", OLD), 5)
    assert run(capsys, "verify").code == 5


def test_a_report_file_alone_proves_nothing(world: World, capsys: Capture) -> None:
    folder = world.root / "drift_reports"
    folder.mkdir()
    (folder / f"{OLD}.json").write_text('{"status": "stable", "features": {}}')
    found = run(capsys, "incident", "req-old-00003", "--json").json["answers"][1]
    assert (found["status"], "not recorded in the ledger" in found["answer"]) == ("recorded", True)


def test_counting_again_is_quick_and_changed_rows_are_damage(world: World, capsys: Capture) -> None:
    file = world.root / "data" / "v1.jsonl"
    run(capsys, "drift", "report", "--day", OLD)
    kept = list((world.root / ".spine" / "drift").glob("*.json"))
    assert len(kept) == 1
    rows = file.read_text()
    file.write_text(rows.replace("row 7", "ROW 7"))
    assert run(capsys, "drift", "report", "--day", OLD).code == 0  # its counts were kept by the hash
    kept[0].write_text("{")
    file.rename(file.with_suffix(".away"))
    check_refused(run(capsys, "drift", "report", "--day", OLD), 3)
    file.with_suffix(".away").rename(file)
    check_refused(run(capsys, "drift", "report", "--day", OLD), 5)
    file.write_text(rows)
    assert run(capsys, "drift", "report", "--day", OLD).code == 0


def test_an_entry_that_names_no_corpus(world: World, capsys: Capture) -> None:
    from bundles import write_bundle

    write_bundle(world.root / "made" / "4", 4)
    sha = run(capsys, "register", "made/4", "--json").json["sha"]
    check_refused(run(capsys, "drift", "report", "--day", OLD, "--against", sha), 2)


def test_a_folder_that_cannot_be_written(world: World, capsys: Capture) -> None:
    (world.root / "drift_reports").write_text("mine")
    check_refused(run(capsys, "drift", "report", "--day", OLD), 3)
    (world.root / "drift_reports").unlink()
    assert "already recorded" in run(capsys, "drift", "report", "--day", OLD).out


def test_history_tells_it(world: World, capsys: Capture) -> None:
    run(capsys, "drift", "report", "--day", OLD)
    assert f"{OLD} act, n 60, against {world.silent[:12]}" in run(capsys, "history").out
    assert SAID


def _tamper(ledger: Path) -> None:
    connection = sqlite3.connect(ledger)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE evidence SET body = replace(body, '(unseen)', '(seen)')")
    connection.commit()
    connection.close()
