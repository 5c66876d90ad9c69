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
Column = tuple[str, str]
Kind = Literal["unavailable", "locked", "damaged", "conflict", "absent", "lost", "replaced"]


class StorageError(Exception):
    """A database operation failed; ``kind`` says how.

    - ``unavailable``: the database could not be reached or written.
    - ``damaged``: the file is not an intact database.
    - ``conflict``: a unique value already exists.
    - ``absent``: the tables do not exist.
    - ``lost``: the connection broke; a commit may or may not have succeeded.
    - ``replaced``: what this process has open is not what other processes see.
    """

    def __init__(self, kind: Kind, message: str, hint: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[StorageError], tuple[Kind, str, str]]:
        """The parts it is made of, so that it can come from another process."""
        return type(self), (self.kind, self.message, self.hint)


class Transaction(Protocol):
    """Statements that take effect together or not at all."""

    partitioned: bool
    """Whether tables are partitioned; see ``Database``."""

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        ...

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement once for each row of parameters."""
        ...

    def batch(self, statements: Sequence[tuple[str, Params]]) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other, in one round trip if there is a server, and return the rows of each."""
        ...

    def insertion(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> tuple[str, Params]:
        """Return the statement that inserts rows, and its parameters.

        On a server a condition may follow, in which ``given`` is one of the rows.
        """
        ...

    def locking(self, name: str, keys: Sequence[int], *, shared: bool) -> tuple[str, Params]:
        """Return the statement of ``lock``, and its parameters."""
        ...

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> None:
        """Insert rows by one statement; ``columns`` are the name and SQL type of each value of a row."""
        ...

    def lock(self, name: str, keys: Sequence[int] = (0,), *, shared: bool = False) -> None:
        """Wait until no other transaction holds a lock with this name and one of these keys (32 bits), and hold it.

        A ``shared`` lock only excludes those that are not shared. The next statement sees what their holders committed.
        SQLite has one writer at a time, so nothing happens there.
        """
        ...

    def among(self, column: str, values: Sequence[Any], kind: str = "TEXT") -> tuple[str, Params]:
        """Return the condition that a column has one of some values, and its parameters."""
        ...

    def only_writer(self, table: str, value: int | None = None) -> None:
        """Wait until no other transaction uses a table, or its partition of a value, and keep others out of it."""
        ...

    def drop_partition(self, table: str, column: str, value: int) -> None:
        """Drop the partition of a value; where there are none, delete the rows whose column has it."""
        ...


class Database(Protocol):
    """One open database; its methods may be called from any thread."""

    bytes_column: str
    """The SQL type of a column that returns text byte for byte as it was written."""
    find: str
    """The SQL function that returns the position, from 1, of a second text in a first one, or 0."""
    bytewise: str
    """What stands behind a text in SQL so that it sorts by its code points."""
    partitioned: bool
    """Whether tables are partitioned here: rows can only be inserted where a partition was made, and it can be dropped.
    """

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query; never writes."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction, which is durable once the block ends without an exception.

        A concurrent writer waits (SQLite) or gets a ``conflict`` on a unique value (PostgreSQL) and may try again.
        """
        ...

    def snapshot(self, table: str) -> AbstractContextManager[Transaction]:
        """Begin a transaction that only reads; all its queries see one state, and the table's partitions stay."""
        ...

    def among(self, column: str, values: Sequence[Any], kind: str = "TEXT") -> tuple[str, Params]:
        """Return the condition that a column has one of some values, and its parameters."""
        ...

    def partition_by(self, column: str) -> str:
        """Return what stands behind CREATE TABLE so that the table has a partition for each value of a column."""
        ...

    def partition(self, table: str, value: int) -> None:
        """Make the partition of a value, unless it is there."""
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
