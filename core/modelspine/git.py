"""Asking git about a project: one way to start it, blind to variables that would point it elsewhere.

It does not know what is asked, nor what follows from the answer.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from modelspine.errors import Unavailable
from modelspine.text import visible

SECONDS = 30
"""How long git may take."""
_ELSEWHERE = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES")
)


def run_git(
    root: Path, *words: str, stdin: bytes | None = None, index: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder; its exit code is the caller's to read.

    Args:
        root: the folder.
        words: the command.
        stdin: what it reads; nothing where None.
        index: an index file to use instead of the repository's own, so that nothing staged there is touched.

    Raises:
        Unavailable: git is not installed, or does not answer.
    """
    # A variable that points git at another repository, or at replaced objects, must not choose what is committed.
    environ = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environ |= {"GIT_INDEX_FILE": str(index)} if index is not None else {}
    command = ["git", "--no-replace-objects", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False, env=environ)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"git did not answer: {visible(str(error), 80)}", "is git installed?") from error


def git_output(root: Path, *words: str) -> bytes:
    """What git prints; nothing where it fails or cannot be asked."""
    try:
        done = run_git(root, *words)
    except Unavailable:
        return b""
    return done.stdout if done.returncode == 0 else b""
