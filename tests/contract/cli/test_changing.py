"""Every verb that changes something: the event it prints, what it refuses, and that nothing happens twice."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bundles import write_bundle
from cli_world import World, check_refused, make_world, run
from modelspine.settings import load
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("cli") / "project")


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return made._replace(root=root)


def head(world: World) -> int:
    with open_spine(world.root, readonly=True) as spine:
        return spine.ledger.head().seq


# init -----------------------------------------------------------------------------------------------


def test_init_in_a_plain_folder(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    done = run(capsys, "init", root=root)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"#1 opened {root}/.spine/ledger.db as dev")
    assert not (root / ".gitignore").exists()
    again = run(capsys, "init", "--json", root=root).json
    assert (again["seq"], again["created"], again["env"]) == (1, False, "dev")
    assert run(capsys, "list", "--json", root=root).json["entries"] == []


@pytest.mark.parametrize("before", [None, "build/", "build/\n", ".spine/\n"])
def test_init_in_a_git_repository_keeps_the_state_out_of_it(
    tmp_path: Path, capsys: Capture, before: str | None
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    file = tmp_path / ".gitignore"
    if before is not None:
        file.write_text(before)
    for _ in range(2):
        assert run(capsys, "init", root=tmp_path).code == 0
        assert file.read_text().split("\n").count(".spine/") == 1
        assert before is None or file.read_text().startswith(before.rstrip())
    status = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--short"], capture_output=True, text=True, check=True
    )
    assert ".spine" not in status.stdout


def test_an_environment_is_for_good(tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, "init", "--env", "prod", "--json", root=tmp_path).json["env"] == "prod"
    check_refused(run(capsys, "init", "--env", "dev", root=tmp_path), 2)
    assert run(capsys, "init", "--json", root=tmp_path).json["env"] == "prod"
    assert load(tmp_path).env == "dev"


def test_init_goes_on_where_it_was_killed(tmp_path: Path, capsys: Capture) -> None:
    """A file that SQLite made and nobody wrote to yet, and nothing beside it."""
    (tmp_path / ".spine").mkdir()
    (tmp_path / ".spine" / "ledger.db").write_bytes(b"")
    assert run(capsys, "init", "--json", root=tmp_path).json["created"] is True
    assert run(capsys, "verify", root=tmp_path).code == 0


# register, promote, route, tombstone, note ----------------------------------------------------------


def test_register_a_folder(world: World, capsys: Capture) -> None:
    write_bundle(world.root / "made" / "new", 11)
    sha = run(capsys, "sha", "made/new").out.strip()
    first = run(capsys, "register", "made/new", "--json").json
    assert (first["seq"], first["sha"], first["created"], first["kind"]) == (8, sha, True, "registered")
    again = run(capsys, "register", "made/new", "--json").json
    assert (again["seq"], again["created"]) == (8, False)
    assert "nothing was changed" in run(capsys, "register", "made/new").out
    assert head(world) == 8


def test_an_unknown_parent_is_a_warning(world: World, capsys: Capture) -> None:
    write_bundle(world.root / "made" / "orphan", 12, parent="e" * 64)
    done = run(capsys, "register", "made/orphan")
    assert done.code == 0
    assert "the parent eeeeeeeeeeee is not registered" in done.out


def test_promote_prints_the_event(world: World, capsys: Capture) -> None:
    done = run(capsys, "promote", world.loud[:8], "--semver", "v0.3.0", "--reason", "again")
    first, warning = done.out.splitlines()
    assert first == f"#8 promoted v0.3.0 {world.loud[:12]}, unsigned (dev) — again"
    assert warning.startswith("   ! load not checked")
    again = run(capsys, "promote", "v0.2.0", "--semver", "v0.3.0", "--reason", "again", "--json").json
    assert (again["seq"], again["created"], again["sha"]) == (8, False, world.loud)
    assert run(capsys, "show", "v0.3.0", "--json").json["semvers"] == ["v0.2.0", "v0.3.0"]


def test_the_first_promotion_says_that_it_routes(tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, "init", root=tmp_path).code == 0
    folder = write_bundle(tmp_path / "made", 1)
    sha = run(capsys, "register", str(folder), "--json", root=tmp_path).json["sha"]
    done = run(capsys, "promote", sha, "--semver", "v1.0.0", "--reason", "first", root=tmp_path)
    lines = [line.split()[:2] for line in done.out.splitlines()]
    assert lines == [["#3", "promoted"], ["!", "load"], ["#4", "routed"]]


@pytest.mark.parametrize(
    "words",
    [
        ["promote", "CHILD", "--semver", "v9.0.0", "--reason", "no report"],
        ["promote", "v0.2.0", "--semver", "v0.1.0", "--reason", "taken"],
        ["route", "single", "CHILD", "--reason", "never promoted"],
        ["tombstone", "production", "--reason", "takes traffic"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_what_the_rules_refuse(world: World, capsys: Capture, words: list[str]) -> None:
    check_refused(run(capsys, *[world.child if word == "CHILD" else word for word in words]), 1)
    refused = run(capsys, "history", "--limit", "1").out
    assert ("denied" in refused) == (words[0] == "promote")
    assert run(capsys, "route", "show", "--json").json["arms"][0]["sha"] == world.silent


def test_route_single(world: World, capsys: Capture) -> None:
    done = run(capsys, "route", "single", "v0.2.0", "--reason", "mends it")
    assert done.out == f"#8 routed stable v0.2.0 {world.loud[:12]} 100 % — mends it\n"
    assert run(capsys, "route", "show", "--json").json["epoch"] == 8
    again = run(capsys, "route", "single", "v0.2.0", "--reason", "mends it", "--json").json
    assert (again["seq"], again["created"]) == (8, False)


def test_tombstone_and_note(world: World, capsys: Capture) -> None:
    buried = run(capsys, "tombstone", "v0.2.0", "--reason", "wrong corpus", "--json").json
    assert (buried["seq"], buried["sha"], buried["kind"]) == (8, world.loud, "tombstoned")
    assert "✖ tombstoned" in run(capsys, "list").out
    check_refused(run(capsys, "tombstone", "v0.2.0", "--reason", "again"), 1)
    check_refused(run(capsys, "route", "single", "v0.2.0", "--reason", "back"), 1)
    assert run(capsys, "note", "reviewed", "--ref", "v0.1.0").out == f"#9 noted {world.silent[:12]}: reviewed\n"
    assert run(capsys, "note", "reviewed").out == "#10 noted reviewed\n"
    check_refused(run(capsys, "note", "x" * 2000), 2)


@pytest.mark.parametrize(
    "words",
    [
        ["promote", "v0.2.0", "--semver", "v0.9.0", "--reason", "x"],
        ["route", "single", "v0.2.0", "--reason", "x"],
        ["tombstone", "v0.2.0", "--reason", "x"],
    ],
    ids=lambda words: words[0],
)
def test_a_seq_that_is_no_longer_the_newest(world: World, capsys: Capture, words: list[str]) -> None:
    check_refused(run(capsys, *words, "--expect", "6"), 4)
    assert head(world) == 7
    assert run(capsys, *words, "--expect", "7", "--json").json["created"] is True


@pytest.mark.parametrize(
    "words",
    [
        ["promote", "v0.2.0", "--semver", "v0.9.0", "--reason", "x"],
        ["route", "single", "v0.2.0", "--reason", "x"],
        ["tombstone", "v0.2.0", "--reason", "x"],
        ["note", "x"],
    ],
    ids=lambda words: words[0],
)
def test_a_key_is_one_event(world: World, capsys: Capture, words: list[str]) -> None:
    first = run(capsys, *words, "--key", "once", "--json").json
    again = run(capsys, *words, "--key", "once", "--json").json
    assert (first["seq"], first["created"]) == (8, True)
    assert (again["seq"], again["created"]) == (8, False)
    assert head(world) == 8
    check_refused(run(capsys, "note", "something else", "--key", "once"), 4)


def test_a_failed_change_is_an_object_too(world: World, capsys: Capture) -> None:
    done = run(capsys, "route", "single", world.child, "--reason", "x", "--json")
    assert (done.code, json.loads(done.out)["error"]["kind"]) == (1, "refused")
