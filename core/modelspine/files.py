"""Writing a file whole or not at all: the bytes get their name only once all of them are on the disk.

It does not know what is written; an ``OSError`` is the caller's to explain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OWNER = 0o600
"""The mode of a file that holds what learners wrote."""


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A stream for a file's bytes, which take the name ``path`` when the block ended well and the disk has them.

    Without a ``mode`` the umask decides who may read it.
    """
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(handle, "wb") as stream:
            if mode is not None:
                os.fchmod(handle, mode)
            yield stream
            stream.flush()
            os.fsync(handle)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, raw: bytes, *, mode: int | None = None) -> None:
    """Write a file, replacing the one that has its name."""
    with replacing(path, mode=mode) as stream:
        stream.write(raw)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
