"""An incident as a branch: one commit, beside the working tree, that a later candidate is held against."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import write_baseline
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import Item, read_baseline, with_item
from modelspine.incident import guard as module
from modelspine.incident.guard import Guard, guard, item_with_reason
from modelspine.settings import load

DIGEST = hashlib.sha256(b"req-1116/7").hexdigest()[:8]
ITEM = Item(
    id="req-1116/7", text="Yesterday he goed.", correct_form="Yesterday he went.", reason="a learner was misled"
)


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


def git_bytes(root: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the baseline in a folder below its top, as a monorepo has it."""
    root = tmp_path / "repo" / "services" / "tutor"
    root.mkdir(parents=True)
    git(tmp_path / "repo", "init", "-q", "-b", "main")
    write_baseline(root)
    (root / "spine.toml").write_text("")
    (root / ".gitignore").write_text(".spine/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a baseline")
    return root


def test_the_branch_has_one_commit_that_adds_the_item(repository: Path) -> None:
    made = guard(load(repository, environ={}), ITEM, subject="Never say goed again")
    assert made.branch == f"never-regress/req-1116-7-{DIGEST}"
    assert git(repository, "rev-list", "--count", f"main..{made.branch}").strip() == "1"
    assert git(repository, "diff", "--name-only", f"main..{made.branch}").split() == [
        "services/tutor/eval_baseline.json"
    ]
    raw = git(repository, "show", f"{made.branch}:./eval_baseline.json").encode()
    assert read_baseline(raw).never_regress == (ITEM,)
    assert json.loads(raw)["never_regress"][0]["reason"] == "a learner was misled"
    message = git(repository, "log", "-1", "--format=%B", str(made.branch))
    assert message.splitlines()[0] == "Never say goed again"
    assert "a learner was misled" in message


@pytest.mark.parametrize("before", [[], ["a"], ["z"]])
def test_the_patch_of_a_file_from_windows_is_the_added_item_alone(repository: Path, before: list[str]) -> None:
    """Its line endings, its indentation and its missing last line break stay."""
    file = repository / "eval_baseline.json"
    data = json.loads(file.read_bytes())
    data["never_regress"] = [{"id": each, "text": "t", "correct_form": "f", "ticket": 7} for each in before]
    old = json.dumps(data, indent="\t").replace("\n", "\r\n").encode()
    file.write_bytes(old)
    git(repository, "commit", "-qam", "edited on another machine")
    made = guard(load(repository, environ={}), ITEM, subject="Never say goed again")
    raw = git_bytes(repository, "show", f"{made.branch}:./eval_baseline.json")
    assert read_baseline(raw).never_regress[-1 if before != ["z"] else 0] == ITEM
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert not raw.endswith(b"\n")
    added, removed, _ = git(repository, "diff", "--numstat", f"main..{made.branch}").split("\t")
    # The array that was empty begins on the line of its key; otherwise an item has six lines.
    assert (int(added), int(removed)) == ((6, 0) if before else (8, 1))
    assert made.patch is not None
    git(repository, "am", "-q", "--keep-cr", made.patch)
    assert file.read_bytes() == raw


def test_it_works_in_a_shallow_clone_and_in_another_working_tree(repository: Path, tmp_path: Path) -> None:
    (repository / "notes.txt").write_text("one more commit, so that a clone can be shallow")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "notes")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tmp_path / 'repo'}", "shallow")
    git(repository, "worktree", "add", "-q", "-b", "work", str(tmp_path / "tree"))
    for place in (tmp_path / "shallow", tmp_path / "tree"):
        root = place / "services" / "tutor"
        made = guard(load(root, environ={}), msgspec.structs.replace(ITEM, id=place.name), subject="Never again")
        assert made.branch == f"never-regress/{place.name}"
        assert git(root, "diff", "--name-only", f"HEAD..{made.branch}") == "services/tutor/eval_baseline.json\n"
        assert git(root, "status", "--porcelain") == ""
    git(tmp_path / "shallow", "push", "-q", "origin", "never-regress/shallow")
    assert git(repository, "rev-list", "--count", "main..never-regress/shallow").strip() == "1"


