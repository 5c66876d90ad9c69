"""Corpora under DVC: finding the revision and the file of a hash, reading its rows and searching them.

A corpus is identified by its DVC hash (MD5). Bytes are hashed again whenever they are read, because DVC itself would
check out a tampered cache file and report it as up to date. Rows are lines of JSON. It does not know which models were
trained on a corpus.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.extras import missing_extra
from modelspine.git import run_git
from modelspine.lineage.dvc_file import named_in, outs
from modelspine.lineage.dvc_history import in_history
from modelspine.lineage.row_search import PATIENCE, TooSlowError, matching
from modelspine.text import visible

_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LONGEST_PATTERN = 500
"""Characters; a longer pattern can take long even to compile."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a corpus in the repository."""

    dvc_hash: str
    path: str
    """The data file, relative to the root."""
    dvc_file: str
    """The .dvc file that names it, relative to the root."""
    revision: str
    """The git commit whose .dvc file names the hash; empty where only the work tree does."""
    at_head: bool
    """True where the work tree's .dvc file names the hash, so that the data file should have it."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A matching row of a corpus."""

    number: int
    """Its line number, from 1."""
    text: str
    start: int
    """Index in ``text`` at which the match begins; ``end`` is the index after it."""
    end: int

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
    rows: int
    matched: int
    shown: tuple[Row, ...]
    md5: str
    sha256: str


