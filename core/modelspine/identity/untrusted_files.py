"""Opening the files of an untrusted folder: each once, regular files only, within size limits.

Names are resolved relative to one open folder and links are never followed, so replacing a name during the read has
no effect. It does not know what the files mean or what is done with them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import msgspec

from modelspine.errors import BundleRefused
from modelspine.text import visible

MAX_ENTRIES = 10_000
MAX_BYTES = 8 * 2**30
_SPARSE_FROM = 64 * 2**20  # smaller sparse files are harmless to read
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NOFOLLOW refuses a link that replaced the file after the check; O_NONBLOCK keeps a pipe from blocking the open.
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HINT = "a bundle is a folder of readable regular files that do not change while they are read"


class Source(msgspec.Struct, frozen=True):
    """One open regular file, with its size and modification time at the moment it was opened."""

    name: str
    fd: int
    size: int
    mtime_ns: int

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises:
            BundleRefused: the file cannot be read, or ends before that.
        """
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            got = self.read_into(rest, offset)
            rest, offset = rest[got:], offset + got
        return bytes(data)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read at least one byte from ``offset`` into ``buffer``; returns how many.

        Raises:
            BundleRefused: the file cannot be read, or ends before that.
        """
        try:
            got = os.preadv(self.fd, [buffer], offset)
        except OSError as exc:
            raise _unreadable(self.name, exc) from exc
        if not got:
            self.changed()
        return got

    def check_unchanged(self) -> None:
        """Raise ``BundleRefused`` if the file was written to since it was opened."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            self.changed()

    def changed(self) -> NoReturn:
        """Raise ``BundleRefused`` because the file changed."""
        raise BundleRefused(f"{visible(self.name)} changed while it was being read", _HINT)


@contextmanager
def opened(directory: Path, select: Callable[[list[str]], dict[str, int]]) -> Iterator[dict[str, Source]]:
    """The open files that ``select`` chooses from the folder's listing, by name.

    ``select`` maps each chosen name to its maximum size in bytes.

    Raises:
        BundleRefused: the folder cannot be read, a chosen name is not a regular file, or a file is too large.
    """
    with _opened(directory, lambda folder: select(_listing(folder))) as sources:
        yield sources


@contextmanager
def opened_file(path: Path) -> Iterator[Source]:
    """One open file, under the same rules as ``opened``."""
    with _opened(path.parent, lambda _: {path.name: MAX_BYTES}) as sources:
        yield sources[path.name]


@contextmanager
def _opened(directory: Path, choose: Callable[[int], dict[str, int]]) -> Iterator[dict[str, Source]]:
    with ExitStack() as stack:
        try:
            folder = _folder(directory)
            stack.callback(os.close, folder)
            sources = {name: _open(folder, name, limit, stack) for name, limit in sorted(choose(folder).items())}
            # Each file is within its own limit, but many shards together could still fill the disk.
            total = sum(source.size for source in sources.values())
            if total > MAX_BYTES:
                raise BundleRefused(f"the files take {total:,} bytes, over the limit of {MAX_BYTES:,}", _HINT)
            for source in sources.values():
                _check_sparse(source)
        except (OSError, ValueError) as exc:  # ValueError: a path with a null byte
            raise _unreadable(str(directory), exc) from exc
        yield sources


def _folder(directory: Path) -> int:
    try:
        return os.open(directory, _FOLDER)
    except NotADirectoryError as error:
        raise BundleRefused(
            f"{visible(str(directory))} is not a folder, and a bundle is one",
            "give the folder in which config.json and the .safetensors files stand",
        ) from error


def _listing(folder: int) -> list[str]:
    names: list[str] = []
    # Counted while listing: a folder with millions of names must not be held in memory.
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) >= MAX_ENTRIES:
                raise BundleRefused(f"the folder holds more than {MAX_ENTRIES:,} files", _HINT)
            names.append(entry.name)
    return names


def _open(folder: int, name: str, limit: int, stack: ExitStack) -> Source:
    """Open one name of the folder."""
    # Checked before opening, because opening a device or a pipe can have side effects, and again on the open file,
    # because the name may have been replaced in between.
    before = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(before.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(before.st_mode) else "not a regular file"
        raise BundleRefused(f"{visible(name)} is {kind}", _HINT)
    fd = os.open(name, _REGULAR, dir_fd=folder)
    stack.callback(os.close, fd)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise BundleRefused(f"{visible(name)} is not a regular file", _HINT)
    if found.st_size > limit:
        raise BundleRefused(f"{visible(name)} takes {found.st_size:,} bytes, over the limit of {limit:,}", _HINT)
    return Source(name, fd, found.st_size, found.st_mtime_ns)


def _check_sparse(source: Source) -> None:
    """Refuse a large file that is mostly holes: it takes no disk space, but gigabytes of reading."""
    if source.size < _SPARSE_FROM or not hasattr(os, "SEEK_HOLE"):
        return
    # Both few blocks and a hole are required, because a compressing file system reports few blocks for real data.
    few_blocks = os.fstat(source.fd).st_blocks * 512 < source.size // 2
    if few_blocks and os.lseek(source.fd, 0, os.SEEK_HOLE) < source.size:
        raise BundleRefused(
            f"{visible(source.name)} is a sparse file", "copy it with `cp --sparse=never` if it is real"
        )


def _unreadable(path: str, exc: OSError | ValueError) -> BundleRefused:
    name = exc.filename if isinstance(exc, OSError) and isinstance(exc.filename, str) else path
    reason = exc.strerror if isinstance(exc, OSError) else str(exc)
    return BundleRefused(f"{visible(name)}: {reason}", _HINT)
