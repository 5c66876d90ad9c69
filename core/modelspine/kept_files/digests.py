"""The digests that stand for files in a trace, and the key under which a file's bytes are kept.

It opens no store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from miniobserve.traces import Trace

MOST_BYTES = 64_000_000
"""Bytes of one file that are kept, and of all files of one input; of a larger one, the digest alone is recorded."""
_SHA = re.compile(r"[0-9a-f]{64}")
_MOST_DEPTH = 32


class FileDigest(NamedTuple):
    """A file as a trace names it."""

    sha256: str
    """64 hexadecimal digits."""
    size: int
    """In bytes."""


def key_of(sha256: str) -> str:
    """The key of a file's bytes in the store, such as ``ab/abcd…``.

    Raises:
        ValueError: it is no SHA-256, and so might lead out of the store.
    """
    if _SHA.fullmatch(sha256) is None:
        raise ValueError("not a SHA-256 in 64 hexadecimal digits")
    return f"{sha256[:2]}/{sha256}"


def digest_of_key(key: str) -> str | None:
    """The SHA-256 whose bytes a key holds; None for a key that Spine never writes."""
    sha256 = key.rpartition("/")[2]
    return sha256 if _SHA.fullmatch(sha256) is not None and key == key_of(sha256) else None


def digests_in(trace: Trace) -> tuple[FileDigest, ...]:
    """The files that a trace's input and output name, each once, in their order.

    What only looks like a digest is none: a name in it could be a path that leads anywhere.
    """
    found = (each for text in (trace.input, trace.output) for each in _named(text))
    return tuple({each.sha256: each for each in found}.values())


def names_files(text: str | None) -> bool:
    """Whether an input or output has files, for which digests stand in its text."""
    return any(True for _ in _named(text))


def is_digest(value: dict[str, Any]) -> bool:
    """Whether an object is the digest of a file, and nothing else."""
    sha256, size = value.get("sha256"), value.get("bytes")
    return (
        len(value) == 2
        and isinstance(sha256, str)
        and _SHA.fullmatch(sha256) is not None
        and type(size) is int
        and size >= 0
    )


def _named(text: str | None) -> Iterator[FileDigest]:
    if text is None or text[:1] not in ("{", "[") or '"sha256"' not in text:
        return
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return
    yield from _within(value, _MOST_DEPTH)


def _within(value: Any, depth: int) -> Iterator[FileDigest]:
    if depth == 0:
        return
    if isinstance(value, list):
        for each in value:
            yield from _within(each, depth - 1)
    elif isinstance(value, dict):
        if is_digest(value):
            yield FileDigest(value["sha256"], value["bytes"])
            return
        for each in value.values():
            yield from _within(each, depth - 1)
