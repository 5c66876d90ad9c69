"""One tar archive, written in one pass and read back without trusting it.

What is written, any ``tar`` unpacks: plain files in GNU format, no owner, no time, so that the same files make
the same bytes. What is read may hold plain files under safe relative names, each once, and nothing else: no
link, no device, no name that leaves the folder, no size the disk cannot hold. It does not know what is kept.
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
from modelspine.files import OWNER, replacing, sync_folder
from modelspine.text import visible

BLOCK = 512
CHUNK = 2**20
MAX_NAME = 1024
MAX_SEGMENT = 255
_FAST = 3
"""Level of gzip: weights hardly shrink, and the text of traces shrinks at any."""
_WAY_OUT = "take another backup; this one restores nothing"
_REFUSED = "it was not made by `spine backup`; nothing was unpacked"


class Member(msgspec.Struct, frozen=True):
    """One file of an archive: its name, its size in bytes, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


def safe_name(name: str) -> bool:
    """Whether a name is a relative path that stays where it is put, in characters that people see."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and len(name.encode("utf-8", "replace")) <= MAX_NAME
    return plain and all(p not in ("", ".", "..") and len(p.encode("utf-8", "replace")) <= MAX_SEGMENT for p in parts)


class Writer:
    """Writes members one behind the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.members: list[Member] = []

    def file(self, name: str, path: Path) -> Member | None:
        """Add a file as it is now; None where the name leads to something that is no plain file.

        Raises:
            Unavailable: it cannot be read, or became shorter while it was read.
        """
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
    """A writer of a new archive, which takes its name only when the block ended well and the disk has it.

    Raises:
        BadInput: there is something of that name already.
    """
    if path.exists():
        raise BadInput(f"{visible(str(path), 160)} is there already", "give a new name; a backup replaces nothing")
    # It holds what learners wrote: nobody but its owner reads it.
    with replacing(path, mode=OWNER) as raw:
        packed = path.name.endswith((".gz", ".tgz"))
        stream: IO[bytes] = gzip.GzipFile("", "wb", _FAST, raw, 0) if packed else raw  # type: ignore[assignment]
        writer = Writer(stream)
        yield writer
        writer.close()
        if packed:
            stream.close()
    sync_folder(path.parent)


class Reader:
    """Reads an archive from its first member to its last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._names: set[str] = set()

    def members(self) -> Iterator[tuple[str, int]]:
        """The name and size of each member; ``read`` or ``unpack`` must take its bytes before the next one.

        Raises:
            BadInput: the archive holds what none of ours holds.
            Damaged: it is cut short, or a header's checksum does not hold.
        """
        name = ""
        try:
            block = self._take(BLOCK)
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (Damaged, tarfile.HeaderError):
            _refuse("the file is no archive")
        while block != bytes(BLOCK):
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise Damaged(f"a header of the archive cannot be read: {visible(str(error), 80)}", _WAY_OUT) from error
            if info.type == tarfile.GNUTYPE_LONGNAME and not name and 0 < info.size <= MAX_NAME + 1:
                name = self.read(info.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
                block = self._take(BLOCK)
                continue
            name = name or info.name
            if info.type != tarfile.REGTYPE or info.size < 0:
                _refuse(f"the archive holds “{visible(name, 120)}”, which is no plain file")
            if not safe_name(name):
                _refuse(f"the archive holds the unsafe name “{visible(name, 120)}”")
            if name in self._names:
                _refuse(f"the archive holds “{visible(name, 120)}” twice")
            self._names.add(name)
            yield name, info.size
            name, block = "", self._take(BLOCK)
        while data := self._some(CHUNK):
            if data.strip(b"\0"):
                _refuse("something stands behind the end of the archive")

    def read(self, size: int) -> bytes:
        """The bytes of a small member."""
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def unpack(self, name: str, size: int, path: Path) -> Member:
        """Write a member's bytes into a new file.

        Raises:
            Unavailable: the disk has no room for it.
        """
        import shutil

        path.parent.mkdir(parents=True, exist_ok=True)
        if size > shutil.disk_usage(path.parent).free:
            raise Unavailable(f"{visible(name, 120)} has {size:,} bytes, more than the disk has room for", "make room")
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
                raise Damaged("the archive is cut short", _WAY_OUT)
            data += more
        return data

    def _some(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Damaged(f"the archive cannot be unpacked: {visible(str(error), 80)}", _WAY_OUT) from error


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """A reader of an archive, compressed or not.

    Raises:
        BadInput: there is no such file.
    """
    if not path.is_file():
        raise BadInput(f"there is no archive at {visible(str(path), 160)}", "give the file `spine backup` wrote")
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield Reader(gzip.GzipFile(fileobj=raw) if packed else raw)  # type: ignore[arg-type]


def _refuse(reason: str) -> NoReturn:
    raise BadInput(reason, _REFUSED)
