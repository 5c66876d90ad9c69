"""Finding the .dvc file of a hash in git's history. It does not know DVC's cache or the work tree."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from modelspine.errors import UnknownRef
from modelspine.git import run_git
from modelspine.lineage.dvc_file import named_in


class Past(NamedTuple):
    """The data file of a hash and the .dvc file that names it, relative to the root, and the commit they are in."""

    path: str
    dvc_file: str
    revision: str


def in_history(root: Path, dvc_hash: str) -> Past:
    """The newest commit of any branch whose .dvc file names a hash.

    Raises:
        UnknownRef: none does, or none that this clone has.
    """
    # -S finds the commits that added or removed the hash; the one that removed it does not name it any more.
    for revision in _git(root, "log", "--all", "--format=%H", "-S", dvc_hash, "--", "*.dvc").split():
        # -z: without it git quotes every name that is not ASCII, and a quoted name is the name of no file.
        changed = _git(root, "show", "-z", "--name-only", "--relative", "--format=", revision, "--", "*.dvc")
        for name in filter(None, changed.split("\0")):
            path = named_in(_git(root, "show", f"{revision}:./{name}"), dvc_hash, folder=str(Path(name).parent))
            if path is not None:
                return Past(path, name, revision)
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise UnknownRef(
            f"no .dvc file in this clone names {dvc_hash[:12]}, and its history is cut off",
            "fetch the rest, then repeat the command: git fetch --unshallow",
        )
    raise UnknownRef(
        f"no .dvc file in this repository ever named {dvc_hash[:12]}", "run this in the repository that tracks it"
    )


def _git(root: Path, *words: str) -> str:
    done = run_git(root, *words)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
