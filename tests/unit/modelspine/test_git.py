"""What git says reaches the user: a refusal is never an empty answer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.errors import Unavailable
from modelspine.git import git_output, top_of
from modelspine.lineage.dvc_history import directories, in_history
from modelspine.lineage.dvc_repository import Repository


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


SETTINGS = {
    "log.diffMerges": "off",
    "log.showRoot": "false",
    "log.date": "nonsense",
    "log.follow": "true",
    "color.grep": "always",
    "color.diff": "always",
    "diff.orderFile": "no-such-file",
    "diff.relative": "true",
    "i18n.logOutputEncoding": "utf-16",
    "core.bigFileThreshold": "1",
    "submodule.recurse": "true",
    "core.bare": "true",
    "core.worktree": "/",
}
"""Settings of a repository that change what git says of its history, or where its files are."""
PLAIN = ("--text", "--no-textconv", "--no-ext-diff")
LISTINGS = [
    ("log", "-m", "--full-history", "-p", *PLAIN, "--no-color", "--unified=0", "--format=%H", "--", "./heads"),
    ("log", "--all", "-m", "--format=%H", *PLAIN, "-Sfirst", "--", "*.txt", "heads"),
    ("log", "--all", "-m", "-p", *PLAIN, "--format=", "-Gfirst"),
    ("log", "--all", "--format=%H", *PLAIN, "-Scontent"),
    ("grep", "-z", "-l", "-F", "--full-name", "-e", "third", "HEAD"),
    ("ls-files", "-z", "--full-name", "--others"),
    ("rev-parse", "--show-toplevel"),
]


def test_no_setting_of_a_repository_changes_what_git_says(repository: Path) -> None:
    """A merge may drop a line of a witness, and a setting could keep its difference from being shown."""
    heads = repository / "heads"
    heads.write_text("first\n")
    for words in (["add", "-A"], ["commit", "-qm", "1"], ["switch", "-qc", "side"]):
        git(repository, *words)
    heads.write_text("first\nsecond\n")
    for words in (["commit", "-qam", "2"], ["switch", "-q", "-"], ["commit", "-qm", "3", "--allow-empty"]):
        git(repository, *words)
    git(repository, "merge", "-q", "--no-commit", "--no-ff", "side")
    heads.write_text("first\nthird\n")
    git(repository, "commit", "-qam", "merge")
    heads.write_text("third\n")  # and the first line is gone from the newest commit
    git(repository, "commit", "-qam", "4")
    (repository / "new").write_text("x")
    before = [git_output(repository, *words) for words in LISTINGS]
    assert all(before)
    assert b"-second" in before[0]
    changed = set()
    for name, value in SETTINGS.items():
        git(repository, "config", name, value)
        assert [git_output(repository, *words) for words in LISTINGS] == before, name
        for words in LISTINGS:
            done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=False)
            changed |= {name} if done.stdout != before[LISTINGS.index(words)] else set()
        git(repository, "config", "--unset", name)
    assert {"log.diffMerges", "log.showRoot", "color.grep", "i18n.logOutputEncoding"} <= changed, "plain git listens"


def test_attributes_of_the_tree_hide_no_version_of_a_dvc_file(repository: Path) -> None:
    name, hashed = "data.dvc", f"{'7' * 32}"
    (repository / name).write_text(f"outs:\n- md5: {hashed}.dir\n  hash: md5\n  path: data\n")
    (repository / ".gitattributes").write_text("*.dvc binary\n")
    for words in (["add", "-A"], ["commit", "-qm", "1"], ["rm", "-q", name], ["commit", "-qm", "2"]):
        git(repository, *words)
    found = Repository(repository)
    assert directories(found) == [f"{hashed}.dir"]
    assert in_history(found, f"{hashed}.dir") is not None


def test_a_git_that_was_ended_is_no_empty_answer(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = repository.parent / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(Unavailable, match="no message"):
        git_output(repository, "log", "--format=%H")


@pytest.mark.parametrize("name", ["unknown revision", "bad revision 'x'", "does not exist in 'HEAD'"])
def test_the_name_of_a_file_does_not_turn_an_error_into_an_empty_answer(repository: Path, name: str) -> None:
    (repository / ".git" / name).write_text("[broken")
    git(repository, "config", "include.path", name)
    with pytest.raises(Unavailable, match="bad config"):
        git_output(repository, "log", "--format=%H")
