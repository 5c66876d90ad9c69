"""A manifest made of facts: what is added, what is kept, and what contradicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from cli_world import check_refused, run, track
from modelspine.errors import BadInput
from modelspine.identity.bundle import read_bundle
from modelspine.lineage.dvc_file import Member, listing_hash
from modelspine.registry.manifest import Facts, evidence_with, from_run, merged
from modelspine.registry.mlflow_runs import Run

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
SHA = "ab" * 32
CORPUS = {"path": "data/a.jsonl", "dvc_hash": "c" * 32}


def a_run(params: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> Run:
    record: dict[str, Any] = {"params": params or {}, "tags": tags or {}, "metrics": {}}
    return Run(run_id="r1", experiment_id="0", status="FINISHED", artifact_uri="", **record)


def test_facts_fill_what_a_manifest_lacks() -> None:
    facts = Facts(corpora=(CORPUS,), parent_sha=SHA, seed="7")
    assert merged({"note": "kept"}, facts) == {"note": "kept", "corpora": [CORPUS], "parent_sha": SHA, "seed": "7"}
    assert merged({"seed": 7, "corpora": [CORPUS | {"rows": 3}]}, facts)["corpora"] == [CORPUS | {"rows": 3}]
    assert merged({}, Facts()) == {}


@pytest.mark.parametrize(
    "manifest",
    [{"seed": "8"}, {"parent_sha": "cd" * 32}, {"corpora": [CORPUS | {"dvc_hash": "d" * 32}]}, {"corpora": 1}],
)
def test_what_a_bundle_says_of_itself_is_never_replaced(manifest: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="was given"):
        merged(manifest, Facts(corpora=(CORPUS,), parent_sha=SHA, seed="7"))


def test_a_run_speaks_only_for_a_bundle_without_a_manifest(make_bundle: Make) -> None:
    run = a_run({"seed": "9"}, {"mlflow.source.git.commit": "a" * 40, "mlflow.parentRunId": "r0"})
    assert from_run(run) == {
        "mlflow_run_id": "r1", "seed": "9", "hyper_parameters": {"seed": "9"}, "code": {"git_sha": "a" * 40},
        "parent_run_id": "r0",
    }  # fmt: skip
    assert from_run(a_run(tags={"mlflow.source.git.commit": "not a commit"})) == {"mlflow_run_id": "r1"}
    folder = make_bundle(1)
    assert evidence_with(folder, Facts(), run) == {}
    (folder / "train_manifest.json").unlink()
    assert json.loads(evidence_with(folder, Facts(), run)["train_manifest.json"])["seed"] == "9"
    assert evidence_with(folder, Facts(), None) == {}


def test_a_parent_that_is_given_is_part_of_the_identity(make_bundle: Make) -> None:
    written, given = make_bundle(1, parent=SHA), make_bundle(1)
    evidence = evidence_with(given, Facts(parent_sha=SHA), None)
    assert read_bundle(given, evidence=evidence).sha == read_bundle(written).sha != read_bundle(given).sha


def test_a_folder_is_registered_with_what_the_options_say(
    project: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    corpus = track(project, "tickets", [{"text": "a"}])
    parent = run(capsys, "register", str(make_bundle(1)), "--json").json["sha"]
    folder = make_bundle(2, report=False)
    (folder / "train_manifest.json").unlink()
    (project / "report.json").write_text(json.dumps(eval_report(90, 100)))
    words = ["--corpus", "data/tickets.jsonl.dvc", "--eval", "report.json", "--parent", parent[:10], "--seed", "3"]
    first = run(capsys, "register", str(folder), *words, "--json").json
    shown = run(capsys, "show", first["sha"], "--json").json
    assert shown["manifest"] == {"corpora": [corpus], "parent_sha": parent, "seed": "3"}
    assert (shown["parent_sha"], shown["accuracy"], shown["corpora"]) == (parent, 0.9, [corpus["dvc_hash"]])
    assert not (folder / "train_manifest.json").exists(), "the folder is not written to"
    again = run(capsys, "register", str(folder), *words, "--json").json
    assert (again["created"], again["warnings"]) == (False, [])
    assert run(capsys, "verify").code == 0


def test_what_a_refused_registration_left_behind_is_replaced(
    project: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are stored before the event that names them, so a refusal leaves a copy; no entry may get its evidence."""
    monkeypatch.chdir(project)
    folder = make_bundle(2, report=False)
    (project / "other.json").write_text(json.dumps(eval_report(90, 100, entry_sha=SHA)))
    (project / "own.json").write_text(json.dumps(eval_report(95, 100)))
    check_refused(run(capsys, "register", str(folder), "--eval", "other.json"), 2)
    first = run(capsys, "register", str(folder), "--eval", "own.json", "--json").json
    assert run(capsys, "show", first["sha"], "--json").json["accuracy"] == 0.95
    assert run(capsys, "verify").code == 0
    (project / "own.json").write_text(json.dumps(eval_report(80, 100)))
    again = run(capsys, "register", str(folder), "--eval", "own.json", "--json").json
    assert (again["created"], len(again["warnings"])) == (False, 1)
    assert run(capsys, "verify").code == 0, "the stored copy keeps the evidence that the ledger names"


