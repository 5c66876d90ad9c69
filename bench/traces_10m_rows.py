"""Bench group traces-10m: the trace store with ten million traces; only on request: it takes minutes and 16 GB."""

from __future__ import annotations

from collections.abc import Iterator

import traces_rows
from rows import Row


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    return traces_rows.large()
