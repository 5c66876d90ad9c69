"""Parquet copies of how labels grade the answers of a day, which folds read, and of what was said of closed days.

This module never writes to the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from miniobserve.record_batches import batch_of_columns
from miniobserve.row_copies import copy_rows
from miniobserve.sql.protocol import Database
from miniobserve.tables import store_id

_PAGE = 50_000
_SAID = {
    "request_id": "VARCHAR", "at_ns": "BIGINT", "outcome": "VARCHAR", "label": "VARCHAR", "score": "DOUBLE",
    "graded": "BIGINT",
}  # fmt: skip
_KINDS = {"request_id": "VARCHAR", "graded": "BIGINT"}


def write_labels(database: Database, day: int, file: Path) -> None:
    """Write the request ids of a day that labels grade, with the grades.

    Raises:
        StorageError: the store cannot be read, or the file cannot be written.
    """
    copy_rows(file, _batches(database, day), _batch(()), "SELECT request_id, graded = 1 AS graded FROM rows")


class Later(NamedTuple):
    """What a store has of what was said of a day since a time."""

    store: str
    """The name that the store gave itself."""
    rows: int
    """Of how many answers something was said."""
    newest_ns: int
    """When the last of it was stored, UTC ns; 0 where nothing was."""


def later(database: Database, day: int, since_ns: int) -> Later:
    """Return how much of a day was said since a time, by the store's name for itself.

    Raises:
        StorageError: the store cannot be read.
    """
    query = "SELECT COUNT(*), COALESCE(MAX(at_ns), 0) FROM feedback WHERE day = ? AND at_ns >= ?"
    rows, newest = database.read(query, (day, since_ns))[0]
    return Later(store_id(database), int(rows), int(newest))


def write_said(database: Database, day: int, since_ns: int, file: Path) -> None:
    """Write what was said of a day's answers since a time: the outcome, which is empty without one, label and grade.

    Raises:
        StorageError: the store cannot be read, or the file cannot be written.
    """

    def batches() -> Iterator[Any]:
        after = ""
        while True:
            rows = database.read(
                f"SELECT {', '.join(_SAID)} FROM feedback WHERE day = ? AND at_ns >= ? AND request_id > ?"  # noqa: S608
                " ORDER BY request_id LIMIT ?",
                (day, since_ns, after, _PAGE),
            )
            if not rows:
                return
            yield batch_of_columns(_SAID, dict(zip(_SAID, zip(*rows, strict=True), strict=True)))
            after = rows[-1][0]

    empty = batch_of_columns(_SAID, dict.fromkeys(_SAID, ()))
    copy_rows(file, batches(), empty, "SELECT * REPLACE (graded = 1 AS graded) FROM rows")


def _batches(database: Database, day: int) -> Iterator[Any]:
    after = ""
    while True:
        rows = database.read(
            "SELECT request_id, graded FROM feedback WHERE day = ? AND graded IS NOT NULL AND request_id > ?"
            " ORDER BY request_id LIMIT ?",
            (day, after, _PAGE),
        )
        if not rows:
            return
        yield _batch(rows)
        after = rows[-1][0]


def _batch(rows: Any) -> Any:
    columns = list(zip(*rows, strict=True)) if rows else [(), ()]
    return batch_of_columns(_KINDS, dict(zip(_KINDS, columns, strict=True)))
