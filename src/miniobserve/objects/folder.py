"""Objects in a local folder; see the package for what a store does.

Each object is a file, which other programs may read in place. A new file is written under a hidden name, synced, and
linked to its own name, which is atomic and never replaces a file. This module knows no URL.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from miniobserve.objects.protocol import CHUNK, Exists, Missing, Stored, checked_key
from miniobserve.sql.protocol import StorageError


class Folder:
    """A store in a local folder: each object is a file, so other tools read them in place."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.name = str(self.root)

    def probe(self) -> None:
        """See ``Objects``; a file system that has no hard links is checked for the key, but not atomically."""
        key = f"probe-{os.urandom(8).hex()}"
        self.put(key, b"")
        self.delete(key)

    def put(self, key: str, source: bytes | Path, *, replace: bool = False) -> None:
        """See ``Objects``."""
        target = self.local(key)
        with self._errors(key):
            _make_folder(target.parent)
            with _partial(target) as (stream, partial):
                if isinstance(source, bytes):
                    stream.write(source)
                else:
                    with source.open("rb") as opened:
                        shutil.copyfileobj(opened, stream, CHUNK)
                stream.flush()
                os.fsync(stream.fileno())
                if replace:
                    partial.replace(target)
                else:
                    _settle(partial, target, f"{self.name}/{key}")
            _sync(target.parent)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``Objects``."""
        with self._errors(key), self.local(key).open("rb") as stream:
            stream.seek(start)
            return stream.read(-1 if end is None else max(0, end - start))

    def fetch(self, key: str, file: Path, *, sha256: str | None = None) -> None:
        """See ``Objects``."""
        with self._errors(key), self.local(key).open("rb") as stream:
            receive(iter(lambda: stream.read(CHUNK), b""), file, f"{self.name}/{key}", sha256)

    def sha256(self, key: str) -> str:
        """See ``Objects``."""
        import hashlib

        with self._errors(key), self.local(key).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def list(self, folder: str = "") -> list[Stored]:
        """See ``Objects``; hidden files, links and what is no plain file are left out."""
        start = self.local(folder) if folder else self.root
        found: list[Stored] = []
        with self._errors(folder):
            for where, folders, files in os.walk(start, onerror=_but_absent):
                folders[:] = [name for name in folders if not name.startswith(".")]
                paths = (Path(where, name) for name in files if not name.startswith("."))
                found += [
                    Stored(path.relative_to(self.root).as_posix(), path.stat().st_size)
                    for path in paths
                    if path.is_file() and not path.is_symlink()
                ]
        return sorted(found)

    def delete(self, key: str) -> None:
        """See ``Objects``."""
        path = self.local(key)
        with self._errors(key):
            if path.exists():
                path.unlink(missing_ok=True)
                _sync(path.parent)

    def local(self, key: str) -> Path:
        """See ``Objects``."""
        return self.root / checked_key(key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise Missing(f"{error.filename or f'{self.name}/{key}'} does not exist") from error
        except OSError as error:
            wrong = f"{error.filename or f'{self.name}/{key}'}: {error.strerror or error}"
            raise StorageError(
                "unavailable", wrong, "check the folder, its permissions and the free disk space"
            ) from error


def receive(chunks: Iterable[bytes], file: Path, name: str, sha256: str | None) -> None:
    """Write chunks to a file that appears only when it is whole; ``name`` is the object's, for messages.

    Raises:
        StorageError: kind ``damaged`` if the bytes have another digest than ``sha256``.
        OSError: the file cannot be written.
    """
    import hashlib  # loads OpenSSL

    found = hashlib.sha256()
    file.parent.mkdir(parents=True, exist_ok=True)
    with _partial(file) as (stream, partial):
        for chunk in chunks:
            stream.write(chunk)
            found.update(chunk)
        stream.flush()
        os.fsync(stream.fileno())
        if sha256 is not None and found.hexdigest() != sha256:
            wrong = f"{name} does not match its digest: its SHA-256 is {found.hexdigest()[:12]}, not {sha256[:12]}"
            raise StorageError("damaged", wrong, "restore the object from a backup")
        partial.replace(file)


@contextmanager
def _partial(file: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Yield a stream to a new hidden file in the same folder, and its path; what is left of it is deleted."""
    partial = file.with_name(f".{os.urandom(8).hex()}.part")
    try:
        with partial.open("xb") as stream:
            yield stream, partial
    finally:
        partial.unlink(missing_ok=True)


def _settle(partial: Path, target: Path, name: str) -> None:
    """Give a file its name if that is free, atomically; ``Exists`` if it is not."""
    try:
        os.link(partial, target)  # unlike a rename, a link never replaces a file
    except OSError as error:
        # Some file systems have no links; there, two writers of one name at the same instant are not told apart.
        if isinstance(error, FileExistsError) or target.exists():
            raise Exists(f"{name} exists already") from error
        partial.replace(target)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they survive a power failure."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _but_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