def test_two_at_once_make_one_branch(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one makes the branch between the look-up and the update."""
    settings = load(repository, environ={})
    real = module._commit
    other: list[Guard] = []

    def slow(*words: Any) -> str:
        made = real(*words)
        monkeypatch.setattr(module, "_commit", real)
        other.append(guard(settings, ITEM, subject="Never say goed, said the other"))
        return made

    monkeypatch.setattr(module, "_commit", slow)
    made = guard(settings, ITEM, subject="Never say goed again")
    assert (made.branch, made.commit) == (other[0].branch, other[0].commit)


def test_the_branch_goes_to_origin_where_there_are_several_remotes(repository: Path) -> None:
    for name in ("backup", "origin"):
        git(repository, "remote", "add", name, "https://example.org/r.git")
    made = guard(load(repository, environ={}), ITEM, subject="Never say goed again")
    assert made.next.startswith("git push -u origin ")


def test_the_patch_does_not_depend_on_the_users_git_settings(repository: Path, tmp_path: Path) -> None:
    for name, value in (("diff.noprefix", "true"), ("format.attach", "true"), ("diff.context", "0")):
        git(repository, "config", name, value)
    made = guard(load(repository, environ={}), ITEM, subject="Never say goed again")
    git(tmp_path, "clone", "-q", str(tmp_path / "repo"), "other")
    git(tmp_path / "other", "am", "-q", str(made.patch))


def test_nothing_of_the_working_tree_is_touched(repository: Path) -> None:
    (repository / "staged.txt").write_text("staged")
    git(repository, "add", "staged.txt")
    (repository / "eval_baseline.json").write_text("edited, and not committed")
    before = git(repository, "status", "--porcelain")
    guard(load(repository, environ={}), ITEM, subject="Never say goed again")
    assert git(repository, "status", "--porcelain") == before
    assert git(repository, "branch", "--show-current").strip() == "main"
    assert (repository / "eval_baseline.json").read_text() == "edited, and not committed"


def test_it_is_a_patch_without_a_remote_and_a_push_with_one(repository: Path, tmp_path: Path) -> None:
    settings = load(repository, environ={})
    alone = guard(settings, ITEM, subject="Never say goed again")
    assert alone.patch is not None
    git(tmp_path, "clone", "-q", str(tmp_path / "repo"), "other")
    git(tmp_path / "other", "am", "-q", alone.patch)
    raw = (tmp_path / "other" / "services" / "tutor" / "eval_baseline.json").read_bytes()
    assert read_baseline(raw).never_regress == (ITEM,)
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    other = guard(settings, ITEM, subject="Never say goed again")
    assert (other.commit, other.patch) == (alone.commit, None), "the same item is the same branch"
    assert other.next == f"git push -u origin {alone.branch}", "a bare folder has no pull requests"
    git(repository, "remote", "set-url", "origin", "https://github.com/o/r.git")
    hosted = guard(settings, ITEM, subject="Never say goed again")
    assert hosted.next == f"git push -u origin {alone.branch} && gh pr create --head {alone.branch} --fill"


def test_a_merged_item_needs_no_branch(repository: Path) -> None:
    settings = load(repository, environ={})
    made = guard(settings, ITEM, subject="Never say goed again")
    git(repository, "merge", "-q", str(made.branch))
    again = guard(settings, ITEM, subject="Never say goed again")
    assert (again.branch, again.commit) == (None, None)


def test_a_branch_with_something_else_is_not_overwritten(repository: Path) -> None:
    git(repository, "branch", f"never-regress/req-1116-7-{DIGEST}")
    with pytest.raises(Refused, match="exists and holds another baseline"):
        guard(load(repository, environ={}), ITEM, subject="Never say goed again")


def test_another_text_under_the_same_id_is_refused(repository: Path) -> None:
    settings = load(repository, environ={})
    other = Item(id=ITEM.id, text="another", correct_form="text")
    settings.eval_baseline.write_bytes(with_item(settings.eval_baseline.read_bytes(), other))
    git(repository, "commit", "-qam", "another item")
    with pytest.raises(BadInput, match="different text under the id"):
        guard(settings, ITEM, subject="Never say goed again")


def test_without_a_committed_baseline_there_is_nothing_to_change(tmp_path: Path) -> None:
    write_baseline(tmp_path)
    for prepare in (lambda: None, lambda: git(tmp_path, "init", "-q")):
        prepare()
        with pytest.raises(Refused, match="is not committed"):
            guard(load(tmp_path, environ={}), ITEM, subject="Never say goed again")


def test_a_guard_needs_a_reason() -> None:
    with pytest.raises(BadInput, match="needs a reason"):
        item_with_reason(ITEM, "  ")
    assert item_with_reason(ITEM, "because").reason == "because"


@pytest.mark.parametrize(
    "reason", ["bad\n---\ndiff --git a/Justfile b/Justfile", "bad \udcff x", "a\x1b[2J", "x" * 301]
)
def test_a_reason_is_one_plain_line(reason: str) -> None:
    """The patch is a mail: a second diff in its message would be applied as well."""
    with pytest.raises(BadInput, match="not one plain line"):
        item_with_reason(ITEM, reason)


def test_ids_that_look_alike_have_branches_of_their_own(repository: Path) -> None:
    settings = load(repository, environ={})
    ids = ["a.b", "a-b", "a b", "..", "é", "x" * 90, "x" * 91, "-x", "a" + "/" * 9]
    made = {guard(settings, msgspec.structs.replace(ITEM, id=each), subject="Never again").branch for each in ids}
    assert len(made) == len(ids)
    assert set(git(repository, "branch", "--format=%(refname:short)").split()) == {"main", *map(str, made)}
