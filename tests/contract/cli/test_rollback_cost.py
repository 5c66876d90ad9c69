"""What going back costs is printed before the change, and never prevents it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from bundles import write_bundle
from cli_world import SAID, World, check_refused, leave_trace, make_world, run
from modelspine.errors import Unavailable
from modelspine.release import rollback_cost as module
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
UNGRADED = "the workload does not know the right answer"
LEFT = f"1 complaint not checked: {UNGRADED}"


@pytest.fixture
def world(tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """v0.2.0 with 95 of 100 in production; v0.1.0 had 80, and one of its answers was dismissed."""
    made = make_world(tmp_path / "project")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("ECHO_JUDGES", "1")
    leave_trace(made.root, "req-wrong-0001", SAID, SAID, "dismissed", graded=False)
    with open_spine(made.root) as spine:
        spine.routing.single(made.loud, reason="better")
    return made


def test_rollback_makes_the_change_and_then_says_what_it_costs(world: World, capsys: Capture) -> None:
    event, *_, cost = run(capsys, "rollback", "v0.1.0", "--reason", "x").out.splitlines()
    loses = "gives up 8 of 50 on tense/past_simple and less in 1 other bucket"
    assert cost == f"cost: {loses}; reopens 1 incident, {LEFT}"
    assert event.startswith("#9 rolled_back ")


def test_the_json_has_the_whole_cost(world: World, capsys: Capture) -> None:
    found = run(capsys, "rollback", "v0.1.0", "--reason", "x", "--json").json
    cost = found["cost"]
    assert cost["sentence"].startswith("gives up 8 of 50 on ")
    assert (cost["target"], cost["production"], cost["unknown"]) == (world.silent, world.loud, None)
    assert cost["losses"][0] == {
        "name": "tense/past_simple", "target": {"k": 40, "n": 50}, "production": {"k": 48, "n": 50},
    }  # fmt: skip
    assert cost["reopened"] == ["req-wrong-0001"]
    assert (cost["still_wrong"], cost["unchecked"], cost["unchecked_why"]) == (0, 1, UNGRADED)
    again = run(capsys, "rollback", "v0.1.0", "--reason", "x", "--json").json
    assert (again["created"], again["cost"]) == (False, None), "nothing changes, so nothing is given up"


@pytest.mark.parametrize(
    ("error", "why"),
    [(Unavailable("the store is away", "wait"), "the store is away"), (ValueError("a bug"), "ValueError")],
)
def test_a_cost_that_cannot_be_found_does_not_prevent_the_rollback(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "_losses", broken)
    done = run(capsys, "rollback", "v0.1.0", "--reason", "x")
    assert (done.code, done.out.splitlines()[-1]) == (0, f"cost: what it gives up is unknown: {why}")
    with open_spine(world.root, readonly=True) as spine:
        assert spine.registry.state().production == world.silent


def test_a_refused_rollback_prints_no_cost(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "rollback", world.child, "--reason", "x"), 1)
    check_refused(run(capsys, "rollback", "v0.1.0", "--reason", "x", "--expect", "3"), 4)


def test_route_single_says_it_only_for_an_entry_that_was_stable_before(world: World, capsys: Capture) -> None:
    new = write_bundle(world.root / "made" / "new", 11)
    with open_spine(world.root) as spine:
        sha = spine.registry.register(new).sha
        spine.registry.promote(sha, "v0.3.0", reason="x")
    back = run(capsys, "route", "single", "v0.1.0", "--reason", "x")
    assert back.out.splitlines()[-1].startswith("cost: gives up 8 of 50 on ")
    first = run(capsys, "route", "single", "v0.3.0", "--reason", "x", "--json").json
    assert first["cost"] is None


def test_a_dry_run_says_what_would_happen_and_changes_nothing(world: World, capsys: Capture) -> None:
    with open_spine(world.root, readonly=True) as spine:
        before = spine.ledger.head()
    plan, cost, *traffic, last = run(capsys, "rollback", "v0.1.0", "--dry-run").out.splitlines()
    assert plan == f"would route all traffic to v0.1.0 {world.silent[:12]} and put v0.2.0 {world.loud[:12]} on hold"
    assert cost.startswith("cost: gives up 8 of 50 on ")
    assert " ".join(traffic).startswith("traffic: had v0.1.0 answered instead of v0.2.0, 2 users would have been told ")
    assert last == "nothing was changed"
    made = run(capsys, "rollback", "v0.1.0", "--dry-run", "--json").json
    assert [event["kind"] for event in made["events"]] == ["rolled_back", "held"]
    assert (made["dry_run"], made["cost"]["reopened"]) == (True, ["req-wrong-0001"])
    assert made["traffic"]["sentence"] in " ".join(traffic)
    assert made["traffic"]["found"]["a"]["false_accepts"] == 2
    with open_spine(world.root, readonly=True) as spine:
        assert spine.ledger.head() == before


def test_a_dry_run_of_what_would_be_refused_is_refused(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "rollback", world.child, "--dry-run"), 1)
    check_refused(run(capsys, "rollback", "nothing", "--dry-run"), 2)
    done = run(capsys, "rollback", "v0.2.0", "--dry-run")
    assert done.out.startswith(f"v0.2.0 {world.loud[:12]} receives all traffic already; a rollback would change ")


def test_a_rollback_without_a_reason_is_refused_and_a_dry_run_needs_none(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "rollback", "v0.1.0"), 2)
    with open_spine(world.root, readonly=True) as spine:
        assert spine.registry.state().production == world.loud


@pytest.mark.long
def test_complaints_of_closed_days_that_are_gone_are_not_checked(world: World, capsys: Capture) -> None:
    """What was said of them stays in the live store, so their number is known."""
    now = time.time_ns()
    for ago in (40, 41):
        started = now - ago * 86_400 * 10**9
        for name, more in (("wrong", {"graded": False}), ("right", {"graded": True}), ("copy", {"shadow_of": "req-x"})):
            more |= {"started_ns": started, "entry_sha": world.silent}
            leave_trace(world.root, f"req-{name}-{ago}", SAID, SAID, "dismissed", **more)
    cost = run(capsys, "rollback", "v0.1.0", "--dry-run", "--json").json["cost"]
    assert (len(cost["reopened"]), cost["unchecked"]) == (3, 1)
    run(capsys, "traces", "export", "--prune", "--json")
    assert run(capsys, "rollback", "v0.1.0", "--dry-run", "--json").json["cost"] == cost
    one, other = sorted(path for path in Path(".spine/parquet").iterdir() if path.is_dir())
    shutil.rmtree(one)
    days = [path.name.removeprefix("day=") for path in (one, other)]
    cost = run(capsys, "rollback", "v0.1.0", "--dry-run", "--json").json["cost"]
    assert (len(cost["reopened"]), cost["unchecked"]) == (2, 2)
    assert cost["unchecked_why"] == f"the files of {days[0]} are missing, {UNGRADED}"
    shutil.rmtree(".spine/parquet")
    cost = run(capsys, "rollback", "v0.1.0", "--dry-run", "--json").json["cost"]
    assert (len(cost["reopened"]), cost["unchecked"]) == (1, 3)
    assert cost["unchecked_why"] == f"the files of {days[0]} and 1 other closed day are missing, {UNGRADED}"
