"""Opening the files of an untrusted folder and its sub-folders: each once, regular files only, within size limits.

Names are resolved relative to one open folder and links are not followed unless the caller asks for it, so replacing
a name during the read has no effect. It does not know what the files mean or what is done with them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import msgspec

from modelspine.errors import BundleRefused
from modelspine.files import MAX_PATH, path_fault
from modelspine.text import visible

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 2**30
_SPARSE_FROM = 64 * 2**20  # smaller sparse files are harmless to read
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NOFOLLOW refuses a link that replaced the file after the check; O_NONBLOCK keeps a pipe from blocking the open.
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLLOWED = _REGULAR & ~os.O_NOFOLLOW
_HINT = "a bundle is a folder of readable regular files that do not change while they are read"
_GIVE = "give the folder in which config.json and the model's files stand"
_COPY = "remove the link, or copy what it leads to: `cp -rL FOLDER NEW_FOLDER`, then use NEW_FOLDER"
_LINK = "copy what the links lead to: `cp -rL FOLDER NEW_FOLDER`; `spine register` and `spine sha` also take `--follow`"
_SPECIAL = "a bundle holds regular files only: remove this from the folder"
_RENAME = "rename it, also where the program that loads it names it; letters, digits, “-”, “_” and “.” are always right"
_LONGEST = MAX_PATH - len(f"cache/{'0' * 64}/")  # in a backup, a path follows the folder of its entry
_LARGE = "keep only what the model reads in the folder; checkpoints and data sets belong elsewhere"
_MANY = "keep only what the model reads in the folder, or pack its small files into one archive"

Skip = Callable[[str, bool], bool]
"""Whether a path is left out; the second argument says whether it is a folder."""


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


class Folder:
    """The regular files below one open folder, by path with "/" between the parts; each is opened by ``open``."""

    def __init__(self, fd: int, name: str, *, follow: bool) -> None:
        self._fd = fd
        self._name = name
        self._follow = follow
        self.sizes: dict[str, int] = {}
        """Path → size in bytes when the folder was listed, in ascending byte order of the paths."""
        self.skipped: tuple[str, ...] = ()
        """What ``skip`` left out, in ascending order; a folder ends in "/"."""

    def list(self, skip: Skip) -> None:
        """Find every file; see ``opened``."""
        sizes: dict[str, int] = {}
        skipped: list[str] = []
        folders = [""]
        while folders:
            prefix = folders.pop()
            with self._folder(prefix) as fd:
                for name in _names(fd, MAX_ENTRIES - len(sizes) - len(skipped) - len(folders)):
                    path = prefix + name
                    check_path(path)
                    found = self._stat(path, name, fd)
                    is_folder = stat.S_ISDIR(found.st_mode)
                    if skip(path, is_folder):
                        skipped.append(f"{path}/" if is_folder else path)
                    elif is_folder:
                        folders.append(f"{path}/")
                    else:
                        sizes[path] = found.st_size
        # Code points and UTF-8 bytes sort alike, so this is the ascending byte order that digests need.
        self.sizes = dict(sorted(sizes.items()))
        self.skipped = tuple(sorted(skipped))
        total = sum(self.sizes.values())
        if total > MAX_BYTES:
            raise BundleRefused(f"the files take {total:,} bytes, over the limit of {MAX_BYTES:,}", _LARGE)

    @contextmanager
    def open(self, paths: Iterable[str]) -> Iterator[dict[str, Source]]:
        """Open files that were listed, in their order; they are closed after the block.

        Raises:
            BundleRefused: a file cannot be read, is not a regular file any more, or is mostly holes.
        """
        with ExitStack() as stack:
            sources = {path: self._open(path, stack) for path in paths}
            for source in sources.values():
                _check_sparse(source)
            yield sources

    @contextmanager
    def _folder(self, prefix: str) -> Iterator[int]:
        """A descriptor of a folder below this one, for which ``prefix`` is empty or ends in "/"."""
        fd = os.dup(self._fd)
        try:
            # One name at a time, because a link that replaced a folder in the middle of a path would be followed.
            for name in prefix.split("/")[:-1]:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        except OSError as exc:
            raise _unreadable(prefix.rstrip("/") or self._name, exc) from exc
        finally:
            os.close(fd)

    def _stat(self, path: str, name: str, fd: int) -> os.stat_result:
        """What a name is: a regular file or a folder; everything else is refused."""
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            if not self._follow:
                raise BundleRefused(f"{visible(path)} is a symbolic link", _LINK)
            found = os.stat(name, dir_fd=fd)
            if not stat.S_ISREG(found.st_mode):
                raise BundleRefused(f"{visible(path)} is a symbolic link to something that is no regular file", _COPY)
        elif not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise BundleRefused(f"{visible(path)} is not a regular file", _SPECIAL)
        return found

    def _open(self, path: str, stack: ExitStack) -> Source:
        prefix, _, name = path.rpartition("/")
        with self._folder(f"{prefix}/" if prefix else "") as fd:
            # Checked before opening, because opening a device or a pipe can have side effects, and again on the open
            # file, because the name may have been replaced in between.
            if stat.S_ISDIR(self._stat(path, name, fd).st_mode):
                raise BundleRefused(f"{visible(path)} is not a regular file", _SPECIAL)
            handle = os.open(name, _FOLLOWED if self._follow else _REGULAR, dir_fd=fd)
        stack.callback(os.close, handle)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise BundleRefused(f"{visible(path)} is not a regular file", _SPECIAL)
        if found.st_size > MAX_BYTES:
            raise BundleRefused(f"{visible(path)} takes {found.st_size:,} bytes, over {MAX_BYTES:,}", _LARGE)
        return Source(path, handle, found.st_size, found.st_mtime_ns)


@contextmanager
def opened(directory: Path, skip: Skip, *, follow: bool = False) -> Iterator[Folder]:
    """A folder with all files below it, except for what ``skip`` leaves out, which is neither opened nor entered.

    ``skip`` gets a path and whether it is a folder. With ``follow``, a link to a regular file counts as that file,
    under the link's path.

    Raises:
        BundleRefused: the folder cannot be read, or holds a link, a special file, a path that is not allowed, or more
            files or bytes than the limit.
    """
    try:
        fd = os.open(directory, _FOLDER)
    except NotADirectoryError as exc:
        raise BundleRefused(f"{visible(str(directory))} is not a folder, and a bundle is one", _GIVE) from exc
    except (OSError, ValueError) as exc:  # ValueError: a path with a null byte
        raise _unreadable(str(directory), exc) from exc
    try:
        folder = Folder(fd, str(directory), follow=follow)
        folder.list(skip)
        yield folder
    finally:
        os.close(fd)


@contextmanager
def opened_file(path: Path) -> Iterator[Source]:
    """One open file, under the same rules as the files of a folder."""
    try:
        fd = os.open(path.parent, _FOLDER)
    except (OSError, ValueError) as exc:
        raise _unreadable(str(path), exc) from exc
    try:
        check_path(path.name)
        with Folder(fd, str(path.parent), follow=False).open([path.name]) as sources:
            yield sources[path.name]
    finally:
        os.close(fd)


def check_path(path: str) -> None:
    """Refuse a path that not every system or archive can hold.

    Raises:
        BundleRefused: it is one.
    """
    if fault := path_fault(path, _LONGEST):
        raise BundleRefused(f"a file is named “{visible(path, 120)}”, which {fault}", _RENAME)


def _names(folder: int, limit: int) -> list[str]:
    """The names in an open folder."""
    names: list[str] = []
    # Counted while listing: a folder with millions of names must not be held in memory.
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) >= limit:
                raise BundleRefused(f"the folder holds more than {MAX_ENTRIES:,} files", _MANY)
            names.append(entry.name)
    return names


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
