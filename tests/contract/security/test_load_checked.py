"""In prod a service with a workload promotes only what was loaded: its stored copy, by a process without a key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_baseline, write_bundle
from cli_world import Done, check_refused, run
from modelspine.gate.eval_report import read_report
from modelspine.identity.bundle import read_bundle
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

Capture = pytest.CaptureFixture[str]
COUNTING = Path(__file__).parents[2] / "fixtures" / "counting"


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """A prod ledger whose workload is ``counting``, with a committed baseline and key."""
    root = tmp_path / "prod"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(COUNTING))
    monkeypatch.setenv("COUNTING_PLAN", str(tmp_path / "plan.json"))
    plan()
    create_ledger(load(root, environ={"SPINE_ROOT": str(root)}), "prod")
    write_baseline(root)
    (root / "spine.toml").write_text('workload = "counting"\n')
    (root / ".gitignore").write_text(".spine/\nmade/\n*.json\n!eval_baseline.json\n!spine.trust.json\n")
    assert run(capsys, "keys", "new", "--name", "ci", "--out", str(tmp_path / "ci.pem")).code == 0
    subprocess.run(["git", "init", "-q"], check=True)
    commit()
    monkeypatch.setenv("SPINE_SIGNING_KEY", (tmp_path / "ci.pem").read_text())
    return root


def commit() -> None:
    for words in (["add", "-A"], ["commit", "-qm", "change"]):
        subprocess.run(["git", *words], check=True)


def plan(**more: Any) -> None:
    """What the workload does; it forgets what it was asked before."""
    (Path.cwd().parent / "plan.json").write_text(json.dumps({"outputs": {}, **more}))
    (Path.cwd().parent / "plan.calls").unlink(missing_ok=True)


def loads(root: Path) -> list[dict[str, Any]]:
    file = root.parent / "plan.calls"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def registered(root: Path, **report: Any) -> str:
    folder = write_bundle(root / "made" / "1", 1)
    (folder / "eval_report.json").write_text(json.dumps(eval_report(95, 100, **report)))
    with open_spine(root) as spine:
        return spine.registry.register(folder).sha


def without_workload(root: Path, capsys: Capture, *words: str) -> Done:
    """Run a command while the project names no workload, as a project that only keeps a registry does."""
    text = (root / "spine.toml").read_text()
    (root / "spine.toml").write_text('actor = "nobody"\n')
    commit()  # only what is committed counts
    try:
        return run(capsys, *words)
    finally:
        (root / "spine.toml").write_text(text)
        commit()


def promote(capsys: Capture, sha: str) -> Done:
    return run(capsys, "promote", sha, "--semver", "v1.0.0", "--reason", "x", "--verdict", "verdict.json")


def kinds(root: Path) -> Sequence[str]:
    with open_spine(root, readonly=True) as spine:
        return [event.kind for event in spine.registry.events()]


def test_who_signs_has_the_stored_copy_loaded_by_a_process_without_the_key(prod: Path, capsys: Capture) -> None:
    sha = registered(prod)
    assert run(capsys, "gate", sha, "--sign").code == 0
    (call,) = loads(prod)
    assert (call["verb"], Path(call["bundle"]).name) == ("load", sha)
    assert "SPINE_SIGNING_KEY" not in call["variables"]
    assert not [value for value in call["values"] if "PRIVATE KEY" in value]
    with open_spine(prod, readonly=True) as spine:
        report = spine.ledger.get(str(spine.registry.events()[-1].body["report"]))
    assert read_report(report).was_loaded(sha)
    assert {**json.loads(report), "loaded": None} == {**eval_report(95, 100), "loaded": None}
    plan()
    done = promote(capsys, sha)
    assert (done.code, "load not checked" in done.out) == (0, False)
    assert loads(prod) == [], "promoting loads nothing"


def test_a_verdict_on_a_report_without_that_record_is_refused(prod: Path, capsys: Capture) -> None:
    sha = registered(prod)
    assert without_workload(prod, capsys, "gate", sha, "--sign").code == 0
    assert loads(prod) == []
    refused = promote(capsys, sha)
    check_refused(refused, 1)
    assert "load not checked" in refused.err
    assert "spine evaluate REF" in refused.err
    assert kinds(prod)[-1] == "denied"


def test_a_project_without_a_workload_is_told(prod: Path, capsys: Capture) -> None:
    sha = registered(prod)
    assert without_workload(prod, capsys, "gate", sha, "--sign").code == 0
    words = ("promote", sha, "--semver", "v1.0.0", "--reason", "x", "--verdict", "verdict.json")
    done = without_workload(prod, capsys, *words)
    assert (done.code, "! load not checked" in done.out) == (0, True)


@pytest.mark.parametrize(
    "wrong", [{"sha": "f" * 64}, {"stored": False}, {"key": True}], ids=["another entry", "another copy", "with a key"]
)
def test_a_record_of_something_else_is_none(prod: Path, capsys: Capture, wrong: dict[str, Any]) -> None:
    sha = read_bundle(write_bundle(prod / "made" / "1", 1)).sha
    assert registered(prod, loaded={"sha": sha, "stored": True, "key": False, **wrong}) == sha
    assert without_workload(prod, capsys, "gate", sha, "--sign").code == 0
    check_refused(promote(capsys, sha), 1)


def test_what_does_not_load_is_not_signed_whatever_its_report_says(prod: Path, capsys: Capture) -> None:
    sha = read_bundle(write_bundle(prod / "made" / "1", 1)).sha
    assert registered(prod, loaded={"sha": sha, "stored": True, "key": False}) == sha
    plan(fails_to_load=True)
    refused = run(capsys, "gate", sha, "--sign")
    check_refused(refused, 3)
    assert "ZeroDivisionError" in refused.err
    assert not (prod / "verdict.json").exists()
    assert kinds(prod) == ["opened", "registered"]
    assert run(capsys, "gate", sha).code == 0, "a gate that signs nothing loads nothing"


def test_a_dev_promotion_says_that_the_load_was_not_checked(project: Path, capsys: Capture, echo: None) -> None:
    with open_spine(project) as spine:
        sha = spine.registry.register(write_bundle(project / "made", 1)).sha
        done = spine.registry.promote(sha, "v0.1.0", reason="x")
    assert [warning.partition(":")[0] for warning in done.warnings] == ["load not checked"]
    loaded = eval_report(95, 100, loaded={"sha": "", "stored": True, "key": False})
    folder = write_bundle(project / "other", 2)
    loaded["loaded"]["sha"] = read_bundle(folder).sha
    (folder / "eval_report.json").write_text(json.dumps(loaded))
    with open_spine(project) as spine:
        other = spine.registry.register(folder).sha
        assert spine.registry.promote(other, "v0.2.0", reason="x").warnings == ()


def test_what_is_put_in_the_place_of_a_stored_copy_while_it_is_loaded_is_not_loaded(
    prod: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts other bytes there once the right ones are hashed, and the right ones back."""
    from modelspine.release import evaluate

    sha = registered(prod)
    weights = prod / ".spine" / "cache" / sha / "model.safetensors"
    real, kept, loaded = evaluate.run_apart, weights.read_bytes(), []

    def swapped(task: Any, *words: Any) -> Any:
        weights.chmod(0o600)
        weights.write_bytes(b"other bytes")
        loaded.append((Path(task.folder) / weights.name).read_bytes())
        try:
            return real(task, *words)
        finally:
            weights.write_bytes(kept)

    monkeypatch.setattr(evaluate, "run_apart", swapped)
    assert run(capsys, "gate", sha, "--sign", "--out", "v.json").code == 0
    assert loaded == [kept], "the verdict is on what was hashed"
