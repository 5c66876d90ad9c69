"""What answer 8 proposes where several entries are right, and that its commands run as they are printed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles import write_baseline, write_bundle
from cli_world import REQUEST, World, make_world
from modelspine.cli import main
from modelspine.incident.finding import Finding
from modelspine.spine import Spine, open_spine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Production v0.1.0 is wrong about the request; v0.2.0 and, newer and with a better total, v0.4.0 are right."""
    world = make_world(tmp_path_factory.mktemp("way") / "project")
    write_baseline(world.root, k=80)
    with open_spine(world.root) as spine:
        newest = spine.registry.register(write_bundle(world.root / "made" / "4", 11, k=97)).sha
        spine.registry.promote(newest, "v0.4.0", reason="the newest")
    return world


@pytest.fixture
def root(made: World, tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = Path(shutil.copytree(made.root, tmp_path / "project"))
    monkeypatch.chdir(copy)
    return copy


def walked() -> Finding:
    with open_spine(Path(), readonly=True) as spine:
        return spine.incident(REQUEST).answers[7]


def run(found: Finding) -> list[str]:
    """Run every command of a suggestion as it stands there, in its order."""
    suggestion = found.evidence["suggestion"]
    commands = [suggestion] if suggestion.startswith("spine ") else re.findall("`(spine .*?)`", suggestion)
    assert commands
    assert found.command == commands[0]
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    return commands


def was_stable(spine: Spine) -> None:
    spine.routing.single("v0.2.0", reason="better")
    spine.routing.rollback("v0.1.0", reason="a mistake of mine")


def lost_its_canary(spine: Spine) -> None:
    spine.routing.canary("v0.4.0", reason="the newest")
    spine.routing.abort(reason="canary fail: graded -32.7 pp")


def failed_the_gate(spine: Spine) -> None:
    baseline = spine.settings.eval_baseline
    kept = baseline.read_bytes()
    write_baseline(Path(), k=100)
    assert main(["gate", "v0.4.0"]) == 1
    baseline.write_bytes(kept)


def nothing(spine: Spine) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ((was_stable, lost_its_canary), ["release v0.2.0", "rollback v0.2.0"]),
        ((lost_its_canary,), ["route single v0.2.0"]),
        ((nothing,), ["route single v0.4.0"]),
        ((failed_the_gate,), ["gate v0.4.0", "route single v0.4.0"]),
    ],
)
def test_the_entry_that_passed_live_is_preferred(
    root: Path, before: tuple[Callable[[Spine], None], ...], then: list[str]
) -> None:
    with open_spine(root) as spine:
        for happened in before:
            happened(spine)
    commands = run(walked())
    assert [command.split(" --reason")[0] for command in commands] == [f"spine {each}" for each in then]
    with open_spine(root, readonly=True) as spine:
        route = spine.registry.route()
    assert route is not None
    assert route.stable.semver == then[-1].split()[-1], "the last command moved the traffic"


def test_a_held_entry_that_was_never_stable_gets_a_canary(root: Path) -> None:
    with open_spine(root) as spine:
        lost_its_canary(spine)
        spine.registry.tombstone("v0.2.0", reason="a test")
    found = walked()
    assert found.evidence["release"] is not None
    assert [command.split(" --")[0] for command in run(found)] == [
        "spine release v0.4.0",
        "spine route canary v0.4.0",
    ]


def test_a_rollout_in_progress_is_not_aborted_for_one_complaint(root: Path) -> None:
    with open_spine(root) as spine:
        lost_its_canary(spine)
        spine.registry.tombstone("v0.2.0", reason="a test")
        wrong = spine.registry.register(write_bundle(root / "made" / "5", -2)).sha
        spine.registry.promote(wrong, "v0.5.0", reason="a test")
        spine.routing.canary(wrong, reason="a test")
    found = walked()
    assert (found.evidence["go_to"], found.evidence["release"]) == (None, None)
    assert "the rollout of v0.5.0" in found.evidence["suggestion"]
    assert run(found) == ["spine route show"]
