"""Values of a program as JSON: numbers, arrays and rows of other libraries, bytes and files by their digest.

A library's values are known by their methods (``tolist``, ``to_dict``, …), so none is imported. Nothing is raised,
whatever a value's own code does: what cannot be kept becomes None, and the reason is returned. It does not know what
the values mean.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from modelspine.canonical_json import MAX_INTEGER
from modelspine.kept_files.digests import MOST_BYTES, is_digest
from modelspine.kept_files.keeper import Held
from modelspine.text import size, visible

MOST_ITEMS = 65_536
"""Numbers, texts and other members of one value; a larger array belongs into a file, which is kept by its digest."""
_MOST_DEPTH = 32
_MOST_LOST = 4
"""Losses that are named; the others are counted."""
_REPLACED = "characters that UTF-8 cannot encode were replaced"
_CHUNK = 1 << 20


class Plain(NamedTuple):
    """A value of JSON types only, and what of the original it does not hold, each as ``name: reason``."""

    value: Any
    lost: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    """The bytes behind the digests in it, where they are to be kept."""
    unkept: tuple[str, ...] = ()
    """The digests whose bytes are not held although they should be, each as ``name: reason``."""


class Digest(dict[str, Any]):
    """Bytes or a file as JSON: ``sha256`` in hexadecimal, and ``bytes``, how many they are."""


def plain(value: Any, name: str, *, hold: bool = False) -> Plain:
    """The value as None, yes or no, numbers, texts, lists and objects; ``name`` is what the losses are said of.

    With ``hold`` the bytes behind its digests are returned too, up to ``MOST_BYTES`` of one value.
    """
    reading = _Reading(MOST_BYTES if hold else None)
    found = reading.read(value, name, _MOST_DEPTH)
    return Plain(found, _first(reading.lost, name), tuple(reading.held), _first(reading.unkept, name))


def encodable(text: str) -> str:
    """The text with halves of a surrogate pair joined, and each lone one replaced by U+FFFD, so that UTF-8 has it."""
    text = str.__str__(text)  # a subclass may have methods of its own
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def digest_of(content: bytes | bytearray | memoryview) -> Digest:
    """Bytes as their digest."""
    view = memoryview(content)
    return Digest(sha256=hashlib.sha256(view).hexdigest(), bytes=view.nbytes)


def as_digest(value: Any) -> Any:
    """An object that is a digest, as a ``Digest``; any other value as it is."""
    return Digest(value) if isinstance(value, dict) and is_digest(value) else value


def read_file(path: Path, room: int) -> tuple[Digest, bytes | None]:
    """A file's digest, and its bytes if there are at most ``room``.

    The file is read once, so that the digest is that of these bytes even if the file changes meanwhile.

    Raises:
        OSError: it cannot be read.
        _Unkept: it is no file.
    """
    found, count = hashlib.sha256(), 0
    chunks: list[bytes] = []
    # Without O_NONBLOCK, a pipe that nobody writes to would be waited for at its opening.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _Unkept("it is a folder, a pipe or a device, and no file")
        while chunk := os.read(handle, _CHUNK):
            found.update(chunk)
            count += len(chunk)
            if count <= room:
                chunks.append(chunk)
            else:
                chunks.clear()
    finally:
        os.close(handle)
    return Digest(sha256=found.hexdigest(), bytes=count), b"".join(chunks) if count <= room else None


def _first(losses: list[str], name: str) -> tuple[str, ...]:
    """The first losses, and how many more there are."""
    more = len(losses) - _MOST_LOST
    return (*losses[:_MOST_LOST], *([f"{name}: {more:,} more"] if more > 0 else []))


class _Unkept(Exception):
    """A value that is no JSON; the message says why."""


class _Reading:
    """One value being read: what was lost so far, and how many members there were."""

    def __init__(self, room: int | None) -> None:
        """``room`` is how many bytes of files may be held; None where none are to be."""
        self.lost: list[str] = []
        self.held: list[Held] = []
        self.unkept: list[str] = []
        self._room = room
        self._items = 0

    def read(self, value: Any, name: str, depth: int) -> Any:
        try:
            self._items += 1
            if depth == 0:
                raise _Unkept("it is nested too deeply")
            if self._items > MOST_ITEMS:
                raise _Unkept(f"there are more than {MOST_ITEMS:,} values")
            return self._scalar(value, name, depth)
        except _Unkept as error:
            self._lose(name, str(error))
        except Exception as error:  # noqa: BLE001 -- the value's own code, which must not end the caller's block
            self._lose(name, f"it cannot be read: {type(error).__name__}")
        return None

    def _lose(self, name: str, why: str) -> None:
        self.lost.append(f"{visible(name, 80)}: {why}")

    def _scalar(self, value: Any, name: str, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.read(value.value, name, depth - 1)
        if isinstance(value, str):
            text = encodable(value)
            if text != value:
                self._lose(name, _REPLACED)
            return text
        if isinstance(value, int):
            return self._integer(int(value), name)
        if isinstance(value, float):
            return _finite(float(value))
        if isinstance(value, bytes | bytearray | memoryview):
            if self._room is None or memoryview(value).nbytes > self._room:
                return self._hold(name, digest_of(value), None)
            content = bytes(value)  # first, because the array may change between the two
            return self._hold(name, digest_of(content), content)
        if isinstance(value, Path):
            return self._hold(name, *read_file(value, self._room or 0))
        if isinstance(value, datetime | date | time):
            if value != value:  # a missing time of pandas, which no type tells apart
                raise _Unkept("the time is missing")
            return value.isoformat()
        return str(value) if isinstance(value, UUID) else self._several(value, name, depth)

    def _hold(self, name: str, digest: Digest, content: bytes | None) -> Digest:
        """The digest; its bytes are held, or it is said that they were too many."""
        if self._room is None:
            return digest
        if content is None:
            limit = f"there are more than {size(MOST_BYTES)} in one input or answer"
            self.unkept.append(f"{visible(name, 80)}: its bytes are not kept: {limit}")
            return digest
        self._room -= len(content)
        self.held.append(Held(name, digest["sha256"], content))
        return digest

    def _several(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {self._key(key, name): self.read(each, f"{name}.{key!s}", depth - 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.read(each, f"{name}.{place}", depth - 1) for place, each in enumerate(value)]
        if isinstance(value, AbstractSet):  # without an order, so that of the texts
            return sorted((self.read(each, name, depth - 1) for each in value), key=str)
        if is_dataclass(value) and not isinstance(value, type):
            return self.read({each.name: getattr(value, each.name) for each in fields(value)}, name, depth - 1)
        return self._foreign(value, name, depth)

    def _foreign(self, value: Any, name: str, depth: int) -> Any:
        """A value of another library, by the methods that its values have."""
        if isinstance(value, type):
            raise _Unkept("it is a class")
        if _count(value) > MOST_ITEMS:
            raise _Unkept(f"there are more than {MOST_ITEMS:,} values")
        if hasattr(value, "columns") and hasattr(value, "to_dict"):  # a table; one row of it is a record
            rows = value.to_dict("records")
            return self.read(rows[0] if len(rows) == 1 else rows, name, depth - 1)
        if hasattr(value, "tolist"):
            row = value.to_dict() if hasattr(value, "to_dict") else None
            if row and all(isinstance(key, str) for key in row):  # a row of a table, by its columns
                return self.read(row, name, depth - 1)
            return self._other(value, value.tolist(), name, depth)
        for method in ("item", "model_dump"):
            if hasattr(value, method):
                return self._other(value, getattr(value, method)(), name, depth)
        if hasattr(value, "__float__"):
            return _finite(float(value))
        raise _Unkept(f"a value of type {visible(type(value).__name__, 40)} is no JSON")

    def _other(self, value: Any, found: Any, name: str, depth: int) -> Any:
        """What a method returned; some numbers return themselves."""
        return _finite(float(value)) if type(found) is type(value) else self.read(found, name, depth - 1)

    def _integer(self, number: int, name: str) -> int | str:
        if abs(number) <= MAX_INTEGER:
            return number
        if number.bit_length() > 256:
            raise _Unkept("the integer is too large")
        self._lose(name, "an integer beyond 2^53 is kept as text")
        return str(number)

    def _key(self, key: Any, name: str) -> str:
        if isinstance(key, str) and not isinstance(key, Enum):
            return encodable(key)
        found = self.read(key, f"a key of {name}", 4)
        return str(found).lower() if isinstance(found, bool) else str(found)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise _Unkept(f"{number} is no JSON number")
    return number


def _count(value: Any) -> int:
    """How many values an array or table has; 0 where it does not tell."""
    size = getattr(value, "numel", None) or getattr(value, "size", 0)
    found = size() if callable(size) else size
    return found if isinstance(found, int) else 0
