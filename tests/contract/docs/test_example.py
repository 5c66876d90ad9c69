"""``examples/spine_in_150_lines.py`` agrees with the product, and reports a changed byte as it does."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import rfc8785

import forge
from bundles import write_bundle
from cli_world import REQUEST, World, leave_trace, make_world, run
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "spine_in_150_lines.py"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("example") / "project")


def example(root: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the example where nothing but the standard library and rfc8785 can be imported."""
    alone = tmp_path / "alone"
    if not alone.exists():
        shutil.copytree(Path(rfc8785.__file__).parent, alone / "rfc8785")
    # -S leaves site-packages out of the path and -I ignores the environment, so only this line adds rfc8785.
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(alone)!r}); runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(root), *words]
    return subprocess.run(command, capture_output=True, text=True)


def copy_of(world: World, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world.root, tmp_path / "project"))


def write_baseline(root: Path, sha: str) -> None:
    raw = (root / ".spine" / "cache" / sha / "eval_report.json").read_bytes()
    made = baseline_of(read_report(raw), reason="the first", approved_in="#1", entry_sha=sha)
    (root / "eval_baseline.json").write_bytes(baseline_bytes(made))


def test_it_has_at_most_150_lines() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


def test_it_computes_the_same_shas(world: World, tmp_path: Path, capsys: Capture) -> None:
    for number in ("1", "2", "3"):
        bundle = str(world.root / "made" / number)
        found = json.loads(example(world.root, tmp_path, "--bundle", bundle).stdout)
        assert found["sha"] == run(capsys, "sha", bundle, "--json").json["sha"]


def test_it_follows_a_request_to_a_model_with_further_files(world: World, tmp_path: Path, capsys: Capture) -> None:
    root = copy_of(world, tmp_path)
    further = {
        "vocab.txt": b"went",
        "größe/日本語.json": b"{}",
        "a.b": b"",
        "a/b": b"x",
        "é.safetensors.index.json/x": b"",
    }
    by_products = ("README", "README.md", "LICENSE.txt", ".gitattributes", "optimizer.pt", "optimizer.bin",
                   "scheduler.pt", "scaler.pt", "rng_state_0.pth", "trainer_state.json", "training_args.bin",
                   ".git/x", "a/.cache/b/c", "a/__pycache__/d")  # fmt: skip
    further |= {"a/README": b"", "my_optimizer.pt": b"", "model.onnx": b"\x08\x07"} | dict.fromkeys(by_products, b"x")
    bundle = forge.write(write_bundle(root / "made" / "4", 4), further)
    sha = run(capsys, "register", str(bundle), "--json", root=root).json["sha"]
    assert json.loads(example(root, tmp_path, "--bundle", str(bundle)).stdout)["sha"] == sha
    assert run(capsys, "promote", sha, "--semver", "v0.4.0", "--reason", "x", root=root).code == 0
    assert run(capsys, "route", "single", "v0.4.0", "--reason", "x", root=root).code == 0
    leave_trace(root, "req-further-1", "x", "x")
    found = json.loads(example(root, tmp_path, "--request", "req-further-1").stdout)
    assert found["request"]["model"] == sha == found["state"]["production"]
    asset = root / ".spine" / "cache" / sha / "größe" / "日本語.json"
    asset.chmod(0o644)
    asset.write_bytes(b"[]")
    done = example(root, tmp_path, "--request", "req-further-1")
    assert (done.returncode, "does not have that SHA any more" in done.stderr) == (1, True)


def test_it_folds_to_the_same_state(world: World, tmp_path: Path, capsys: Capture) -> None:
    root = copy_of(world, tmp_path)
    assert run(capsys, "route", "single", "v0.2.0", "--reason", "test", root=root).code == 0
    assert run(capsys, "rollback", "v0.1.0", "--reason", "test", root=root).code == 0
    assert run(capsys, "tombstone", world.child, "--reason", "withdrawn", root=root).code == 0
    state = json.loads(example(root, tmp_path).stdout)["state"]
    entries = run(capsys, "list", "--json", root=root).json["entries"]
    assert set(state["entries"]) == {entry["sha"] for entry in entries} == {world.silent, world.loud, world.child}
    assert state["semvers"] == {entry["semver"]: entry["sha"] for entry in entries if entry["semver"]}
    assert state["tombstoned"] == {world.child: "withdrawn"}
    assert set(state["held"]) == {entry["sha"] for entry in entries if entry["status"] == "held"} == {world.loud}
    route = run(capsys, "route", "show", "--json", root=root).json
    assert state["route"]["epoch"] == route["epoch"]
    assert [arm["sha"] for arm in state["route"]["arms"]] == [arm["sha"] for arm in route["arms"]]
    assert state["production"] == world.silent


