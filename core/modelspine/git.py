"""Running git in a project, without the environment variables that redirect it to another repository.

It does not know which commands are run or what follows from their output.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from modelspine.errors import Unavailable
from modelspine.text import argument, visible

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
    environ |= {"LC_ALL": "C", "LANGUAGE": ""}  # what git says is compared with sentences below
    command = ["git", "--no-replace-objects", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False, env=environ)
    except subprocess.TimeoutExpired as error:
        wrong = f"git did not answer within {SECONDS} s: git {visible(' '.join(words[:2]), 60)}"
        raise Unavailable(wrong, "repeat the command when the machine or the disk is less busy") from error
    except OSError as error:
        raise Unavailable(f"git did not answer: {visible(str(error), 80)}", "is git installed?") from error


def top_of(root: Path) -> Path | None:
    """The top folder of the work tree that a folder is in; None where there is no repository.

    Raises:
        Unavailable: there is one, but git refuses to read it or is not installed; its own words are passed on.
    """
    try:
        done = run_git(root, "rev-parse", "--show-toplevel")
    except Unavailable:
        if _has_repository(root):
            raise
        return None
    if done.returncode == 0:
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    # Of a damaged one git says the same as of a folder outside of any.
    if _NO_REPOSITORY in done.stderr and not _has_repository(root):
        return None
    raise failed(root, done)


def _has_repository(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def git_output(root: Path, *words: str) -> bytes:
    """The standard output of a git command; empty where what it asks for, or the repository, does not exist.

    Raises:
        Unavailable: git could not look, because it refuses to read the repository, is not installed or found it
            damaged. An empty answer would claim that there is nothing.
    """
    try:
        done = run_git(root, *words)
    except Unavailable:
        if top_of(root) is None:
            return b""
        raise
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace")
    if not said.strip() or _ABSENT.search(said) or (_NO_REPOSITORY in done.stderr and top_of(root) is None):
        return b""
    raise failed(root, done)


def failed(root: Path, done: subprocess.CompletedProcess[bytes]) -> Unavailable:
    """The error for a git command that failed, in git's own words and with its own way out where it names one."""
    said = done.stderr.decode("utf-8", "replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "no message")
    offered = next((line for line in lines if line.startswith("git config ")), None)
    if offered is None and "dubious ownership" in said:
        offered = f"git config --global --add safe.directory {argument(str(root))}"
    hint = f"if you trust this folder: `{visible(offered, 200)}`" if offered else "see what `git status` says here"
    return Unavailable(f"git could not read this repository; it says: {visible(fatal, 200)}", hint)


_NO_REPOSITORY = b"not a git repository (or any"
"""What git says of a folder outside of any repository."""
_ABSENT = re.compile(
    r"does not exist in|exists on disk, but not in|invalid object name|No such remote"
    r"|does not have any commits yet|bad default revision|Needed a single revision|unknown revision"
    r"|bad revision|Not a valid object name"
)
"""What git says where it looked and there is no such thing."""
