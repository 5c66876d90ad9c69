"""The storage protocol: what a SQL database must provide to store traces or a ledger.

SQL is written in the dialect that SQLite and PostgreSQL share, with ``?`` for parameters. Callers get rows as tuples
and every failure as one exception type with a kind. This module does not know any table or driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

BUSY_SECONDS = 5.0
"""How long a writer waits for another one before it fails because the database is locked."""

Params = Sequence[Any]
Kind = Literal["unavailable", "locked", "damaged", "conflict", "absent", "lost"]


class StorageError(Exception):
    """A database operation failed; ``kind`` says how.

    - ``unavailable``: the database could not be reached or written.
    - ``damaged``: the file is not an intact database.
    - ``conflict``: a unique value already exists.
    - ``absent``: the tables do not exist.
    - ``lost``: the connection broke; a commit may or may not have succeeded.
    """

    def __init__(self, kind: Kind, message: str, hint: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.hint = hint


class Transaction(Protocol):
    """Statements that take effect together or not at all."""

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        ...

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement once for each row of parameters."""
        ...


class Database(Protocol):
    """One open database; its methods may be called from any thread."""

    bytes_column: str
    """The SQL type of a column that returns text byte for byte as it was written."""
    find: str
    """The SQL function that returns the position, from 1, of a second text in a first one, or 0."""
    bytewise: str
    """What stands behind a text in SQL so that it sorts by its code points."""

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query; never writes."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction, which is durable once the block ends without an exception.

        A concurrent writer waits (SQLite) or gets a ``conflict`` on a unique value (PostgreSQL) and may try again.
        """
        ...

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements, which must be safe to run repeatedly."""
        ...

    def append_only(self, table: str) -> None:
        """Make the database itself refuse UPDATE and DELETE on a table."""
        ...

    def as_kept(self, text: bytes) -> str | bytes:
        """Return UTF-8 text as the value to store in a ``bytes_column``."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
