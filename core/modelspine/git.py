"""Running git in a project, without the environment variables that redirect it to another repository.

It does not know which commands are run or what follows from their output.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from modelspine.errors import Unavailable
from modelspine.text import visible

SECONDS = 30
"""Timeout of one git command."""
_ELSEWHERE = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES")
)


def run_git(
    root: Path, *words: str, stdin: bytes | None = None, index: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder; the caller checks the exit code.

    Args:
        root: the folder.
        words: the command.
        stdin: its standard input; None for an empty one.
        index: an index file to use instead of the repository's own, so that nothing staged there is touched.

    Raises:
        Unavailable: git is not installed, or exceeds the timeout.
    """
    # Whether a baseline or trust file is "committed" decides what may be promoted. A variable that redirects git to
    # another repository, or replacement objects (`git replace`), must not be able to fake the answer.
    environ = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environ |= {"GIT_INDEX_FILE": str(index)} if index is not None else {}
    command = ["git", "--no-replace-objects", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False, env=environ)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"git did not answer: {visible(str(error), 80)}", "is git installed?") from error


def git_output(root: Path, *words: str) -> bytes:
    """The standard output of a git command; empty if it fails or git is unavailable."""
    try:
        done = run_git(root, *words)
    except Unavailable:
        return b""
    return done.stdout if done.returncode == 0 else b""
