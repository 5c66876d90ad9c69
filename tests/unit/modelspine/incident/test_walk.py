"""What a walk answers where the entry, the workload or the assignment is not what the trace says."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import write_bundle
from cli_world import REQUEST, SAID, World, leave_trace, make_world
from miniobserve.traces import Trace
from modelspine.errors import Unavailable
from modelspine.gate.result import Decision
from modelspine.incident.arm_answer import arm_answer
from modelspine.incident.finding import Finding
from modelspine.incident.reproduce import ask
from modelspine.incident.rollback_target import fix_answer
from modelspine.ledger.route import Route, assign
from modelspine.spine import open_spine
from modelspine.workload import Probe

UNREGISTERED = "the entry is not in the registry"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("walk") / "project")


def walked(root: Path, request_id: str = REQUEST) -> tuple[Finding, ...]:
    with open_spine(root, readonly=True) as spine:
        return spine.incident(request_id).answers


def test_an_unregistered_entry_is_named_as_the_reason(world: World, echo: None) -> None:
    leave_trace(world.root, "req-unknown-1", SAID, SAID, entry_sha="e" * 64, intended_sha="e" * 64)
    answers = walked(world.root, "req-unknown-1")
    assert answers[0].answer == f"{'e' * 12} is not in the registry"
    for number in (3, 4, 5):
        assert (answers[number - 1].answer, answers[number - 1].status) == (UNREGISTERED, "missing")


def test_a_workload_that_is_not_installed_is_named_as_the_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_WORKLOAD", "nowhere")
    rows = walked(world.root)[3]
    assert rows.status == "missing"
    assert rows.answer.startswith("there is no pattern to search for: ")
    assert "nowhere" in rows.answer
    assert rows.evidence["hint"]


def test_a_workload_that_fails_is_named_as_the_reason(
    world: World, echo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    with open_spine(world.root, readonly=True) as spine:
        monkeypatch.setattr(type(spine.workload), "probe", fail)
    rows = walked(world.root)[3]
    assert rows.answer == ("there is no pattern to search for: the workload echo failed: ZeroDivisionError: a defect")


def test_a_model_is_not_accused_of_another_answer_where_the_input_has_files(world: World, echo: None) -> None:
    photo = json.dumps({"photo": {"bytes": 3, "sha256": "ab" * 32}})
    leave_trace(world.root, "req-with-files", photo, "cat")
    leave_trace(world.root, "req-without-files", '{"photo": null}', "cat")
    model, other = walked(world.root, "req-with-files")[0], walked(world.root, "req-without-files")[0]
    assert model.status == "verified"
    assert "bytes verified; its" in model.answer
    assert "has files, about which no model can be asked again" in model.answer
    assert (other.status, "gives a different answer now" in other.answer) == ("mismatch", True)


def test_a_workload_without_a_probe_for_the_text_gives_no_pattern(world: World, echo: None) -> None:
    leave_trace(world.root, "req-no-text-1", SAID, SAID, input=None)
    assert walked(world.root, "req-no-text-1")[3].answer == "the workload gives no pattern to search for"


@pytest.fixture(scope="module")
def recorded(world: World) -> tuple[Trace, Route]:
    with open_spine(world.root, readonly=True) as spine:
        trace, route = spine.incident(REQUEST).trace, spine.registry.route()
    assert route is not None
    return trace, route


def test_a_mismatch_of_the_arm_says_what_differs(recorded: tuple[Trace, Route]) -> None:
    trace, route = recorded
    stored = trace.assignment
    assert arm_answer(trace, route).answer.endswith(", recomputed from salt and unit")

    def altered(**fields: object) -> str:
        changed = msgspec.structs.replace(trace, assignment=msgspec.structs.replace(stored, **fields))
        found = arm_answer(changed, route)
        assert found.status == "mismatch"
        assert "recomputed" not in found.answer
        return found.answer.split(" — ")[1]

    again = assign(route, "learner-1", sticky=True)
    assert altered(bucket=again.bucket ^ 1) == f"salt and unit give arm stable, bucket {again.bucket:,}"
    other = assign(route, "learner-2", sticky=True)
    assert altered(unit="learner-2") == f"salt and unit give arm stable, bucket {other.bucket:,}"
    assert altered(salt="other", u="0" * 16) == "the route and the unit give another salt, u"
    assert altered(sticky=False) == "the assignment is not sticky, but the unit is not the id of this request"


def test_a_walk_says_what_differs_in_the_arm(world: World, echo: None, recorded: tuple[Trace, Route]) -> None:
    stored = recorded[0].assignment
    altered = msgspec.structs.replace(stored, bucket=stored.bucket ^ 1)
    leave_trace(world.root, "req-altered-1", SAID, SAID, assignment=altered)
    found = walked(world.root, "req-altered-1")[5]
    assert found.status == "mismatch"
    assert found.answer.endswith(f" — salt and unit give arm stable, bucket {stored.bucket:,}")


def test_rows_of_a_table_in_a_tracked_directory_are_quoted_with_their_file(
    world: World, echo: None, tmp_path: Path
) -> None:
    table = b'n,note\n1,"they WENT\nhome"\n2,nothing\n'
    picture = b"\x89PNG\0"
    members = {"pictures/1": picture, "sub/rows.csv": table}
    listing = json.dumps([{"md5": md5(raw), "relpath": name} for name, raw in members.items()]).encode()
    for raw, name in ((table, md5(table)), (picture, md5(picture)), (listing, f"{md5(listing)}.dir")):
        file = world.root / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
    tracked = world.root / "data" / "tables.dvc"
    tracked.write_text(f"outs: [{{md5: {md5(listing)}.dir, hash: md5, path: tables}}]\n")
    corpora = [{"path": "data/tables", "dvc_hash": f"{md5(listing)}.dir"}]
    with open_spine(world.root) as spine:
        sha = spine.registry.register(write_bundle(tmp_path / "bundle", 77, corpora=corpora)).sha
    leave_trace(world.root, "req-of-tables-1", SAID, SAID, entry_sha=sha, intended_sha=sha)
    rows = walked(world.root, "req-of-tables-1")[3]
    assert rows.status == "verified"
    assert rows.answer.startswith("1 of 2 rows contain went to school → WENT; 1 file without rows was not searched;")
    assert rows.evidence["skipped"] == ["pictures/1"]
    assert rows.evidence["quoted"] == [
        {"row": 1, "text": '{"n":"1","note":"they WENT\\nhome"}', "file": "sub/rows.csv"}
    ]
    tracked.unlink()
    rows = walked(world.root, "req-of-tables-1")[3]
    assert (rows.status, rows.evidence["why"]) == ("missing", rows.answer)


def test_an_entry_that_could_not_be_read_leaves_the_fix_not_checked(
    world: World, echo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def denied(path: Any, *words: Any, **more: Any) -> int:
        if str(path).endswith(world.silent):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **more)

    leave_trace(world.root, "req-unread-1", "nobody knows", "nobody knows")
    monkeypatch.setattr(os, "open", denied)
    fix = walked(world.root, "req-unread-1")[7]
    assert fix.status == "not_checked"
    assert fix.answer.startswith("v0.2.0"), "production could not be asked, and may be right"
    assert [entry["unavailable"] for entry in fix.evidence["entries"] if "unavailable" in entry] == [True]


def test_a_gate_that_could_not_look_leaves_the_fix_not_checked(world: World, echo: None) -> None:
    def gate(_sha: str) -> Decision:
        raise Unavailable("git could not read this repository", "see `git status`")

    with open_spine(world.root) as spine:
        walk = spine.incident(REQUEST)
        wrong = msgspec.structs.replace(walk.trace, output="neither")
        outputs = {sha: ask(spine.registry, lambda: spine.workload, sha, SAID).output for sha in world[1:3]}
        probe = Probe(label="x", pattern="x", expected=outputs[world.loud], buckets=(), mark="x")
        assert outputs[world.silent] != outputs[world.loud], "production is wrong, and the other one is right"
        found = fix_answer(spine.registry, lambda: spine.workload, wrong, probe, gate)
    assert found.status == "not_checked"
    assert "git could not read this repository" in found.answer


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()
