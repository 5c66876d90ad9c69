"""``spine corpus get``: the verified corpus of a DVC hash, also of one that only an old commit names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_world import World, check_refused, make_world, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def hash_of(capsys: Capture, ref: str) -> str:
    return str(run(capsys, "lineage", ref, "--json").json["corpus_dvc_hash"])


def test_it_prints_where_the_verified_corpus_is(world: World, capsys: Capture) -> None:
    dvc_hash = hash_of(capsys, "v0.1.0")
    done = run(capsys, "corpus", "get", dvc_hash)
    assert (done.code, done.err, done.out) == (0, "", f"{world.root / 'data' / 'v1.jsonl'}\n")
    found = run(capsys, "corpus", "get", dvc_hash, "--json").json
    raw = (world.root / "data" / "v1.jsonl").read_bytes()
    assert (found["dvc_hash"], found["path"], found["rows"]) == (dvc_hash, "data/v1.jsonl", 50)
    assert found["sha256"] == hashlib.sha256(raw).hexdigest()


def test_it_writes_the_corpus_to_a_file(world: World, capsys: Capture, tmp_path: Path) -> None:
    target = tmp_path / "corpus.jsonl"
    done = run(capsys, "corpus", "get", hash_of(capsys, "v0.1.0"), "--out", str(target))
    assert (done.code, done.out) == (0, f"{target}\n")
    assert target.read_bytes() == (world.root / "data" / "v1.jsonl").read_bytes()


def test_a_changed_corpus_is_not_handed_out(world: World, capsys: Capture, tmp_path: Path) -> None:
    dvc_hash = hash_of(capsys, "v0.1.0")
    with (world.root / "data" / "v1.jsonl").open("a") as stream:
        stream.write("{}\n")
    target = tmp_path / "corpus.jsonl"
    check_refused(run(capsys, "corpus", "get", dvc_hash, "--out", str(target)), 5)
    assert not target.exists()


def test_what_cannot_be_got(world: World, capsys: Capture, tmp_path: Path) -> None:
    check_refused(run(capsys, "corpus", "get", "v0.1.0"), 2)
    check_refused(run(capsys, "corpus", "get", "f" * 32), 2)
    dvc_hash = hash_of(capsys, "v0.1.0")
    check_refused(run(capsys, "corpus", "get", dvc_hash, "--out", str(tmp_path / "none" / "f")), 3)
    (world.root / "data" / "v1.jsonl").unlink()
    check_refused(run(capsys, "corpus", "get", dvc_hash), 3)


@pytest.mark.long
@pytest.mark.parametrize("below", [False, True], ids=["at the top", "below the top"])
def test_a_corpus_that_only_an_old_commit_names_is_fetched(
    world: World, capsys: Capture, tmp_path: Path, below: bool
) -> None:
    def dvc(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *words, "-q"], cwd=world.root, check=True)

    def commit(text: str) -> str:
        (world.root / "data" / "v1.jsonl").write_text(text)
        dvc("add", "data/v1.jsonl")
        dvc("push")
        subprocess.run(["git", "add", "-A", "."], cwd=world.root, check=True)
        subprocess.run(["git", "commit", "-qm", text.strip()], cwd=world.root, check=True)
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    (world.root / "data" / "v2.jsonl.dvc").unlink()
    if below:
        shutil.rmtree(world.root / ".git")
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        (tmp_path / ".gitignore").write_text("/remote/\n")
    dvc("init", *(["--subdir"] if below else []))
    remote = f"[core]\n    remote = here\n['remote \"here\"']\n    url = {tmp_path / 'remote'}\n"
    (world.root / ".dvc" / "config").write_text(remote)
    old, new = commit('{"id": "old"}\n'), commit('{"id": "new"}\n')
    shutil.rmtree(world.root / ".dvc" / "cache")
    (world.root / "data" / "v1.jsonl").unlink()
    for dvc_hash, text in ((old, '{"id": "old"}\n'), (new, '{"id": "new"}\n')):
        done = run(capsys, "corpus", "get", dvc_hash)
        assert done.code == 0, done.err
        assert Path(done.out.strip()).read_text() == text
