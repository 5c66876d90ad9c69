"""SHA-256 over parts of open files, in parallel, with the copy made from the very bytes that were hashed.

Reads go through buffers, not a memory map: a mapped file that somebody cuts short kills the process, and a
buffer can be written on after it was hashed. It does not know what the bytes mean.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from modelspine.errors import Unavailable
from modelspine.identity.untrusted_files import Source
from modelspine.text import visible

_CHUNK = 2**16
_WORTH_A_THREAD = 2**20


def framed(tag: str, *parts: bytes) -> bytes:
    """SHA-256 over a tag, a zero byte and each part behind its length, so that no two inputs read alike."""
    digest = hashlib.sha256(tag.encode("ascii") + b"\0")
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class Range(msgspec.Struct, frozen=True):
    """Bytes of a source to hash and, where ``target`` is an open file, to write to the same place there."""

    source: Source
    offset: int
    size: int
    target: int | None = None


def hash_ranges(ranges: Sequence[Range], threads: int | None = None) -> list[bytes]:
    """The SHA-256 of each range, largest first, one thread a core unless ``threads`` says otherwise."""
    digests: list[bytes] = [b""] * len(ranges)
    todo = iter(sorted(range(len(ranges)), key=lambda i: -ranges[i].size))
    failures: list[BaseException] = []

    def work() -> None:
        buffer = memoryview(bytearray(_CHUNK))
        try:
            for index in todo:
                digests[index] = _hash(ranges[index], buffer, failures)
        except BaseException as exc:  # noqa: BLE001  (raised again in the caller's thread)
            failures.append(exc)

    total = sum(each.size for each in ranges)
    count = min(threads or _cores(), len(ranges), 1 + total // _WORTH_A_THREAD)
    helpers = [threading.Thread(target=work, daemon=True) for _ in range(count - 1)]
    for helper in helpers:
        helper.start()
    work()
    try:
        _join(helpers)
    except BaseException as exc:
        failures.append(exc)
        _join(helpers)  # they stop at their next chunk; the files must stay open until then
        raise
    if failures:
        raise failures[0]
    return digests


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hash(job: Range, buffer: memoryview, failures: list[BaseException]) -> bytes:
    digest = hashlib.sha256()
    offset, end = job.offset, job.offset + job.size
    while offset < end and not failures:
        got = job.source.read_into(buffer[: end - offset], offset)
        digest.update(buffer[:got])
        if job.target is not None:
            _write(job.target, buffer[:got], offset)
        offset += got
    return digest.digest()


class Sink:
    """A new folder that takes the bytes of a bundle and is durable once `copying` leaves its block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[int] = []

    def add(self, name: str, head: bytes) -> int:
        """Create a file that starts with ``head``; returns it open for `Range.target`."""
        try:
            fd = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        self._files.append(fd)
        _write(fd, memoryview(head), 0)
        return fd

    def sync(self) -> None:
        """Make every file and the folder durable."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for fd in (*self._files, folder):
                os.fsync(fd)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close what was opened; calling it twice is harmless."""
        while self._files:
            os.close(self._files.pop())


@contextmanager
def copying(path: Path) -> Iterator[Sink]:
    """A new folder at ``path``: whole and durable after the block, gone if the block fails.

    Raises:
        Unavailable: it exists already or cannot be written.

    """
    try:
        path.mkdir()
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    sink = Sink(path)
    try:
        yield sink
        try:
            sink.sync()
        except OSError as exc:
            raise _unwritable(path, exc) from exc
    except BaseException:
        sink.close()
        shutil.rmtree(path, ignore_errors=True)
        raise
    finally:
        sink.close()


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        try:
            done = os.pwrite(fd, data, offset)
        except OSError as exc:
            raise Unavailable(f"the copy could not be written: {exc.strerror}", "free space and try again") from exc
        data, offset = data[done:], offset + done


def _unwritable(path: Path, exc: OSError) -> Unavailable:
    return Unavailable(f"{visible(str(path))} could not be written: {exc.strerror}", "check the folder and its space")
