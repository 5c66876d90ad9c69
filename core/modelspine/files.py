"""Atomic file writes: the bytes go to a temporary file, which is renamed once all of them are on disk.

It does not know what is written, and leaves each ``OSError`` to the caller.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OWNER = 0o600
"""Mode of files that contain texts of learners."""


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces ``path`` atomically and durably if the block succeeds.

    Without a ``mode`` the permissions follow the umask.

    Raises:
        OSError: the file cannot be written; ``path`` is unchanged.
    """
    # In the same folder, because a rename is atomic only within one file system; hidden, with a random name and
    # O_EXCL, because another process may write the same file.
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(handle, "wb") as stream:
            if mode is not None:
                os.fchmod(handle, mode)  # os.open applied the umask, which may have removed bits of it
            yield stream
            stream.flush()
            os.fsync(handle)  # without it, a power failure could leave the new name with no content
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, raw: bytes, *, mode: int | None = None) -> None:
    """Write a file atomically, replacing any existing one."""
    with replacing(path, mode=mode) as stream:
        stream.write(raw)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable: they survive a power failure only once the folder itself is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
