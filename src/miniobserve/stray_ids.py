"""The request ids of a file that do not show by themselves which day they are of, as a sorted list of short hashes.

A generated id begins with its time, so its day is known. For an id that a caller chose, the lists of all days are
searched, which takes some microseconds each where opening a Parquet file takes milliseconds. A hash of four bytes is
that of some other id once in four thousand lists of a million ids; then one file is opened in vain.
"""

from __future__ import annotations

import mmap
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from miniobserve.ids import id_day
from miniobserve.schema import DAY_NS
from miniobserve.traces import Trace

SUFFIX = ".ids"
"""What the name of a file's list ends in, in place of ``.parquet``."""


def is_stray(trace: Trace) -> bool:
    """Whether a request's id does not carry its day, or the one before: it is made just before the request starts."""
    day = trace.started_ns // DAY_NS
    return id_day(trace.request_id) not in (day, day - 1)


def hash_of(request_id: str) -> int:
    """Return the hash of an id, 32 bits."""
    return zlib.crc32(request_id.encode())


def packed(hashes: Iterable[int]) -> bytes:
    """Return the list of some hashes: sorted, four bytes each, the lowest byte first."""
    found = array("I", sorted(hashes))
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def may_hold(file: Path, request_id: str) -> bool:
    """Whether a list has the hash of an id."""
    wanted = hash_of(request_id)
    with file.open("rb") as stream:
        if not stream.seek(0, 2):
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held:
            count = len(held) // 4
            at = bisect_left(range(count), wanted, key=lambda index: _at(held, index))
            return at < count and _at(held, at) == wanted


def _at(held: mmap.mmap, index: int) -> int:
    return int.from_bytes(held[4 * index : 4 * index + 4], "little")
