"""Running git in a project, so that nothing in its tree or its environment makes git answer for something else.

The repository is the nearest one above the folder, and its own folder is the work tree. What its settings could run
or redirect is switched off. It does not know which commands are run or what follows from their output.
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
_KEPT = re.compile(r"GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)")
"""The only variables of git that are passed on: who commits, and where the settings of this user and machine are."""
_OFF = {
    # programs that git would run
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.sshCommand": "false",
    "core.askPass": "",
    "credential.helper": "",
    "log.showSignature": "false",
    "gpg.program": "false",
    "gpg.openpgp.program": "false",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "false",
    # files that change what it answers
    "core.attributesFile": os.devnull,
    "core.commitGraph": "false",
    "core.bigFileThreshold": "512m",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
    # what a listing of the history leaves out, and in which form it is printed
    "color.ui": "false",
    "color.diff": "false",
    "color.grep": "false",
    "diff.orderFile": os.devnull,
    "diff.relative": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.date": "default",
    "log.decorate": "no",
    "log.diffMerges": "separate",
    "log.follow": "false",
    "log.mailmap": "false",
    "log.showRoot": "true",
    "advice.graftFileDeprecated": "false",
}
"""Settings with the values they have here, whatever a repository says."""
_FIXED = {
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",  # a missing object would be fetched by a program that the repository names
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # what git says is compared with sentences below
    "LANGUAGE": "",
}


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
    folder = Path(os.path.realpath(root))
    top = nearest(folder)
    # git looks for the repository itself, because only then it refuses one that belongs to another user. It looks no
    # higher than the folder that was found, and a `core.worktree` of the repository does not count.
    pinned = ["--work-tree", str(top)] if top is not None else []
    off = [word for name, value in _OFF.items() for word in ("-c", f"{name}={value}")]
    command = ["git", "--no-replace-objects", "--no-pager", "--no-optional-locks", "-C", str(folder)]
    environ = _environment(top if top is not None else folder)
    environ |= {"GIT_INDEX_FILE": str(index)} if index is not None else {}
    try:
        return subprocess.run(
            [*command, *pinned, *off, *words],
            input=stdin, capture_output=True, timeout=SECONDS, check=False, env=environ,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        wrong = f"git did not answer within {SECONDS} s: git {visible(' '.join(words[:2]), 60)}"
        raise Unavailable(wrong, "repeat the command when the machine or the disk is less busy") from error
    except OSError as error:
        raise Unavailable(f"git did not answer: {visible(str(error), 80)}", "is git installed?") from error


def _environment(lowest: Path) -> dict[str, str]:
    """The variables for git, which looks for a repository no higher than in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _KEPT.fullmatch(name)}
    # A relative folder in PATH is one of the tree, and a program there would be run in place of git.
    paths = [path for path in kept.get("PATH", os.defpath).split(os.pathsep) if Path(path).is_absolute()]
    return {**kept, "PATH": os.pathsep.join(paths), **_FIXED, "GIT_CEILING_DIRECTORIES": str(lowest.parent)}


def nearest(folder: Path) -> Path | None:
    """The nearest folder at or above a resolved one with a repository, which git may refuse; None outside of any."""
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each / ".git")), None)


def top_of(root: Path) -> Path | None:
    """The top folder of the work tree that a folder is in; None where there is no repository.

    Raises:
        Unavailable: there is one, but git refuses to read it or is not installed; its own words are passed on.
    """
    top = nearest(Path(os.path.realpath(root)))
    if top is None:
        return None
    done = run_git(root, "rev-parse", "--show-toplevel")
    if done.returncode != 0:
        raise failed(root, done)
    return top


def git_output(root: Path, *words: str) -> bytes:
    """The standard output of a git command; empty where what it asks for, or the repository, does not exist.

    Raises:
        Unavailable: git could not look, because it refuses to read the repository, is not installed or found it
            damaged. An empty answer would claim that there is nothing.
    """
    if nearest(Path(os.path.realpath(root))) is None:
        return b""
    done = run_git(root, *words)
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace")
    # Without a word only 1 means that there is nothing; another code is a git that was ended before it could answer.
    if _ABSENT.search(said) or (done.returncode == 1 and not said.strip()):
        return b""
    raise failed(root, done)


def is_shallow(root: Path) -> bool:
    """Whether the repository holds only the newest commits of its history, as a clone of depth 1 does.

    Raises:
        Unavailable: git could not look.
    """
    return git_output(root, "rev-parse", "--is-shallow-repository").strip() == b"true"


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


_ABSENT = re.compile(
    r"^(?:fatal|error): (?:path '.*' (?:does not exist in|exists on disk, but not in) '|invalid object name '"
    r"|No such remote '|your current branch '.*' does not have any commits yet|bad default revision '"
    r"|Needed a single revision$|ambiguous argument '.*': unknown revision|bad revision '|Not a valid object name )",
    re.MULTILINE,
)
"""What git says where it looked and there is no such thing; a file's name in another message must not look like it."""
