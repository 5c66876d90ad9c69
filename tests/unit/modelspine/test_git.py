"""What git says reaches the user: a refusal is never an empty answer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.errors import Unavailable
from modelspine.git import git_output, top_of


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    (root / "file").write_text("content")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x")
    (root / "below").mkdir()
    return root


ABSENT = [
    ("show", "HEAD:./nosuch"),
    ("show", f"{'0' * 40}:file"),
    ("rev-parse", "--verify", "nosuch"),
    ("rev-parse", "--verify", "--quiet", "nosuch"),
    ("cat-file", "blob", "HEAD:nosuch"),
    ("remote", "get-url", "origin"),
    ("log", "-1", "nosuch", "--"),
    ("config", "--get", "no.such"),
]


@pytest.mark.parametrize("words", ABSENT, ids=" ".join)
def test_what_does_not_exist_is_an_empty_answer(repository: Path, words: tuple[str, ...]) -> None:
    assert git_output(repository, *words) == b""


def test_a_repository_without_commits_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for words in (("log", "-1", "--format=%H", "--", "file"), ("rev-parse", "--verify", "HEAD"), ("show", "HEAD:./x")):
        assert git_output(tmp_path, *words) == b""


def test_the_top_is_that_of_the_work_tree_and_none_outside(repository: Path, tmp_path: Path) -> None:
    assert top_of(repository / "below") == repository
    assert top_of(tmp_path) is None
    assert git_output(tmp_path, "show", "HEAD:./file") == b""


@pytest.mark.parametrize("words", ABSENT[:4], ids=" ".join)
def test_a_refusal_is_passed_on_with_the_way_out(
    repository: Path, failing_git: Callable[[str], None], words: tuple[str, ...]
) -> None:
    failing_git(f"fatal: detected dubious ownership in repository at '{repository}'")
    for ask in (lambda: git_output(repository, *words), lambda: top_of(repository)):
        with pytest.raises(Unavailable, match="it says: fatal: detected dubious ownership") as caught:
            ask()
        assert f"git config --global --add safe.directory {repository}" in caught.value.hint


def test_a_damaged_repository_is_no_empty_answer(repository: Path) -> None:
    blob = subprocess.check_output(["git", "rev-parse", "HEAD:file"], cwd=repository, text=True).strip()
    stored = repository / ".git" / "objects" / blob[:2] / blob[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"")
    with pytest.raises(Unavailable, match=r"it says: (error|fatal): .*(empty|corrupt)"):
        git_output(repository, "show", "HEAD:./file")
    shutil.rmtree(repository / ".git" / "objects")
    with pytest.raises(Unavailable, match="it says: fatal: not a git repository"):
        top_of(repository)


def test_without_git_only_a_folder_outside_of_a_repository_is_outside(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert top_of(tmp_path) is None
    assert git_output(tmp_path, "show", "HEAD:./file") == b""
    for ask in (lambda: git_output(repository, "show", "HEAD:./file"), lambda: top_of(repository / "below")):
        with pytest.raises(Unavailable, match="git did not answer"):
            ask()
