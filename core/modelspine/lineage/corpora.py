"""Corpora under DVC: finding the revision and the files of a hash, reading their rows and searching them.

A corpus is a file or a directory, identified by its DVC hash (MD5). Bytes are hashed again whenever they are read,
because DVC itself would check out a tampered cache file and report it as up to date. It does not know which models were
trained on a corpus.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.lineage.corpus_files import check, counted_rows, digests_of, file_errors, refuse, row_format, source_of
from modelspine.lineage.dvc_fetch import reach
from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.dvc_lookup import CHANGED, Found, Part, find, named, parts
from modelspine.lineage.dvc_repository import Repository, Snapshot
from modelspine.lineage.row_formats import NotRowsError
from modelspine.lineage.row_objects import objects
from modelspine.lineage.row_search import PATIENCE, TooSlowError, matching
from modelspine.text import visible

_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LONGEST_PATTERN = 500
"""Characters; a longer pattern can take long even to compile."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a corpus in the repository."""

    dvc_hash: str
    path: str
    """The data file or directory, relative to the project's folder."""
    dvc_file: str
    """The .dvc file or dvc.lock that names it, relative to the project's folder."""
    revision: str
    """The git commit whose .dvc file names the hash; empty where only the work tree does."""
    at_head: bool
    """True where the work tree's .dvc file names the hash, so that the data file should have it."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A matching row of a corpus."""

    number: int
    """Its number in its file, from 1: of the line or, in a table, of the record."""
    text: str
    """The line, or a table's row as a JSON object by column."""
    start: int
    """Index in ``text`` at which the match begins; ``end`` is the index after it."""
    end: int
    file: str = ""
    """Its file, from the corpus's directory; empty where the corpus is a file."""

    def around(self, width: int) -> str:
        """At most ``width`` characters of the text around the match, plus an ellipsis at each cut."""
        if len(self.text) <= width:
            return self.text
        begin = max(0, min((self.start + self.end - width) // 2, len(self.text) - width))
        part = self.text[begin : begin + width]
        return ("…" if begin else "") + part + ("…" if begin + width < len(self.text) else "")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading a corpus whole: its digests, its number of rows and the matching ones."""

    dvc_hash: str
    pattern: str
    rows: int | None
    """None where they were not searched, and counting them needs a library that is not installed."""
    matched: int
    shown: tuple[Row, ...]
    md5: str
    sha256: str
    """Of the file. Of a directory, that of the lines that ``sha256sum`` prints for its files, ordered by path."""
    skipped: tuple[str, ...] = ()
    """Files of a directory that have no rows in a known format; their bytes were verified, and not searched."""


class Corpora:
    """The corpora of one DVC repository."""

    def __init__(self, root: Path, remote: str = "", text: str = "") -> None:
        """Take a project's folder, the URL to fetch from, and the column that holds a row's text; both may be empty."""
        self.root = root
        self._remote = remote
        self._text = text
        self._repository: Callable[[], Repository] = lambda: Repository(root)

    def snapshot(self) -> Corpora:
        """The same corpora for a walk over many of them: the repository is read once, and counts as unchanged."""
        found = Corpora(self.root, self._remote, self._text)
        found._repository = cache(lambda: Snapshot(self.root))
        return found

    @file_errors()
    def resolve(self, dvc_hash: str, path: str = "") -> Place:
        """Find the file and revision of a hash, in the work tree first and then in git's history.

        ``path`` is the data file where a manifest names one; it picks among files of the same content.

        Raises:
            UnknownRef: no .dvc file or dvc.lock ever named it.
            BadInput: it is not a DVC hash.
            Unavailable: git could not look; its own words are passed on.
        """
        found = self._find(dvc_hash, path)
        return Place(
            dvc_hash=dvc_hash,
            path=found.repository.shown(found.path),
            dvc_file=found.repository.shown(found.tracked.file),
            revision=found.revision,
            at_head=found.at_head,
        )

    @file_errors()
    def tracked(self) -> list[tuple[str, str]]:
        """Every (path relative to the project's folder, hash) that the work tree's files name."""
        repository = Repository(self.root)
        return [(repository.shown(each.out.path), each.out.dvc_hash) for each in repository.tracked()]

    @file_errors()
    def named(self, path: str) -> list[tuple[str, str]]:
        """The (path, hash) of the output, or the file in a tracked directory, that has this path in the work tree.

        Raises:
            Unavailable, Damaged: the listing of the directory could not be read.
        """
        return named(Repository(self.root), path)

    @file_errors()
    def eval_sets(self) -> set[str]:
        """The hashes to which the work tree's files give the type ``eval``; no model is trained on them."""
        return {each.out.dvc_hash for each in Repository(self.root).tracked("eval") if each.out.kind == "eval"}

    @file_errors()
    def parts(self, dvc_hash: str, path: str = "", *, pull: bool = False) -> tuple[Part, ...]:
        """The files of a corpus, in DVC's cache or the work tree; with ``pull`` those not here are fetched.

        They are found by name only; what reads them verifies their bytes.

        Raises:
            BadInput, UnknownRef: it is not a DVC hash, or nothing ever named it.
            Unavailable: a file is not on this machine, or could not be fetched.
            Damaged: a directory's listing does not match its hash.
        """
        return parts(self._find(dvc_hash, path, pull=pull), remote=self._remote if pull else None)

    def file(self, dvc_hash: str, *, pull: bool = False) -> Path:
        """The file of a corpus that is one file; see ``parts``.

        Raises:
            BadInput: it is a directory.
        """
        found = self.parts(dvc_hash, pull=pull)
        if dvc_hash.endswith(".dir"):
            raise BadInput(f"{dvc_hash[:12]} is a directory of {len(found):,} files", "give the hash of one file")
        return found[0].file

    def rows(self, dvc_hash: str, prefer: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Yield the rows of a corpus as objects whose ``text`` is the row's; lines of other JSON are skipped.

        The text is in the column that the settings name, else in ``text``, one of ``prefer`` or another usual name.
        Each file's hash is verified after its last row; do not rely on rows before that.

        Raises:
            Damaged: the bytes do not match the hash.
            BadInput: a file has no rows in a known format.
        """
        for part in self.parts(dvc_hash):
            with file_errors(), tempfile.TemporaryDirectory(prefix="spine-rows-") as folder:
                if dvc_hash.endswith(".dir") and row_format(part) is None:
                    continue
                source = source_of(part, Path(folder))
                digest = Digest(legacy=source.legacy)
                try:
                    yield from objects(Path(source.path), source.kind, digest, (self._text, *prefer))
                except NotRowsError as error:
                    refuse(part, error)
                if source.expected:
                    check(part, digest.md5(part.md5))

    @file_errors()
    def verify(self, dvc_hash: str, *, sha256: Any = None, pull: bool = False, path: str = "") -> Search:
        """Verify a corpus's bytes, also against the ``sha256`` of a manifest where given.

        Raises:
            Damaged: the bytes do not match one of the hashes.
            Unavailable: the corpus is not on this machine, or could not be fetched.
        """
        digests: list[tuple[str, str]] = []
        rows: int | None = 0
        for part in self.parts(dvc_hash, path, pull=pull):
            digest, found = counted_rows(part)
            rows = None if found is None or rows is None else rows + found
            check(part, digest.md5(part.md5))
            digests.append((part.name, digest.sha256()))
        return _search(dvc_hash, "", digests, sha256, rows=rows)

    @file_errors()
    def search(
        self, dvc_hash: str, pattern: str, *, limit: int = 20, patience: float = PATIENCE, path: str = ""
    ) -> Search:
        """Find the rows that match a Python regular expression, and verify the corpus's hash.

        The search runs in a separate process, which is killed if it takes ``patience`` seconds longer than reading the
        bytes should take.

        Raises:
            BadInput: the pattern is not a regular expression, is too long or takes too long, or there are no rows.
            Unavailable: the corpus is not on this machine.
            Damaged: the bytes do not match the hash.
        """
        _compiled(pattern)
        directory = dvc_hash.endswith(".dir")
        every = self.parts(dvc_hash, path)
        searched = [part for part in every if not directory or row_format(part) is not None]
        if not searched:
            wrong = f"none of the {len(every):,} files of {dvc_hash[:12]} has rows"
            raise BadInput(wrong, "rows are read from JSON lines, CSV, TSV, Parquet and plain text")
        with tempfile.TemporaryDirectory(prefix="spine-rows-") as folder:
            sources = [source_of(part, Path(folder)) for part in searched]
            try:
                found = matching(sources, pattern, limit, patience=patience)
            except TooSlowError as error:
                raise BadInput(
                    f"the search for {visible(pattern, 60)!r} was stopped after {error.seconds:.0f} s",
                    "simplify the pattern: a repeat inside a repeat, such as (a+)+, can backtrack without end",
                ) from error
            except NotRowsError as error:
                refuse(every[0], error)
        hashed = {
            part: (of_file["md5"], of_file["sha256"])
            for part, source, of_file in zip(searched, sources, found["files"], strict=True)
            if source.expected  # else a copy was read
        }
        digests = []
        for part in every:
            md5, sha256 = hashed.get(part) or digests_of(part)
            check(part, md5)
            digests.append((part.name, sha256))
        shown = [
            Row(number=n, text=text, start=start, end=end, file=searched[index].name if directory else "")
            for index, n, text, start, end in found["shown"]
        ]
        result = _search(dvc_hash, pattern, digests, None, rows=found["rows"])
        skipped = tuple(part.name for part in every if part not in searched)
        return msgspec.structs.replace(result, matched=found["matched"], shown=tuple(shown), skipped=skipped)

    @file_errors()
    def reach(self) -> None:
        """Check that the remote from which corpora are fetched answers.

        Raises:
            Unavailable: there is no DVC repository or no remote, or the remote does not answer.
        """
        roots = Repository(self.root).dvc_roots()
        if not roots:
            wrong = f"{visible(str(self.root), 120)} is not a DVC repository"
            raise Unavailable(wrong, "run this in the repository's folder")
        for root in roots:
            reach(root, self._remote)

    def _find(self, dvc_hash: str, path: str = "", *, pull: bool = False) -> Found:
        if _HASH.fullmatch(dvc_hash) is None:
            raise BadInput(f"{visible(dvc_hash, 60)!r} is not a DVC hash", "give the 32 hex digits in a .dvc file")
        return find(self._repository(), dvc_hash, path=path, remote=self._remote if pull else None)


def _compiled(pattern: str) -> None:
    """Raise ``BadInput`` for a pattern that is no regular expression, or too long."""
    try:
        re.compile(pattern[: _LONGEST_PATTERN + 1])
    except (re.error, RecursionError, OverflowError) as error:
        wrong = f"{visible(pattern, 60)!r} is not a valid regular expression: {error}"
        raise BadInput(wrong, "put a backslash before special characters") from error
    if len(pattern) > _LONGEST_PATTERN:
        raise BadInput(f"the pattern has {len(pattern):,} characters, limit {_LONGEST_PATTERN}", "shorten it")


def _search(dvc_hash: str, pattern: str, digests: list[tuple[str, str]], expected: Any, *, rows: int | None) -> Search:
    """The result for files of these names and SHA-256s, compared with the ``expected`` one unless that is None."""
    if dvc_hash.endswith(".dir"):
        listed = "".join(f"{digest}  {name}\n" for name, digest in digests)
        found = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
    else:
        found = digests[0][1]
    if expected is not None and found != expected:
        shown = visible(str(expected)[:12], 12)
        raise Damaged(f"corpus {dvc_hash[:12]} has SHA-256 {found[:12]}, its manifest says {shown}", CHANGED)
    return Search(dvc_hash=dvc_hash, pattern=pattern, rows=rows, matched=0, shown=(), md5=dvc_hash, sha256=found)
