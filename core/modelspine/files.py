"""Atomic file writes, and which paths can be stored on every system.

A write goes to a temporary file, which is renamed once all its bytes are on disk. The module does not know what is
written, and leaves each ``OSError`` to the caller.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OWNER = 0o600
"""Mode of files that contain texts of learners."""
MAX_PATH = 1024
"""Maximum length of a stored path in bytes of UTF-8."""
MAX_PART = 255
"""The same for one part of it, which is the limit of nearly every file system."""
# C0 and C1 controls, line separators, and the characters that reorder the text around them on a screen.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def path_fault(path: str, limit: int = MAX_PATH) -> str | None:
    """Why a path with "/" between its parts cannot be stored on every system, or is dangerous there; None if it can."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:  # the system's encoding of file names keeps other bytes as lone surrogates
        return "is not UTF-8"
    if "\\" in path:
        return "has a backslash, which other systems read as the end of a folder's name"
    if _UNSAFE.search(path):
        return "has a control character, or one that turns the direction of text"
    if len(raw) > limit:
        return f"has over {limit:,} bytes"
    parts = raw.split(b"/")
    if max(map(len, parts)) > MAX_PART:
        return f"has a part of over {MAX_PART} bytes"
    return "has an empty part or one of dots" if {b"", b".", b".."} & {*parts} else None


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
