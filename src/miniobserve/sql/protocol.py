"""The storage protocol: what a SQL database must do to keep traces or a ledger.

SQL is written with ``?`` for parameters and in the dialect SQLite and PostgreSQL share. Callers see
rows as tuples and every failure as one exception with a kind. It does not know any table, nor any driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

BUSY_SECONDS = 5.0
"""How long a writer waits for another one before it says that the database is locked."""

Params = Sequence[Any]
Kind = Literal["unavailable", "damaged", "conflict", "absent", "lost"]


class StorageError(Exception):
    """A database failed: it could not be reached or written (unavailable), is not a sound database
    any more (damaged), a unique value was already taken (conflict), it never held these tables (absent),
    or its connection broke on the way, after which a commit may or may not have been kept (lost).
    """

    def __init__(self, kind: Kind, message: str, hint: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.hint = hint


class Transaction(Protocol):
    """Statements that take effect together, or not at all."""

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        ...

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement once for each row of parameters."""
        ...


class Database(Protocol):
    """One open database; its methods may be called from any thread."""

    bytes_column: str
    """The type of a column that gives text back byte by byte as it was written."""

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query; never writes."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a write that takes effect whole or not at all; durable when the block ends well.

        Another writer waits (SQLite), or finds a unique value taken: kind ``conflict``, to be tried again.
        """
        ...

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements that are safe to run again."""
        ...

    def append_only(self, table: str) -> None:
        """Make the database itself refuse UPDATE and DELETE on a table."""
        ...

    def as_kept(self, text: bytes) -> str | bytes:
        """UTF-8 text as it is written into a ``bytes_column``."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
