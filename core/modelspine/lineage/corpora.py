"""Corpora under DVC: which revision a hash is, where its rows are, and which of them match.

A corpus is named by the MD5 that DVC gave it. What is opened is hashed again while it is read, with MD5 and
SHA-256: DVC itself would check out a tampered cache file and say that all is up to date. Rows are JSON, one
a line. It does not know which model was trained on them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable, UnknownRef
from modelspine.extras import missing_extra
from modelspine.git import run_git
from modelspine.lineage.dvc_file import named_in, outs
from modelspine.lineage.row_search import PATIENCE, TooSlowError, matching
from modelspine.text import visible

_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LONGEST_PATTERN = 500


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a corpus hash stands in the repository."""

    dvc_hash: str
    path: str
    """Of the data file, relative to the root."""
    revision: str
    """The git commit whose .dvc file names the hash; ``""`` where the work tree alone does."""
    at_head: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a corpus, with its line number from 1."""

    number: int
    text: str
    start: int
    """Where in the text the match begins, and where it ends."""
    end: int

    def around(self, width: int) -> str:
        """The part of the text around the match, at most ``width`` characters, an ellipsis where it was cut."""
        if len(self.text) <= width:
            return self.text
        begin = max(0, min((self.start + self.end - width) // 2, len(self.text) - width))
        part = self.text[begin : begin + width]
        return ("…" if begin else "") + part + ("…" if begin + width < len(self.text) else "")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that match a pattern, out of how many, in a corpus whose bytes were hashed on the way."""

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
        """The file and revision a hash belongs to: the work tree's .dvc files first, then git's history.

        Raises:
            UnknownRef: no .dvc file ever named it.
            BadInput: it is not a DVC hash.
        """
        if _HASH.fullmatch(dvc_hash) is None:
            raise BadInput(f"{visible(dvc_hash, 60)!r} is not a DVC hash", "it is 32 hex digits, from a .dvc file")
        for file in self._dvc_files():
            path = named_in(file.read_text(encoding="utf-8", errors="replace"), dvc_hash)
            if path is not None:
                relative = file.parent.relative_to(self.root) / path
                revision = self._git("log", "-1", "--format=%H", "--", str(file.relative_to(self.root))).strip()
                return Place(dvc_hash=dvc_hash, path=str(relative), revision=revision, at_head=True)
        return self._in_history(dvc_hash)

    def tracked(self) -> list[tuple[str, str]]:
        """Every (path, hash) the work tree's .dvc files name, relative to the root."""
        found = []
        for file in self._dvc_files():
            for path, dvc_hash in outs(file.read_text(encoding="utf-8", errors="replace")):
                found.append((str(file.parent.relative_to(self.root) / path), dvc_hash))
        return found

    def eval_sets(self) -> set[str]:
        """The hashes of what the work tree's .dvc files give the type ``eval``: nothing is trained on it."""
        texts = (file.read_text(encoding="utf-8", errors="replace") for file in self._dvc_files())
        return {dvc_hash for text in texts for _, dvc_hash in outs(text, kind="eval")}

    def file(self, dvc_hash: str, *, pull: bool = False) -> Path:
        """The file that holds a corpus' bytes: in DVC's cache, or the work tree, or pulled from the remote.

        It is found by name only; ``read`` hashes it.

        Raises:
            Unavailable: it is nowhere on this machine (and could not be pulled).
        """
        place = self.resolve(dvc_hash)
        workspace = self.root / place.path
        candidates = [self._cached(dvc_hash), workspace if place.at_head else None]
        found = next((path for path in candidates if path is not None and path.is_file()), None)
        if found is None and pull:
            self._pull(place)
            found = next((path for path in candidates if path is not None and path.is_file()), None)
        if found is None:
            raise Unavailable(
                f"the rows of {visible(place.path, 80)} ({dvc_hash[:12]}) are not on this machine",
                f"fetch them: `dvc pull {visible(place.path, 80)}.dvc`",
            )
        return found

    def read(self, dvc_hash: str) -> Iterator[bytes]:
        """A corpus' lines; the last line is followed by the check of all that was read.

        Raises:
            Damaged: the bytes do not have the hash.
        """
        digest = hashlib.md5(usedforsecurity=False)
        path = self.file(dvc_hash)
        with path.open("rb") as stream:
            for line in stream:
                digest.update(line)
                yield line
        self._check(dvc_hash, digest.hexdigest(), path)

    def verify(self, dvc_hash: str, *, sha256: Any = None, pull: bool = False) -> Search:
        """Hash a corpus' bytes again; with ``sha256``, whatever a manifest says there, that digest must hold too.

        Raises:
            Damaged: one of the hashes does not hold.
        """
        self.file(dvc_hash, pull=pull)
        digest = hashlib.sha256()
        rows = 0
        for rows, raw in enumerate(self.read(dvc_hash), 1):  # noqa: B007  (the last number is how many there are)
            digest.update(raw)
        found = digest.hexdigest()
        if sha256 is not None and found != sha256:
            said = visible(str(sha256)[:12], 12)
            raise Damaged(f"corpus {dvc_hash[:12]} has SHA-256 {found[:12]}, its manifest says {said}", _WAY_OUT)
        return Search(dvc_hash=dvc_hash, pattern="", rows=rows, matched=0, shown=(), md5=dvc_hash, sha256=found)

    def search(self, dvc_hash: str, pattern: str, *, limit: int = 20, patience: float = PATIENCE) -> Search:
        """The rows whose text matches a Python regular expression, hashing every byte on the way.

        The search runs in a process of its own, which is killed when it takes ``patience`` seconds longer than
        its bytes take to read, or when this one is interrupted.

        Raises:
            BadInput: the pattern is not a regular expression, or takes too long.
            Damaged: the bytes do not have the hash.
        """
        try:
            re.compile(pattern[: _LONGEST_PATTERN + 1])
        except (re.error, RecursionError, OverflowError) as error:
            raise BadInput(f"{visible(pattern, 60)!r} is not a regular expression: {error}", "escape it") from error
        if len(pattern) > _LONGEST_PATTERN:
            raise BadInput(f"the pattern has over {_LONGEST_PATTERN} characters", "shorten it")
        path = self.file(dvc_hash)
        try:
            found = matching(path, pattern, limit, patience=patience)
        except TooSlowError as error:
            raise BadInput(
                f"{visible(pattern, 60)!r} was stopped after {error.seconds:.0f} s: it backtracks without end",
                "make it plainer: a repeat inside a repeat, such as (a+)+, is what takes for ever",
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

    # ------------------------------------------------------------------------------------------------

    def _dvc_files(self) -> list[Path]:
        listed = self._git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.dvc")
        names = [name for name in listed.split("\0") if name]
        return [self.root / name for name in sorted(names) if (self.root / name).is_file()]

    def _in_history(self, dvc_hash: str) -> Place:
        for revision in self._git("log", "--all", "--format=%H", "-S", dvc_hash, "--", "*.dvc").split():
            changed = self._git("show", "--name-only", "--format=", revision, "--", "*.dvc").split("\n")
            for name in filter(None, changed):
                path = named_in(self._git("show", f"{revision}:{name}"), dvc_hash)
                if path is not None:
                    return Place(
                        dvc_hash=dvc_hash, path=str(Path(name).parent / path), revision=revision, at_head=False
                    )
        raise UnknownRef(
            f"no .dvc file of this repository ever named {dvc_hash[:12]}", "run this in the repository that tracks it"
        )

    def _cached(self, dvc_hash: str) -> Path | None:
        with_dvc = self._repo()
        return Path(with_dvc.cache.local.oid_to_path(dvc_hash)) if with_dvc is not None else None

    def _pull(self, place: Place) -> None:
        repo = self._repo()
        if repo is None:
            return
        try:
            with repo:
                repo.fetch(targets=[str(self.root / f"{place.path}.dvc")])
        except Exception as error:
            text = visible(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
            raise Unavailable(
                f"DVC could not fetch {visible(place.path, 60)}: {text}", "check `dvc remote list`"
            ) from error

    def _repo(self) -> Any:
        """DVC's repository here, or None where this is none."""
        if not (self.root / ".dvc").is_dir():
            return None
        import logging

        for name in ("dvc", "dvc_data", "dvc_objects"):  # what they would say is raised as one of our errors
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            from dvc.exceptions import DvcException
            from dvc.repo import Repo
        except ImportError as error:
            broken = Unavailable(f"DVC does not import: {visible(str(error), 120)}", "install it again, then repeat")
            raise missing_extra(error) or broken from error
        try:
            return Repo(str(self.root), config=self._config())
        except DvcException as error:
            raise Unavailable(f"DVC cannot open this: {visible(str(error), 120)}", "run `dvc doctor`") from error

    def _config(self) -> dict[str, Any] | None:
        """DVC's settings on top of the repository's own: the remote that was named by URL, as the default one."""
        name = "spine"
        return {"core": {"remote": name}, "remote": {name: {"url": self._remote}}} if self._remote else None

    def reach(self) -> None:
        """Ask the remote that corpora are fetched from.

        Raises:
            Unavailable: there is no DVC repository or no remote, or the remote does not answer.
        """
        repo = self._repo()
        if repo is None:
            raise Unavailable(f"{visible(str(self.root), 120)} is no DVC repository", "run this in the checkout")
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
            raise Damaged(f"{path.name}: the rows hash to {found[:12]}, and DVC recorded {dvc_hash[:12]}", _WAY_OUT)


_WAY_OUT = "it was changed since it was recorded: `dvc fetch` a sound copy, and find out who wrote into the cache"