class Corpora:
    """The corpora of one DVC repository."""

    def __init__(self, root: Path, remote: str = "") -> None:
        self.root = root
        self._remote = remote

    def resolve(self, dvc_hash: str) -> Place:
        """Find the file and revision of a hash, in the work tree's .dvc files first and then in git's history.

        Raises:
            UnknownRef: no .dvc file ever named it.
            BadInput: it is not a DVC hash.
        """
        if _HASH.fullmatch(dvc_hash) is None:
            raise BadInput(f"{visible(dvc_hash, 60)!r} is not a DVC hash", "give the 32 hex digits in a .dvc file")
        for file in self._dvc_files():
            path = named_in(_text(file), dvc_hash, folder=self._folder(file))
            if path is not None:
                name = file.relative_to(self.root).as_posix()
                revision = self._git("log", "-1", "--format=%H", "--", name).strip()
                return Place(dvc_hash=dvc_hash, path=path, dvc_file=name, revision=revision, at_head=True)
        return Place(dvc_hash=dvc_hash, at_head=False, **in_history(self.root, dvc_hash)._asdict())

    def tracked(self) -> list[tuple[str, str]]:
        """Every (path relative to the root, hash) in the work tree's .dvc files."""
        return [pair for file in self._dvc_files() for pair in outs(_text(file), folder=self._folder(file))]

    def eval_sets(self) -> set[str]:
        """The hashes to which the work tree's .dvc files give the type ``eval``; no model is trained on them."""
        files = self._dvc_files()
        return {found for file in files for _, found in outs(_text(file), folder=self._folder(file), kind="eval")}

    def file(self, dvc_hash: str, *, pull: bool = False) -> Path:
        """Find a corpus's file in DVC's cache or the work tree, or, with ``pull``, fetch it from the remote.

        The file is found by name only; ``read`` verifies its bytes.

        Raises:
            BadInput, UnknownRef: it is not a DVC hash, or no .dvc file ever named it.
            Unavailable: it is not on this machine, or could not be fetched.
        """
        place = self.resolve(dvc_hash)
        workspace = self.root / place.path
        candidates = [self._cached(dvc_hash), workspace if place.at_head else None]
        found = next((path for path in candidates if path is not None and path.is_file()), None)
        if found is None and pull:
            self._pull(place)
            found = next((path for path in candidates if path is not None and path.is_file()), None)
        if found is None and pull and self._repo() is not None:
            raise Unavailable(
                f"no remote of DVC has the rows of {visible(place.path, 80)} ({dvc_hash[:12]})",
                "check `dvc remote list`, or set SPINE_DVC_REMOTE to the remote's URL",
            )
        if found is None:
            raise Unavailable(
                f"the rows of {visible(place.path, 80)} ({dvc_hash[:12]}) are not on this machine",
                f"fetch them with `dvc pull {visible(place.dvc_file, 80)}`",
            )
        return found

    def read(self, dvc_hash: str) -> Iterator[bytes]:
        """Yield a corpus's lines, and verify the hash after the last one; do not rely on lines before that.

        Raises:
            Damaged: the bytes do not match the hash.
        """
        digest = hashlib.md5(usedforsecurity=False)
        path = self.file(dvc_hash)
        with path.open("rb") as stream:
            for line in stream:
                digest.update(line)
                yield line
        self._check(dvc_hash, digest.hexdigest(), path)

    def verify(self, dvc_hash: str, *, sha256: Any = None, pull: bool = False) -> Search:
        """Verify a corpus's bytes, also against the ``sha256`` of a manifest where given.

        Raises:
            Damaged: the bytes do not match one of the hashes.
            Unavailable: the corpus is not on this machine, or could not be fetched.
        """
        self.file(dvc_hash, pull=pull)
        digest = hashlib.sha256()
        rows = 0
        for rows, raw in enumerate(self.read(dvc_hash), 1):  # noqa: B007  (the last number is how many there are)
            digest.update(raw)
        found = digest.hexdigest()
        if sha256 is not None and found != sha256:
            expected = visible(str(sha256)[:12], 12)
            raise Damaged(f"corpus {dvc_hash[:12]} has SHA-256 {found[:12]}, its manifest says {expected}", _CHANGED)
        return Search(dvc_hash=dvc_hash, pattern="", rows=rows, matched=0, shown=(), md5=dvc_hash, sha256=found)

    def search(self, dvc_hash: str, pattern: str, *, limit: int = 20, patience: float = PATIENCE) -> Search:
        """Find the rows that match a Python regular expression, and verify the corpus's hash.

        The search runs in a separate process, which is killed if it takes ``patience`` seconds longer than reading the
        bytes should take.

        Raises:
            BadInput: the pattern is not a regular expression, is too long, or takes too long.
            Unavailable: the corpus is not on this machine.
            Damaged: the bytes do not match the hash.
        """
        try:
            re.compile(pattern[: _LONGEST_PATTERN + 1])
        except (re.error, RecursionError, OverflowError) as error:
            raise BadInput(
                f"{visible(pattern, 60)!r} is not a valid regular expression: {error}",
                "put a backslash before special characters",
            ) from error
        if len(pattern) > _LONGEST_PATTERN:
            raise BadInput(f"the pattern has {len(pattern):,} characters, limit {_LONGEST_PATTERN}", "shorten it")
        path = self.file(dvc_hash)
        try:
            found = matching(path, pattern, limit, patience=patience)
        except TooSlowError as error:
            raise BadInput(
                f"the search for {visible(pattern, 60)!r} was stopped after {error.seconds:.0f} s",
                "simplify the pattern: a repeat inside a repeat, such as (a+)+, can backtrack without end",
            ) from error
        self._check(dvc_hash, str(found["md5"]), path)
        return Search(
            dvc_hash=dvc_hash,
            pattern=pattern,
            rows=found["rows"],
            matched=found["matched"],
            shown=tuple(Row(number=n, text=text, start=start, end=end) for n, text, start, end in found["shown"]),
            md5=dvc_hash,
            sha256=found["sha256"],
        )

    def _dvc_files(self) -> list[Path]:
        # git lists tracked and new files but no ignored ones, so no .dvc file of an environment or a build is found.
        listed = self._git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.dvc")
        names = [name for name in listed.split("\0") if name]
        return [self.root / name for name in sorted(names) if (self.root / name).is_file()]

    def _folder(self, file: Path) -> str:
        return file.parent.relative_to(self.root).as_posix()

    def _cached(self, dvc_hash: str) -> Path | None:
        repo = self._repo()
        return Path(repo.cache.local.oid_to_path(dvc_hash)) if repo is not None else None

    def _pull(self, place: Place) -> None:
        repo = self._repo()
        if repo is None:
            return
        try:
            with repo:
                # An older version: only that commit's .dvc file has its hash, and DVC counts its path from git's top.
                top = self.root if place.at_head else "/" / Path(repo.root_dir).relative_to(repo.scm.root_dir)
                past = {} if place.at_head else {"revs": [place.revision], "workspace": False}
                repo.fetch(targets=[str(top / place.dvc_file)], **past)
        except Exception as error:
            text = visible(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
            raise Unavailable(
                f"DVC could not fetch {visible(place.path, 60)}: {text}", "check `dvc remote list`"
            ) from error

    def _repo(self) -> Any:
        """DVC's object for this repository; None where the folder is not a DVC repository."""
        if not (self.root / ".dvc").is_dir():
            return None
        import logging

        for name in ("dvc", "dvc_data", "dvc_objects"):  # every failure is raised, so a log line would repeat it
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            from dvc.exceptions import DvcException
            from dvc.repo import Repo
        except ImportError as error:
            broken = Unavailable(f"DVC cannot be imported: {visible(str(error), 120)}", "reinstall DVC, then repeat")
            raise missing_extra(error) or broken from error
        try:
            return Repo(str(self.root), config=self._config())
        except DvcException as error:
            raise Unavailable(
                f"DVC cannot open this repository: {visible(str(error), 120)}", "run `dvc doctor`"
            ) from error

    def _config(self) -> dict[str, Any] | None:
        """DVC settings that override the repository's: the remote given by URL becomes the default one."""
        name = "spine"
        return {"core": {"remote": name}, "remote": {name: {"url": self._remote}}} if self._remote else None

    def reach(self) -> None:
        """Check that the remote from which corpora are fetched answers.

        Raises:
            Unavailable: there is no DVC repository or no remote, or the remote does not answer.
        """
        repo = self._repo()
        if repo is None:
            raise Unavailable(
                f"{visible(str(self.root), 120)} is not a DVC repository", "run this in the repository's folder"
            )
        try:
            with repo:
                remote = repo.cloud.get_remote()
                remote.fs.ls(remote.path)
        except Exception as error:
            text = visible(f"{type(error).__name__}: {error}".split("\n", 1)[0], 120)
            raise Unavailable(
                f"DVC's remote does not answer: {text}", "set SPINE_DVC_REMOTE to its URL, or see `dvc remote list`"
            ) from error

    def _git(self, *words: str) -> str:
        done = run_git(self.root, *words)
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

    def _check(self, dvc_hash: str, found: str, path: Path) -> None:
        if found != dvc_hash:
            raise Damaged(f"{path.name} has MD5 {found[:12]}, but DVC recorded {dvc_hash[:12]}", _CHANGED)


_CHANGED = "the file was changed after DVC recorded it: `dvc fetch` an intact copy, and find out what changed it"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
