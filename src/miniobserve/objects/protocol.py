"""What every object store does, its two errors, and the form of a key. This module knows no kind of store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol

from miniobserve.sql.protocol import StorageError

CHUNK = 1 << 20
"""Bytes that are read at once."""
_PART = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,254}")


class Exists(StorageError):
    """A create-only put found an object under its key, and left that one as it is."""

    def __init__(self, message: str) -> None:
        super().__init__("conflict", message, "objects are never replaced: compare the digests, or use another key")


class Missing(StorageError):
    """No object has this key."""

    def __init__(self, message: str) -> None:
        super().__init__("absent", message, "list the store to see what it holds")


class Stored(NamedTuple):
    """An object in a store."""

    key: str
    size: int
    """In bytes."""


class Objects(Protocol):
    """What every store does; all methods but ``name`` and ``local`` may raise ``StorageError``."""

    name: str
    """The folder or the URL, for messages."""

    def probe(self) -> None:
        """Check that the store can be written, and that it refuses a second create-only put under one key."""
        ...

    def put(self, key: str, source: bytes | Path, *, replace: bool = False) -> None:
        """Store bytes or a file's content durably and atomically.

        Raises:
            Exists: the key is taken and ``replace`` is false.
        """
        ...

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Return an object's bytes from ``start`` up to ``end``, which is exclusive; fewer if the object ends earlier.

        Raises:
            Missing: there is no such object.
        """
        ...

    def fetch(self, key: str, file: Path, *, sha256: str | None = None) -> None:
        """Copy an object into a file, which appears only when it is whole and has that digest; its folder is made.

        Raises:
            Missing: there is no such object.
            StorageError: kind ``damaged`` if the digest is another one.
        """
        ...

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object's bytes, in hex.

        Raises:
            Missing: there is no such object.
        """
        ...

    def list(self, folder: str = "") -> list[Stored]:
        """Return the objects in a folder and below it, sorted by key; an absent folder is an empty one."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        ...

    def local(self, key: str) -> Path | None:
        """Return the path at which the object can be read in place; None if the store is not on this disk."""
        ...


def checked_key(key: str) -> str:
    """Return the key if it has the form that the package's docstring gives.

    Raises:
        StorageError: it has another form.
    """
    if len(key.encode(errors="replace")) > 1024 or not all(map(_PART.fullmatch, key.split("/"))):
        hint = "a key is a relative path of at most 1,024 bytes; no part is empty or begins with a dot"
        raise StorageError("unavailable", f"{key[:80]!r} is no key of an object", hint)
    return key
