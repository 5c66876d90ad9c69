"""What going back costs is printed before the change, and never prevents it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles import write_bundle
from cli_world import SAID, World, check_refused, leave_trace, make_world, run
from modelspine.errors import Unavailable
from modelspine.release import rollback_cost as module
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def world(tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """v0.2.0 with 95 of 100 in production; v0.1.0 had 80, and one of its answers was dismissed."""
    made = make_world(tmp_path / "project")
    monkeypatch.chdir(made.root)
    leave_trace(made.root, "req-wrong-0001", SAID, SAID, "dismissed", graded=False)
    with open_spine(made.root) as spine:
        spine.routing.single(made.loud, reason="better")
    return made


def test_rollback_says_what_it_costs_before_the_event(world: World, capsys: Capture) -> None:
    cost, event, *_ = run(capsys, "rollback", "v0.1.0", "--reason", "x").out.splitlines()
    assert cost == ("cost: gives up 8 of 50 on tense/past_simple and less in 1 other bucket; reopens 1 incident")
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
    assert (done.code, done.out.splitlines()[0]) == (0, f"cost: what it gives up is unknown: {why}")
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
    assert back.out.startswith("cost: gives up 8 of 50 on ")
    first = run(capsys, "route", "single", "v0.3.0", "--reason", "x", "--json").json
    assert first["cost"] is None
