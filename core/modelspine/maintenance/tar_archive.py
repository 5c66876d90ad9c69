"""A tar archive that is written in one pass and read without being trusted.

Any ``tar`` can unpack it: regular files in GNU format, without owner or time, so that the same files make the same
bytes. The reader accepts only regular files with safe relative names, each once: no links, no devices, no path that
leaves the folder, no size that exceeds the disk. It does not know what the files mean.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.files import MAX_PATH, OWNER, path_fault, replacing, sync_folder
from modelspine.text import visible

BLOCK = 512
CHUNK = 2**20
_FAST = 3
"""Level of gzip: weights hardly shrink at any level, and the text of traces shrinks well at every one."""
_DAMAGED = "use another backup; this one cannot be restored"
_REFUSED = "it was not written by `spine backup`; nothing was unpacked"


class Member(msgspec.Struct, frozen=True):
    """A file in an archive: its name, its size in bytes and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class Writer:
    """Writes members to a stream, one after the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.members: list[Member] = []

    def file(self, name: str, path: Path) -> Member | None:
        """Add a file with its present size; None where the path is not a regular file.

        Raises:
            OSError: it cannot be opened, or is a symbolic link.
            Unavailable: it became shorter while it was read.
        """
        # O_NOFOLLOW: a link could lead out of the project. O_NONBLOCK: opening a pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as source:
            known = os.fstat(handle)
            return self._add(name, source, known.st_size) if stat.S_ISREG(known.st_mode) else None

    def text(self, name: str, body: bytes) -> Member:
        """Add a file by its bytes."""
        return self._add(name, io.BytesIO(body), len(body))

    def close(self) -> None:
        """Write the end of the archive."""
        self._stream.write(bytes(2 * BLOCK))

    def _add(self, name: str, source: IO[bytes], size: int) -> Member:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._stream.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
        digest = hashlib.sha256()
        # The header has the size already, so exactly this much must follow, even if the file grew in the meantime.
        left = size
        while left:
            data = source.read(min(CHUNK, left))
            if not data:
                raise Unavailable(f"{visible(name, 120)} became shorter while it was read", "repeat the command")
            digest.update(data)
            self._stream.write(data)
            left -= len(data)
        self._stream.write(bytes(-size % BLOCK))
        member = Member(name, size, digest.hexdigest())
        self.members.append(member)
        return member


@contextmanager
def created(path: Path) -> Iterator[Writer]:
    """A writer for a new archive, which gets its name only when the block ended without error and it is on disk.

    Raises:
        BadInput: the path exists.
    """
    if path.exists():
        raise BadInput(f"{visible(str(path), 160)} exists already", "give a new name; a backup replaces nothing")
    # It contains learners' text, so only its owner may read it.
    with replacing(path, mode=OWNER) as raw:
        packed = path.name.endswith((".gz", ".tgz"))
        # No file name and time 0 in gzip's header, so that the same files make the same bytes.
        stream: IO[bytes] = gzip.GzipFile("", "wb", _FAST, raw, 0) if packed else raw  # type: ignore[assignment]
        writer = Writer(stream)
        yield writer
        writer.close()
        if packed:
            stream.close()
    sync_folder(path.parent)


class Reader:
    """Reads the members of an archive in order, refusing what a ``Writer`` would not write."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._names: set[str] = set()

    def members(self) -> Iterator[tuple[str, int]]:
        """Yield the name and size of each member; the caller must ``read`` or ``unpack`` it before the next one.

        Raises:
            BadInput: the file is not an archive, or has a member that ``Writer`` would not write.
            Damaged: it is truncated, or a header's checksum is wrong.
        """
        name = ""
        try:
            block = self._take(BLOCK)
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (Damaged, tarfile.HeaderError):
            _refuse("the file is not an archive")
        while block != bytes(BLOCK):
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise Damaged(f"a header of the archive cannot be read: {visible(str(error), 80)}", _DAMAGED) from error
            # GNU format stores a name of over 100 bytes as the content of an extra member before the file's own.
            if info.type == tarfile.GNUTYPE_LONGNAME and not name and 0 < info.size <= MAX_PATH + 1:
                name = self.read(info.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
                block = self._take(BLOCK)
                continue
            name = name or info.name
            if info.type != tarfile.REGTYPE or info.size < 0:
                _refuse(f"the archive has “{visible(name, 120)}”, which is not a regular file")
            if fault := path_fault(name):
                _refuse(f"the archive has the name “{visible(name, 120)}”, which {fault}")
            if name in self._names:
                _refuse(f"the archive has “{visible(name, 120)}” twice")
            self._names.add(name)
            yield name, info.size
            name, block = "", self._take(BLOCK)
        while data := self._some(CHUNK):
            if data.strip(b"\0"):
                _refuse("the archive has data after its end")

    def read(self, size: int) -> bytes:
        """Read a small member into memory."""
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def unpack(self, name: str, size: int, path: Path) -> Member:
        """Write a member to a new file.

        Raises:
            FileExistsError, NotADirectoryError, IsADirectoryError: the path is taken.
            Unavailable: the disk has no room for it.
            Damaged: the archive is truncated.
        """
        import shutil

        path.parent.mkdir(parents=True, exist_ok=True)
        if size > shutil.disk_usage(path.parent).free:
            raise Unavailable(
                f"{visible(name, 120)} has {size:,} bytes, more than the disk has room for", "free disk space"
            )
        digest = hashlib.sha256()
        left = size
        with path.open("xb") as target:
            while left:
                data = self._take(min(CHUNK, left))
                digest.update(data)
                target.write(data)
                left -= len(data)
            target.flush()
            os.fsync(target.fileno())
        self._take(-size % BLOCK)
        return Member(name, size, digest.hexdigest())

    def _take(self, size: int) -> bytes:
        data = self._some(size)
        while len(data) < size:
            more = self._some(size - len(data))
            if not more:
                raise Damaged("the archive is truncated", _DAMAGED)
            data += more
        return data

    def _some(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Damaged(f"the archive cannot be unpacked: {visible(str(error), 80)}", _DAMAGED) from error


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """A reader for an archive, compressed or not.

    Raises:
        BadInput: there is no such file.
    """
    if not path.is_file():
        raise BadInput(f"there is no archive at {visible(str(path), 160)}", "give a file that `spine backup` wrote")
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield Reader(gzip.GzipFile(fileobj=raw) if packed else raw)  # type: ignore[arg-type]


def _refuse(reason: str) -> NoReturn:
    raise BadInput(reason, _REFUSED)
