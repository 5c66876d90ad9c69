"""Bench group reports-20m: cost and drift of twenty million requests of closed days; on request, it takes minutes."""

from __future__ import annotations

from collections.abc import Iterator

import reports_rows
from rows import Row


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    return reports_rows.large()