def test_a_corpus_is_added_to_an_entry_without_a_manifest_and_never_replaced(
    project: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    corpora = [track(project, name, [{"text": name}]) for name in ("first", "second")]
    folder = make_bundle(2)
    (folder / "train_manifest.json").unlink()
    before = run(capsys, "register", str(folder), "--json").json
    added = run(capsys, "register", str(folder), "--corpus", "data/first.jsonl", "--json").json
    assert (added["created"], added["sha"], added["warnings"]) == (True, before["sha"], [])
    again = run(capsys, "register", str(folder), "--corpus", "data/second.jsonl", "--json").json
    assert (again["created"], again["seq"], len(again["warnings"])) == (False, added["seq"], 1)
    without = run(capsys, "register", str(folder), "--json").json
    assert (without["created"], without["seq"]) == (False, added["seq"])
    shown = run(capsys, "show", before["sha"], "--json").json
    assert (shown["manifest"]["corpora"], shown["accuracy"] is not None) == (corpora[:1], True)
    assert run(capsys, "verify").code == 0


def test_a_file_in_a_tracked_directory_is_a_corpus(
    project: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    files = {"ü 1.jsonl": b'{"text": "a"}\n', "2.jsonl": b'{"text": "b"}\n'}
    (project / ".dvc").mkdir()
    (project / "rows").mkdir()
    for name, raw in files.items():
        (project / "rows" / name).write_bytes(raw)
    members = tuple(Member(name, hashlib.md5(raw, usedforsecurity=False).hexdigest()) for name, raw in files.items())
    (project / "rows.dvc").write_text(f"outs:\n- md5: {listing_hash(members)}\n  hash: md5\n  path: rows\n")
    for number, path in enumerate(("rows/ü 1.jsonl", "./rows/../rows/ü 1.jsonl"), 1):
        folder = make_bundle(number)
        (folder / "train_manifest.json").unlink()
        sha = run(capsys, "register", str(folder), "--corpus", path, "--json").json["sha"]
        (corpus,) = run(capsys, "show", sha, "--json").json["manifest"]["corpora"]
        assert (corpus["path"], corpus["dvc_hash"], corpus["rows"]) == ("rows/ü 1.jsonl", members[0].md5, 1)
    done = run(capsys, "register", str(make_bundle(3)), "--corpus", "rows/none.jsonl")
    check_refused(done, 2)
    assert "does not track rows/none.jsonl" in done.err
    (project / "merged.jsonl.dvc").write_text("<<<<<<< HEAD\nouts:\n")
    done = run(capsys, "register", str(make_bundle(3)), "--corpus", "merged.jsonl")
    check_refused(done, 3)
    assert "merged.jsonl.dvc cannot be read as YAML" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--corpus", "data/none.jsonl"], "DVC does not track data/none.jsonl"),
        (["--eval", "none.json"], "none.json cannot be read"),
        (["--parent", "v9.9.9"], "v9.9.9"),
        (["--seed", "2"], "or its run, and 2 was given"),
        (["--eval", "other.json"], "has its own eval_report.json"),
    ],
)
def test_what_cannot_be_said_of_a_bundle_is_refused(
    project: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(project)
    (project / "other.json").write_text(json.dumps(eval_report(90, 100)))
    done = run(capsys, "register", str(make_bundle(1)), *words)
    check_refused(done, 2)
    assert said in done.err
    assert run(capsys, "list", "--json").json["entries"] == []
