"""The rows of a file that match a Python regular expression, and the digests of all its bytes, in a process of its own.

A pattern can take for ever on a single row, and nothing stops it from inside: not a thread, not a clock. So it
runs where it can be killed. Run as a script it needs the standard library alone: one JSON request on stdin, one
JSON answer on stdout. It does not know what a corpus is.
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
"""Seconds any search may take, beside the time its bytes take to read."""
_BYTES_PER_SECOND = 5e6


class TooSlowError(Exception):
    """The search was killed after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"stopped after {seconds:.0f} s")
        self.seconds = seconds


def matching(path: Path, pattern: str, limit: int, *, patience: float = PATIENCE) -> dict[str, Any]:
    """Search a file's lines: ``{rows, matched, shown: [[number, text, start, end]], md5, sha256}``.

    Args:
        path: the file.
        pattern: a regular expression that compiles.
        limit: most rows shown.
        patience: seconds it may take, beside the time its bytes take to read.

    Raises:
        TooSlowError: it took longer and was killed.
        OSError: the file could not be read, or the process not be started.
    """
    seconds = patience + path.stat().st_size / _BYTES_PER_SECOND
    request = json.dumps({"path": str(path.absolute()), "pattern": pattern, "limit": limit})
    try:
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
    """What ``matching`` answers, found in this process."""
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
