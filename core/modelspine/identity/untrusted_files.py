"""Files of a folder nobody vouches for, opened once each and within limits.

Names are resolved inside one open folder, links are never followed and only regular files are opened, so a
name that is swapped under way changes nothing. It does not know what the files mean or what is done with them.
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
_SPARSE_FROM = 64 * 2**20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ONCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HINT = "a bundle is a folder of plain files that its owner can read and nobody writes meanwhile"


class Source(msgspec.Struct, frozen=True):
    """One open regular file, with the size and time of change it had when it was opened."""

    name: str
    fd: int
    size: int
    mtime_ns: int

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            got = self.read_into(rest, offset)
            rest, offset = rest[got:], offset + got
        return bytes(data)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill some of ``buffer`` from ``offset``; at least one byte."""
        try:
            got = os.preadv(self.fd, [buffer], offset)
        except OSError as exc:
            raise _unreadable(self.name, exc) from exc
        if not got:
            self.changed()
        return got

    def check_unchanged(self) -> None:
        """Refuse a file that was written to since it was opened."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            self.changed()

    def changed(self) -> NoReturn:
        """Refuse, because the bytes that were announced are no longer there."""
        raise BundleRefused(f"{visible(self.name)} changed while it was being read", _HINT)


@contextmanager
def opened(directory: Path, select: Callable[[list[str]], dict[str, int]]) -> Iterator[dict[str, Source]]:
    """The files ``select`` names from the folder's listing, each open, none over the byte limit given for it.

    Raises:
        BundleRefused: anything but regular files within the limits, or a folder that cannot be read.

    """
    with _opened(directory, lambda folder: select(_listing(folder))) as sources:
        yield sources


@contextmanager
def opened_file(path: Path) -> Iterator[Source]:
    """One file by its path, under the rules of `opened`."""
    with _opened(path.parent, lambda _: {path.name: MAX_BYTES}) as sources:
        yield sources[path.name]


@contextmanager
def _opened(directory: Path, choose: Callable[[int], dict[str, int]]) -> Iterator[dict[str, Source]]:
    with ExitStack() as stack:
        try:
            folder = os.open(directory, _FOLDER)
            stack.callback(os.close, folder)
            sources = {name: _open(folder, name, limit, stack) for name, limit in sorted(choose(folder).items())}
            total = sum(source.size for source in sources.values())
            if total > MAX_BYTES:
                raise BundleRefused(f"the files take {total:,} bytes, over the limit of {MAX_BYTES:,}", _HINT)
            for source in sources.values():
                _check_sparse(source)
        except (OSError, ValueError) as exc:
            raise _unreadable(str(directory), exc) from exc
        yield sources


def _listing(folder: int) -> list[str]:
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) >= MAX_ENTRIES:
                raise BundleRefused(f"the folder holds more than {MAX_ENTRIES:,} files", _HINT)
            names.append(entry.name)
    return names


def _open(folder: int, name: str, limit: int, stack: ExitStack) -> Source:
    """Open one name of the folder; looked at first, because opening a device or a pipe can have effects."""
    look = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(look.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(look.st_mode) else "not a regular file"
        raise BundleRefused(f"{visible(name)} is {kind}", _HINT)
    fd = os.open(name, _ONCE, dir_fd=folder)
    stack.callback(os.close, fd)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise BundleRefused(f"{visible(name)} is not a regular file", _HINT)
    if found.st_size > limit:
        raise BundleRefused(f"{visible(name)} takes {found.st_size:,} bytes, over the limit of {limit:,}", _HINT)
    return Source(name, fd, found.st_size, found.st_mtime_ns)


def _check_sparse(source: Source) -> None:
    """Refuse a large file that is mostly holes: it costs its maker nothing and its reader everything.

    Two signs are asked for, because a compressing file system may report few blocks for honest bytes.
    """
    if source.size < _SPARSE_FROM or not hasattr(os, "SEEK_HOLE"):
        return
    few_blocks = os.fstat(source.fd).st_blocks * 512 < source.size // 2
    if few_blocks and os.lseek(source.fd, 0, os.SEEK_HOLE) < source.size:
        raise BundleRefused(
            f"{visible(source.name)} is a sparse file", "copy it with `cp --sparse=never` if it is real"
        )


def _unreadable(path: str, exc: OSError | ValueError) -> BundleRefused:
    name = exc.filename if isinstance(exc, OSError) and isinstance(exc.filename, str) else path
    reason = exc.strerror if isinstance(exc, OSError) else str(exc)
    return BundleRefused(f"{visible(name)}: {reason}", _HINT)
