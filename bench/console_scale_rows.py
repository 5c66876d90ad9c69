"""Bench group console-scale: every screen with 100,000 entries, a million requests and a lineage of 10,000 hops."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from console_rows import of_store
from rows import Row


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    print("bench: making 100,000 entries and 1,000,000 requests, about 2 GB", file=sys.stderr)
    yield from of_store(entries=100_000, requests=1_000_000, hops=10_000)
