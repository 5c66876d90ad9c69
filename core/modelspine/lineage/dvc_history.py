"""Finding in git's history the file that names a hash. It does not know DVC's cache or the work tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from modelspine.errors import SpineError, Unavailable, UnknownRef
from modelspine.git import git_output
from modelspine.lineage.dvc_file import DIRECTORY, LOCK, PIPELINE, is_tracking, names, outs
from modelspine.lineage.dvc_repository import INLINE, TRACKING, Repository, Tracked
from modelspine.text import argument, visible

_DIRECTORY = re.compile(rb"[0-9a-f]{32}\.dir")
_PLAIN = ("--text", "--no-textconv", "--no-ext-diff")


def in_history(repository: Repository, dvc_hash: str) -> tuple[Tracked, str] | None:
    """The output with a hash, or with a file that has it, and the newest commit of any branch that names it.

    None where none does.

    Raises:
        Unavailable: git could not look.
    """
    # --text, because attributes in the tree may call these files binary, of which git shows no lines.
    # -S finds the commits that added or removed the hash; the one that removed it does not name it any more. The hash
    # of a directory whose files are named in the same file is not written down, so there every version is read.
    searches = [(f"-S{dvc_hash}", dvc_hash)]
    searches += [(f"-G{INLINE}", INLINE)] if dvc_hash.endswith(DIRECTORY) else []
    for changed, naming in searches:
        # Of a merge, -m compares each side: a hash that only came about as branches were merged is in no other commit.
        words = ("log", "--all", "-m", *_PLAIN, "--format=%H", changed, "--", *TRACKING)
        for revision in dict.fromkeys(_git(repository, *words).split()):
            for tracked in _at(repository, revision, naming):
                if names(tracked.out, dvc_hash):
                    return tracked, revision
    return None


def directories(repository: Repository) -> list[str]:
    """The hash of every directory that was ever tracked, newest first.

    Raises:
        Unavailable: git could not look.
    """
    words = ("log", "--all", "-m", "-p", *_PLAIN, "--format=", r"-G\.dir", "--", *TRACKING)
    found = _DIRECTORY.findall(git_output(repository.top, *words)) if repository.with_git else []
    return list(dict.fromkeys(found_hash.decode() for found_hash in found))


def not_found(repository: Repository, dvc_hash: str) -> SpineError:
    """The error for a hash that nothing names: where a part of the history is not here, it says so."""
    short = dvc_hash[:12]
    if broken := repository.unreadable():
        return Unavailable(
            f"no .dvc file or dvc.lock names {short}, but {visible(broken[0], 80)} cannot be read as YAML",
            "restore it, or end the merge in which it is; then repeat the command",
        )
    if (repository.top / ".gitmodules").is_file():
        return Unavailable(
            f"no .dvc file or dvc.lock in this repository names {short}, and its submodules were not searched",
            "repeat the command in the submodule that tracks it",
        )
    if not repository.with_git:
        return UnknownRef(
            f"no .dvc file or dvc.lock in {visible(repository.top.name, 60)} names {short}",
            "run this in the folder that tracks it",
        )
    if _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
        return Unavailable(
            f"no .dvc file or dvc.lock in this clone names {short}, and its history is cut off",
            "fetch the rest, then repeat the command: git fetch --unshallow",
        )
    fetched = [line for line in _git(repository, "config", "--get-regexp", r"^remote\..*\.fetch$").splitlines() if line]
    if fetched and not any("refs/heads/*" in line for line in fetched):
        remote = argument(visible(fetched[0].split(".")[1], 60))
        return Unavailable(
            f"no .dvc file or dvc.lock in this clone names {short}, and it has only some of the branches",
            f"fetch the others, then repeat the command: git remote set-branches {remote} '*' && git fetch",
        )
    return UnknownRef(
        f"no .dvc file or dvc.lock in this repository ever named {short}", "run this in the repository that tracks it"
    )


def _at(repository: Repository, revision: str, naming: str) -> Iterator[Tracked]:
    """The outputs in the files of a commit that contain a text."""
    # -z: without it git quotes every name that is not ASCII, and a quoted name is the name of no file.
    listed = _git(repository, "grep", "-z", "-l", "-F", "--full-name", "-e", naming, revision, "--", *TRACKING)
    for name in filter(None, listed.split("\0")):
        path = name.removeprefix(f"{revision}:")
        if not is_tracking(path):
            continue
        text = _blob(repository, f"{revision}:{path}")
        beside = path.removesuffix(LOCK) + PIPELINE
        pipeline = _blob(repository, f"{revision}:{beside}") if path.endswith(LOCK) else ""
        yield from (Tracked(out=out, file=path, text=text) for out in outs(text, path, pipeline))


def _blob(repository: Repository, name: str) -> str:
    return git_output(repository.top, "cat-file", "blob", name).decode("utf-8", "replace")


def _git(repository: Repository, *words: str) -> str:
    return os.fsdecode(git_output(repository.top, *words)) if repository.with_git else ""
