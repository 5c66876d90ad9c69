"""Divides the requests of a span into the buckets of a fold: closed days' files, and copies of the live store's hours.

Few requests are one bucket. Many are divided by their units as the files of closed days are, so that each bucket is
read in a fraction of the memory; files that are divided less finely are read for several buckets. A request of the live
store counts before its copy in a closed day. This module never writes to the store.
"""

from __future__ import annotations

from collections.abc import Callable

from miniobserve.archive import Archive
from miniobserve.days import day_range
from miniobserve.fold import Bucket, Files
from miniobserve.slices import Slices

ONE = 4_000_000
"""Up to so many requests are one bucket."""
_MOST = 64
Step = Callable[[int, int], None]


def buckets_of(
    slices: Slices, archive: Archive | None, since_ns: int, until_ns: int, step: Step = lambda _done, _total: None
) -> list[Bucket]:
    """Return the requests that started within a span.

    ``step`` is called with the progress of making what is missing: requests that are copied, and all of the live store.

    Raises:
        StorageError: the store or a closed day cannot be read.
    """
    live, rows = slices.of(since_ns, until_ns, step)
    found = [Files(files=tuple(map(str, live)), of=1)] if live else []
    finest = 1
    for day in archive.days(pruned=True) if archive is not None else ():
        first, end = day_range(day)
        if archive is None or first >= until_ns or end <= since_ns or (held := archive.index.manifest(day)) is None:
            continue
        parts = [part for part in held[0].parts if part.first_ns < until_ns and part.last_ns >= since_ns]
        without = tuple(name for page in archive.live.ids(day) for name, _ in page) if archive.live else ()
        finest = max(finest, held[0].buckets)
        for bucket in sorted({part.bucket for part in parts}):
            some = [part for part in parts if part.bucket == bucket]
            rows += sum(part.rows for part in some)
            place, cache = str(archive.place), None if archive.cache is None else str(archive.cache)
            found.append(Files((), bucket, held[0].buckets, without, tuple(some), place, cache))
    labels = Files(tuple(map(str, slices.labels(since_ns, until_ns))))
    if rows <= ONE:
        return [Bucket(tuple(found), rows=rows, labels=labels)]
    of = min(finest, _MOST)
    return [
        Bucket(tuple(each for each in found if each.overlaps(number, of)), number, of, rows // of, labels=labels)
        for number in range(of)
    ]
