"""Private copies of stored bundles: what a workload loads is what was hashed.

A workload opens the files of a bundle by their paths, when it likes: at once, through a mapping that stays open, or
with a later request. In the cache, somebody who may write there could change a file or swap a folder after it was
hashed. So the bytes are copied to a folder that only this user can enter, hashed there, and loaded from there. It does
not know the ledger, or what a bundle means.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from modelspine.errors import BundleRefused, Damaged, Unavailable
from modelspine.identity.bundle import read_stored
from modelspine.identity.bundle_files import is_by_product
from modelspine.identity.untrusted_files import Source, opened
from modelspine.text import short, visible

PREFIX = "spine-loaded-"
"""How the name of a folder of private copies begins, in the system's folder for temporary files (``TMPDIR``)."""
_OPEN_AT_ONCE = 32
_CHUNK = 2**24
_NEW_SECONDS = 60
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHANGED = "find out what writes to the bundle cache (`spine info` shows where it is); the entry was not used"


class Stored(Protocol):
    """The part of the registry that provides verified folders."""

    def verified(self, sha: str) -> Path:
        """Re-hash a bundle's bytes and return its folder."""
        ...

    def parent_folder(self, sha: str) -> Path | None:
        """Re-hash the bytes of the entry's parent and return its folder; None without a parent."""
        ...


class PrivateCopies:
    """Copies of bundles for this process and its children; they are removed with ``close``.

    They are not in the cache's folder, because whoever may write there could put another folder in their place.
    """

    def __init__(self) -> None:
        self._home: Path | None = None
        self._lock = -1
        self._copies: dict[str, Path] = {}

    def of(self, sha: str, folder: Path) -> Path:
        """Copy a stored bundle and hash the copy; returns its folder, which is named by the SHA.

        Raises:
            Damaged: the bytes of the copy are not those of the SHA.
            Unavailable: they cannot be read, or there is no room for them.
        """
        if (kept := self._copies.get(sha)) is not None:
            with suppress(BundleRefused):
                if read_stored(kept).sha == sha:
                    return kept
        try:
            # Not with its parents: if somebody removed this process's own folder, nothing is made in its place.
            outer = Path(tempfile.mkdtemp(dir=self._own()))
            self._copies[sha] = place = outer / sha
            place.mkdir()
            found = _copied(folder, place)
        except BundleRefused as error:
            self._forget(sha)
            told, failed = f"the stored bundle of {short(sha)} cannot be copied: {error.message}", error.__cause__
            # What the machine cannot read may be intact; a link in the place of a file is not.
            if isinstance(failed, OSError) and failed.errno != errno.ELOOP:
                raise Unavailable(told, "fix the cause, then repeat the command") from error
            raise Damaged(told, _CHANGED) from error
        except OSError as error:
            self._forget(sha)
            raise Unavailable(
                f"no private copy of {short(sha)} could be made in {visible(str(self._home), 120)}: {error.strerror}",
                "free some space there, or set TMPDIR to a folder that has room; models are loaded from such a copy",
            ) from error
        if found != sha:
            self._forget(sha)
            raise Damaged(f"the files of {short(sha)} changed after they were hashed: {short(found)} now", _CHANGED)
        return place

    def both(self, stored: Stored, sha: str) -> tuple[Path, Path | None]:
        """Copies of an entry's bundle and of its parent's; None for the parent of an entry without one.

        Raises:
            Damaged, Unavailable: one of them cannot be read, or is not what its SHA says.
        """
        folder, parent = stored.verified(sha), stored.parent_folder(sha)
        return self.of(sha, folder), self.of(parent.name, parent) if parent is not None else None

    def keep(self, shas: Collection[str]) -> None:
        """Remove the copies of all other bundles."""
        for sha in [sha for sha in self._copies if sha not in shas]:
            self._forget(sha)

    def close(self) -> None:
        """Remove every copy. A file that is still open or mapped stays readable to the process that has it."""
        self._copies.clear()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            os.close(self._lock)
            self._home = None

    def __enter__(self) -> Self:
        """The copies themselves."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove every copy."""
        self.close()

    def _own(self) -> Path:
        """The folder of the copies, made on first use; it can be entered by this user only."""
        if self._home is None:
            try:
                _sweep(Path(tempfile.gettempdir()))
                self._home = Path(tempfile.mkdtemp(prefix=PREFIX))
                self._lock = os.open(self._home, _FOLDER)
                with suppress(OSError):  # a file system without locks, where nobody can take one either
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Unavailable(
                    f"no folder for a private copy could be made: {error.strerror}",
                    "set TMPDIR to a folder that this process may write to",
                ) from error
        return self._home

    def _forget(self, sha: str) -> None:
        if (place := self._copies.pop(sha, None)) is not None:
            shutil.rmtree(place.parent, ignore_errors=True)


def _copied(folder: Path, place: Path) -> str:
    """Copy the files of a stored bundle, and hash the copy; returns its SHA."""
    with opened(folder, is_by_product) as source:
        paths = list(source.sizes)
        for start in range(0, len(paths), _OPEN_AT_ONCE):
            with source.open(paths[start : start + _OPEN_AT_ONCE]) as files:
                for path, file in files.items():
                    _copy(file, place / path)
    return read_stored(place).sha


def _copy(source: Source, target: Path) -> None:
    """Copy the bytes that a file had when it was opened; the kernel copies them if it can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as stream:
        done = 0
        while done < source.size:
            count = min(_CHUNK, source.size - done)
            try:
                got = os.copy_file_range(source.fd, stream.fileno(), count, done, done)
            except (AttributeError, OSError):  # another system, or two file systems that cannot do it
                got = os.pwrite(stream.fileno(), source.read(done, count), done)
            if not got:
                source.changed()
            done += got
    target.chmod(0o400)


def _sweep(folder: Path) -> None:
    """Remove what processes of this user left behind that were killed: their locks are gone."""
    with suppress(OSError):
        for each in folder.glob(f"{PREFIX}*"):
            with suppress(OSError):
                handle = os.open(each, _FOLDER | os.O_NOFOLLOW)
                try:
                    about = os.fstat(handle)
                    # A new one may not have its lock yet.
                    if about.st_uid == os.getuid() and time.time() - about.st_mtime > _NEW_SECONDS:
                        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(each, ignore_errors=True)
                finally:
                    os.close(handle)
