"""Searching the rows of a file for a regular expression, and hashing its bytes, in a separate process.

A regular expression can backtrack without end on one row, and neither a thread nor a timer can interrupt it. So the
search runs in a process that can be killed. This module is also that process's script: it reads a JSON request from
stdin, writes a JSON answer to stdout and needs only the standard library. It does not know what a corpus is.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 20.0
"""Seconds a search may take, in addition to the time for reading its bytes."""
_BYTES_PER_SECOND = 5e6
"""A low estimate, so that a slow disk is not mistaken for a slow pattern."""


class TooSlowError(Exception):
    """A search took too long and was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"stopped after {seconds:.0f} s")
        self.seconds = seconds


def matching(path: Path, pattern: str, limit: int, *, patience: float = PATIENCE) -> dict[str, Any]:
    """Search a file's lines: ``{rows, matched, shown: [[number, text, start, end]], md5, sha256}``.

    Args:
        path: the file.
        pattern: a valid regular expression.
        limit: how many matching rows to return at most; all are counted.
        patience: seconds it may take, in addition to the time for reading its bytes.

    Raises:
        TooSlowError: the search took longer and was killed.
        OSError: the file could not be read or the process not be started.
    """
    seconds = patience + path.stat().st_size / _BYTES_PER_SECOND
    request = json.dumps({"path": str(path.absolute()), "pattern": pattern, "limit": limit})
    try:
        # -I and -S: nothing from the working directory, the environment or site-packages is imported.
        done = subprocess.run(
            [sys.executable, "-I", "-S", __file__],
            input=request.encode(), capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(seconds) from error
    if done.returncode:
        raise OSError(0, done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "the search ended early")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def search(path: str, pattern: str, limit: int) -> dict[str, Any]:
    """Search in this process; returns what ``matching`` returns."""
    find = re.compile(pattern).search
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    shown: list[tuple[int, str, int, int]] = []
    rows = matched = 0
    with Path(path).open("rb") as stream:
        for raw in stream:
            rows += 1
            md5.update(raw)
            sha256.update(raw)
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            if (match := find(text)) is not None:
                matched += 1
                if len(shown) < limit:
                    shown.append((rows, text, match.start(), match.end()))
    return {"rows": rows, "matched": matched, "shown": shown, "md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


if __name__ == "__main__":
    json.dump(search(**json.load(sys.stdin)), sys.stdout)
