"""Where the bytes of a hash are looked for: hostile .dvc files, names that git quotes, remotes that fail."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from modelspine.errors import Damaged, Unavailable, UnknownRef
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.dvc_file import outs

ROWS = b'{"text": "he went"}\n'
HASH = hashlib.md5(ROWS, usedforsecurity=False).hexdigest()


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


def dvc_file(path: str, md5: str = HASH) -> str:
    return f"outs:\n- md5: {md5}\n  hash: md5\n  path: {json.dumps(path)}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository that DVC recognises, its remote in a folder beside it."""
    root = tmp_path / "repo"
    (root / "data").mkdir(parents=True)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text(
        f"[core]\n    remote = near\n['remote \"near\"']\n    url = {tmp_path / 'remote'}\n"
    )
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "begin")
    return root


def put(tmp_path: Path, raw: bytes) -> Path:
    """Lay bytes where DVC's remote keeps those of the hash."""
    file = tmp_path / "remote" / "files" / "md5" / HASH[:2] / HASH[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    return file


@pytest.mark.parametrize("path", ["../../secret.jsonl", "/etc/hostname", "a/../../../x", "..", "", "a\0b"])
def test_a_path_that_leads_out_of_the_repository_is_not_read(root: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.jsonl").write_bytes(ROWS)
    (root / "data" / "x.dvc").write_text(dvc_file(path))
    assert Corpora(root).tracked() == []
    with pytest.raises(UnknownRef):
        Corpora(root).file(HASH)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "hostile")
    (root / "data" / "x.dvc").unlink()
    with pytest.raises(UnknownRef, match="ever named"):
        Corpora(root).resolve(HASH)


def test_a_hostile_file_does_not_hide_an_honest_one(root: Path) -> None:
    (root / "data" / "a.dvc").write_text(dvc_file("../../secret.jsonl"))
    (root / "data" / "b.dvc").write_text(dvc_file("../data/rows.jsonl"))
    found = Corpora(root).resolve(HASH)
    assert (found.path, found.dvc_file) == ("data/rows.jsonl", "data/b.dvc")


@pytest.mark.parametrize(
    "text",
    [
        "outs: 7",
        "outs: {a: 1}",
        "outs: [[1], x, null]",
        "[" * 400,
        "a: 2026-13-45",
        "\t\t:",
        "outs:\n- {md5: 1, path: [a]}",
    ],
)
def test_what_is_no_dvc_file_names_nothing(text: str) -> None:
    assert outs(text, "data/x.dvc") == []


@pytest.mark.parametrize("name", ["données", "two words", 'quo"te', "-dash"])
def test_an_older_version_under_any_name_is_found_in_history(root: Path, name: str) -> None:
    file = root / "data" / f"{name}.jsonl.dvc"
    file.write_text(dvc_file(f"{name}.jsonl"))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "v1")
    first = git(root, "rev-parse", "HEAD").strip()
    file.write_text(dvc_file(f"{name}.jsonl", "0" * 32))
    git(root, "commit", "-qam", "v2")
    found = Corpora(root).resolve(HASH)
    assert (found.path, found.revision, found.at_head) == (f"data/{name}.jsonl", first, False)


def test_a_shallow_clone_does_not_say_that_nothing_ever_named_a_hash(root: Path, tmp_path: Path) -> None:
    file = root / "data" / "rows.jsonl.dvc"
    for md5 in (HASH, "0" * 32, "1" * 32):
        file.write_text(dvc_file("rows.jsonl", md5))
        git(root, "add", "-A")
        git(root, "commit", "-qm", md5)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    with pytest.raises(Unavailable, match="its history is cut off") as caught:
        Corpora(tmp_path / "shallow").resolve(HASH)
    assert "git fetch --unshallow" in caught.value.hint
    with pytest.raises(UnknownRef, match="ever named"):
        Corpora(root).resolve("2" * 32)


def test_a_pull_brings_the_rows_under_whatever_name_the_dvc_file_has(root: Path, tmp_path: Path) -> None:
    (root / "data" / "other.dvc").write_text(dvc_file("rows.jsonl"))
    put(tmp_path, ROWS)
    assert Corpora(root).verify(HASH, pull=True).rows == 1


def test_a_pull_from_a_remote_that_is_gone_says_so(root: Path, tmp_path: Path) -> None:
    (root / "data" / "rows.jsonl.dvc").write_text(dvc_file("rows.jsonl"))
    with pytest.raises(Unavailable) as gone:
        Corpora(root).file(HASH, pull=True)
    assert "rows.jsonl" in gone.value.message
    assert "FileNotFoundError" in gone.value.message
    assert gone.value.hint
    (root / ".dvc" / "config").write_text("")
    with pytest.raises(Unavailable, match="no remote of DVC has the rows of data/rows") as none:
        Corpora(root).file(HASH, pull=True)
    assert none.value.hint
    assert f"no remote specified in {root}" in none.value.message
    shutil.rmtree(root / ".dvc")
    with pytest.raises(Unavailable, match="not on this machine"):
        Corpora(root).file(HASH, pull=True)


def test_other_bytes_under_the_name_of_the_hash_are_never_used(root: Path, tmp_path: Path) -> None:
    """DVC itself may refuse them as it fetches; if it does not, reading does."""
    (root / "data" / "rows.jsonl.dvc").write_text(dvc_file("rows.jsonl"))
    put(tmp_path, b'{"text": "he goed"}\n')
    with pytest.raises((Damaged, Unavailable)):
        Corpora(root).verify(HASH, pull=True)
    cached = root / ".dvc" / "cache" / "files" / "md5" / HASH[:2] / HASH[2:]
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.unlink(missing_ok=True)
    cached.write_bytes(b"tampered\n")
    with pytest.raises(Damaged, match="has MD5"):
        Corpora(root).search(HASH, "went")
