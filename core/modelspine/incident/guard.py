"""An incident made into a guard: a branch whose one commit adds its sentence to what the baseline never lets regress.

The commit is made beside the working tree: no file, no staged change and no branch that is checked out is touched.
It pushes nothing and counts for nothing until people have reviewed and merged it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

import msgspec

from modelspine.errors import BadInput, Refused, SpineError, Unavailable
from modelspine.files import write_file
from modelspine.gate.baseline import Item, read_baseline, with_item
from modelspine.git import git_output, run_git
from modelspine.settings import Settings
from modelspine.text import argument, visible
from modelspine.words import words

_LONGEST_NAME, _LONGEST_REASON = 80, 300
# Spelled out, because a user's own settings could make a patch that `git am` does not read.
_FORMAT_PATCH = (
    "format-patch",
    "-1",
    "--stdout",
    "--no-attach",
    "--no-signature",
    "--no-signoff",
    "--no-notes",
    "--no-base",
    "--no-cover-letter",
    "--no-thread",
    "--no-add-header",
    "--no-to",
    "--no-cc",
    "--no-from",
    "--no-ext-diff",
    "--no-textconv",
    "--unified=3",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an incident's sentence."""

    item: Item
    branch: str | None
    """The branch that adds it; None where the committed baseline has it already."""
    commit: str | None
    patch: str | None = None
    """A file with the same commit, written where the repository has no remote to push to."""
    next: str
    """The command that goes on from here."""


def guard(settings: Settings, item: Item, *, subject: str) -> Guard:
    """Make the branch. The same item again gives the same branch.

    Args:
        settings: whose baseline it is.
        item: what must stay right.
        subject: first line of the commit's message.

    Raises:
        Refused: there is no committed baseline, the branch exists with something else, or git has no identity.
        BadInput: the baseline has another item of that id, or is none.
        Unavailable: git is not here or does not answer.
    """
    root, file = settings.root, settings.eval_baseline
    head = git_output(root, "rev-parse", "--verify", "HEAD").decode().strip()
    place = _place(root, file)
    raw = git_output(root, "cat-file", "blob", f"{head}:{place}") if head and place else b""
    if not raw:
        raise Refused(
            f"{visible(file.name, 80)} is not committed here, so no branch can change it",
            "commit the baseline first; a guard is a reviewed change of it",
        )
    made = with_item(raw, item)
    if item in read_baseline(raw).never_regress:
        return Guard(item=item, branch=None, commit=None, next=f"git log --oneline -- {argument(file.name)}")
    branch = f"never-regress/{_branch_name(item.id)}"
    commit = _on_branch(root, branch, place, made)
    if commit is None:
        new = _commit(root, head, place, made, f"{subject}\n\nReason: {item.reason}\n")
        updated = run_git(root, "update-ref", f"refs/heads/{branch}", new, "0" * len(new))
        # It fails where somebody else has made the branch meanwhile; then theirs is looked at.
        commit = new if updated.returncode == 0 else _on_branch(root, branch, place, made)
        if commit is None:
            raise _failed("update-ref", updated.stderr)
    remote = _remote(root)
    if remote is not None:
        push = f"git push -u {argument(remote)} {branch}"
        # Only GitHub's way to a review is known here.
        hosted = "github" in git_output(root, "remote", "get-url", remote).decode()
        review = f" && gh pr create --head {branch} --fill" if hosted else ""
        return Guard(item=item, branch=branch, commit=commit, next=f"{push}{review}")
    patch = settings.home / "patches" / f"{branch.replace('/', '-')}.patch"
    patch.parent.mkdir(parents=True, exist_ok=True)
    write_file(patch, _checked(root, *_FORMAT_PATCH, commit))
    return Guard(item=item, branch=branch, commit=commit, patch=str(patch), next=f"git merge {branch}")


def _on_branch(root: Path, branch: str, place: str, made: bytes) -> str | None:
    """The commit of a branch that holds this baseline; None if there is no such branch.

    Raises:
        Refused: the branch holds another baseline.
    """
    there = git_output(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").decode().strip()
    if there and git_output(root, "cat-file", "blob", f"{there}:{place}") != made:
        raise Refused(
            f"the branch {branch} exists and holds another baseline than this would make",
            f"merge it, or delete it first: git branch -D {branch}",
        )
    return there or None


def _remote(root: Path) -> str | None:
    """The remote that a branch is pushed to: origin, else the first one; None if there is none."""
    names = git_output(root, "remote").decode().split()
    return "origin" if "origin" in names else next(iter(names), None)


def _branch_name(request_id: str) -> str:
    """A request id as the end of a branch's name; one that is not plain gets a digest, so that no two ids share it."""
    plain = _UNSAFE.sub("-", request_id).strip("-")[:_LONGEST_NAME]
    if plain == request_id:
        return plain
    digest = hashlib.sha256(request_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}".strip("-")


def _place(root: Path, file: Path) -> str:
    """The baseline's path from the top of the repository; empty where it lies outside of it."""
    top = git_output(root, "rev-parse", "--show-toplevel").decode().strip()
    try:
        return file.resolve().relative_to(Path(top).resolve()).as_posix() if top else ""
    except ValueError:
        return ""


def _commit(root: Path, head: str, place: str, raw: bytes, message: str) -> str:
    """A commit on top of another that changes one file, made in an index of its own."""
    mode = git_output(root, "ls-tree", "--full-tree", head, place).decode().split(" ", 1)[0] or "100644"
    blob = _checked(root, "hash-object", "-w", "--stdin", stdin=raw).decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        _checked(root, "read-tree", head, index=index)
        _checked(root, "update-index", "--cacheinfo", f"{mode},{blob},{place}", index=index)
        tree = _checked(root, "write-tree", index=index).decode().strip()
    return _checked(root, "commit-tree", tree, "-p", head, stdin=message.encode()).decode().strip()


def _checked(root: Path, *words: str, stdin: bytes | None = None, index: Path | None = None) -> bytes:
    done = run_git(root, *words, stdin=stdin, index=index)
    if done.returncode == 0:
        return done.stdout
    raise _failed(words[0], done.stderr)


def _failed(word: str, stderr: bytes) -> SpineError:
    said = visible(stderr.decode("utf-8", "replace").strip(), 200)
    if word == "commit-tree" and "identity" in said.lower():
        return Refused("git does not know who commits here", "git config user.name NAME; git config user.email ADDRESS")
    return Unavailable(f"git {word} failed: {said}", "the message above is git's own")


def item_with_reason(item: Item, reason: str) -> Item:
    """The item, with the reason why it must stay right.

    Raises:
        BadInput: the reason is blank, or not one plain line.
    """
    if not reason.strip():
        raise BadInput("a guard needs a reason", f"say what the {words().unit} complained about")
    # A line break could put another diff into the patch, which is a mail that `git am` reads.
    if visible(reason, _LONGEST_REASON) != reason:
        raise BadInput(
            f"the reason {visible(reason, 80)!r} is not one plain line",
            f"write at most {_LONGEST_REASON} visible characters",
        )
    return msgspec.structs.replace(item, reason=reason)
