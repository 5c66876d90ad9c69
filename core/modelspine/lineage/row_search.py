"""Searching the rows of files for a regular expression, and hashing their bytes, in a separate process.

A regular expression can backtrack without end on one row, and neither a thread nor a timer can interrupt it. So the
search runs in a process that can be killed. This module is also what runs there: it reads a JSON request from stdin,
writes a JSON answer to stdout and needs only the standard library. It does not know what a corpus is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.row_formats import Format, NotRowsError, texts

PATIENCE = 20.0
"""Seconds a search may take, in addition to the time for reading its bytes."""
_BYTES_PER_SECOND = 5e6
"""A low estimate, so that a slow disk is not mistaken for a slow pattern."""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from modelspine.lineage.row_search import answer; answer()"


class TooSlowError(Exception):
    """A search took too long and was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"stopped after {seconds:.0f} s")
        self.seconds = seconds


class Source(NamedTuple):
    """A file to search."""

    path: str
    kind: Format = "lines"
    """How its rows are read; never ``parquet``, which is made into lines of JSON first."""
    legacy: bool = False
    """Whether its MD5 is by the rule of DVC 2."""
    expected: str = ""
    """The MD5 that it should have; the search does not compare it."""


def matching(sources: list[Source], pattern: str, limit: int, *, patience: float = PATIENCE) -> dict[str, Any]:
    """Search files: ``{rows, matched, shown: [[source, number, text, start, end]], files: [{rows, md5, sha256}]}``.

    Args:
        sources: the files, in order; ``source`` above is the index of one.
        pattern: a valid regular expression.
        limit: how many matching rows to return at most; all are counted.
        patience: seconds it may take, in addition to the time for reading the bytes.

    Raises:
        TooSlowError: the search took longer and was killed.
        NotRowsError: a file has no rows in its format.
        OSError: a file could not be read or the process not be started.
    """
    seconds = patience + sum(Path(source.path).stat().st_size for source in sources) / _BYTES_PER_SECOND
    absolute = [source._replace(path=str(Path(source.path).absolute())) for source in sources]
    request = json.dumps({"sources": absolute, "pattern": pattern, "limit": limit})
    try:
        # -I and -S: nothing from the working directory or the environment is imported, and this package comes last.
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BOOT, str(Path(__file__).parents[2])],
            input=request.encode(), capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(seconds) from error
    if done.returncode:
        raise OSError(0, done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "the search ended early")
    found: dict[str, Any] = json.loads(done.stdout)
    if "refused" in found:
        raise NotRowsError(found["refused"])
    return found


def search(sources: list[Source], pattern: str, limit: int) -> dict[str, Any]:
    """Search in this process; returns what ``matching`` returns."""
    find = re.compile(pattern).search
    shown: list[tuple[int, int, str, int, int]] = []
    files: list[dict[str, Any]] = []
    matched = 0
    for index, source in enumerate(sources):
        digest, rows = Digest(legacy=source.legacy), 0
        for number, text in texts(Path(source.path), source.kind, digest):
            rows = number
            if (match := find(text)) is not None:
                matched += 1
                if len(shown) < limit:
                    shown.append((index, number, text, match.start(), match.end()))
        files.append({"rows": rows, "md5": digest.md5(source.expected), "sha256": digest.sha256()})
    return {"rows": sum(each["rows"] for each in files), "matched": matched, "shown": shown, "files": files}


def answer() -> None:
    """Answer one request from stdin, as the process that ``matching`` starts."""
    request = json.load(sys.stdin)
    sources = [Source(*each) for each in request["sources"]]
    try:
        found = search(sources, request["pattern"], request["limit"])
    except NotRowsError as error:
        found = {"refused": str(error)}
    json.dump(found, sys.stdout)