@pytest.mark.parametrize("better_is_baseline", [True, False])
def test_it_applies_the_same_rule(world: World, tmp_path: Path, capsys: Capture, better_is_baseline: bool) -> None:
    root = copy_of(world, tmp_path)
    base, candidate = (world.loud, world.silent) if better_is_baseline else (world.silent, world.loud)
    write_baseline(root, base)
    found = json.loads(example(root, tmp_path, "--gate", candidate).stdout)["blocked"]
    compared = run(capsys, "gate", candidate, "--json", root=root).json["compared"]
    rows = next(each for each in compared if each["against"] == "baseline")["buckets"]
    assert found == sorted(name for name, row in rows.items() if row["blocked"])
    assert bool(found) is better_is_baseline


def test_it_follows_a_request_to_the_corpus(world: World, tmp_path: Path, capsys: Capture) -> None:
    found = json.loads(example(world.root, tmp_path, "--request", REQUEST).stdout)["request"]
    answers = {each["n"]: each for each in run(capsys, "incident", REQUEST, "--json", root=world.root).json["answers"]}
    assert found["model"] in json.dumps(answers[1])
    assert len(found["corpora"]) == 1
    assert found["corpora"][0] in json.dumps(answers[3])


def test_it_reports_a_changed_tensor(world: World, tmp_path: Path, capsys: Capture) -> None:
    root = copy_of(world, tmp_path)
    with sqlite3.connect(root / ".spine" / "traces.db") as traces:
        (sha,) = traces.execute("SELECT entry_sha FROM requests").fetchone()
    file = root / ".spine" / "cache" / sha / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(raw)
    done = example(root, tmp_path, "--request", REQUEST)
    assert done.returncode == 1
    assert "does not have that SHA any more" in done.stderr
    assert run(capsys, "verify", root=root).code == 5


def test_it_reports_a_changed_event(world: World, tmp_path: Path, capsys: Capture) -> None:
    root = copy_of(world, tmp_path)
    with sqlite3.connect(root / ".spine" / "ledger.db") as ledger:
        for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f"DROP TRIGGER {name}")
        ledger.execute("UPDATE events SET event = replace(CAST(event AS TEXT), 'the first', 'the worst') WHERE seq > 1")
    done = example(root, tmp_path)
    assert done.returncode == 1
    assert "the hash chain is broken at event #" in done.stderr
    assert run(capsys, "verify", root=root).code == 5


def test_a_path_with_uri_characters_is_read_and_nothing_is_created(world: World, tmp_path: Path) -> None:
    for name in ("what?mode=rwc", "part#2", "100%25"):
        root = Path(shutil.copytree(world.root, tmp_path / name))
        assert json.loads(example(root, tmp_path).stdout) == json.loads(example(world.root, tmp_path).stdout)
        followed = example(root, tmp_path, "--request", REQUEST)
        assert json.loads(followed.stdout)["request"]["corpora"]
    empty = tmp_path / "no?project" / ".spine"
    empty.mkdir(parents=True)
    before = sorted(tmp_path.iterdir())
    done = example(empty.parent, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert list(empty.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_without_bundle_files_has_no_sha(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        done = example(world.root, tmp_path, "--bundle", str(folder))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: {folder} is not a bundle: it has no tensors or no config.json\n"


def test_a_gate_without_its_evidence_is_a_one_line_error(world: World, tmp_path: Path) -> None:
    root = copy_of(world, tmp_path)
    write_baseline(root, world.silent)
    with sqlite3.connect(root / ".spine" / "ledger.db") as ledger:
        for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f"DROP TRIGGER {name}")
        ledger.execute("DELETE FROM evidence")
    for sha in (world.loud[:12], "0" * 64, world.loud):
        done = example(root, tmp_path, "--gate", sha)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: the ledger has no unchanged eval_report of an entry with the full SHA {sha!r}\n"


def test_the_rule_says_what_it_leaves_out() -> None:
    rule = next(
        each
        for each in ast.parse(EXAMPLE.read_text(encoding="utf-8")).body
        if isinstance(each, ast.FunctionDef) and each.name == "blocked_buckets"
    )
    said = " ".join((ast.get_docstring(rule) or "").split())
    for part in ("not a pass", "false accepts", "the anchor", "never-regress items", "the stable entry", "the floor"):
        assert part in said
