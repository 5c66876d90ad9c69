"""SHA-256 over parts of open files, in parallel, optionally writing a copy from the same buffers.

Files are read into buffers and not memory-mapped: truncating a mapped file kills the process, and a buffer can be
hashed and then written, so that the copy holds exactly the hashed bytes. It does not know what the bytes mean.
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
from modelspine.files import sync_folder
from modelspine.identity.untrusted_files import Source
from modelspine.text import visible

_CHUNK = 2**16  # stays in the processor cache between hashing and writing
_BYTES_PER_THREAD = 2**20  # below this a thread costs more to start than it saves


def framed(tag: str, *parts: bytes) -> bytes:
    """SHA-256 over a tag, a zero byte and each part with its length in front, so that the encoding is unambiguous."""
    digest = hashlib.sha256(tag.encode("ascii") + b"\0")
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class Range(msgspec.Struct, frozen=True):
    """Bytes of a source to hash and, if ``target`` is a file descriptor, to write there at the same offset."""

    source: Source
    offset: int
    size: int
    target: int | None = None


def hash_ranges(ranges: Sequence[Range], threads: int | None = None) -> list[bytes]:
    """The SHA-256 of each range, in order; ``threads`` defaults to one per core.

    Raises:
        BundleRefused: a source changed or cannot be read.
        Unavailable: the copy cannot be written.
    """
    digests: list[bytes] = [b""] * len(ranges)
    # Largest first, so that no thread starts the longest range when the others are done. The threads share one
    # iterator; next() on a list iterator is atomic under the GIL.
    todo = iter(sorted(range(len(ranges)), key=lambda i: -ranges[i].size))
    failures: list[BaseException] = []

    def work() -> None:
        buffer = memoryview(bytearray(_CHUNK))
        try:
            for index in todo:
                digests[index] = _hash(ranges[index], buffer, failures)
        # Also KeyboardInterrupt: whatever ends one thread has to stop the others and reach the caller.
        except BaseException as exc:  # noqa: BLE001  (raised again in the caller's thread)
            failures.append(exc)

    total = sum(each.size for each in ranges)
    count = min(threads or _cores(), len(ranges), 1 + total // _BYTES_PER_THREAD)
    helpers = [threading.Thread(target=work, daemon=True) for _ in range(count - 1)]
    for helper in helpers:
        helper.start()
    work()
    try:
        _join(helpers)
    except BaseException as exc:
        failures.append(exc)
        _join(helpers)  # the helpers stop at their next chunk; until then the caller must not close the files
        raise
    if failures:
        raise failures[0]
    return digests


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _cores() -> int:
    """The number of cores this process may use; a container often has fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hash(job: Range, buffer: memoryview, failures: list[BaseException]) -> bytes:
    digest = hashlib.sha256()
    offset, end = job.offset, job.offset + job.size
    while offset < end and not failures:  # one failure makes every further read pointless
        got = job.source.read_into(buffer[: end - offset], offset)
        digest.update(buffer[:got])
        if job.target is not None:
            _write(job.target, buffer[:got], offset)
        offset += got
    return digest.digest()


class Sink:
    """A new folder that receives the files of a bundle; ``copying`` makes it durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[int] = []
        self._folders = {path}

    def add(self, name: str, head: bytes = b"") -> int:
        """Create a file that starts with ``head``; returns its descriptor for ``Range.target``."""
        path = self.path / name
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.update(folder for folder in path.parents if folder.is_relative_to(self.path))
            # Mode 0444: a bundle never changes once it is stored.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        self._files.append(fd)
        _write(fd, memoryview(head), 0)
        return fd

    def finish(self) -> None:
        """Flush the files added so far to disk and close them."""
        try:
            while self._files:
                os.fsync(self._files[-1])
                os.close(self._files.pop())
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc

    def sync(self) -> None:
        """Flush every file and folder to disk."""
        self.finish()
        try:
            for folder in self._folders:
                sync_folder(folder)
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc

    def close(self) -> None:
        """Close the files; may be called more than once."""
        while self._files:
            os.close(self._files.pop())


@contextmanager
def copying(path: Path) -> Iterator[Sink]:
    """A new folder at ``path``: durable after the block, removed if the block fails.

    Raises:
        Unavailable: the folder exists already or cannot be written.
    """
    try:
        path.mkdir()
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    sink = Sink(path)
    try:
        yield sink
        sink.sync()
    except BaseException:
        sink.close()  # before the removal, because network file systems keep open files in the folder
        shutil.rmtree(path, ignore_errors=True)
        raise
    finally:
        sink.close()


def _write(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at an offset; ``os.pwrite`` alone may write only part of it."""
    while data:
        try:
            done = os.pwrite(fd, data, offset)
        except OSError as exc:
            raise Unavailable(f"the copy could not be written: {exc.strerror}", "free some space, then retry") from exc
        data, offset = data[done:], offset + done


def _unwritable(path: Path, exc: OSError) -> Unavailable:
    return Unavailable(f"{visible(str(path))} could not be written: {exc.strerror}", "check the folder and its space")
