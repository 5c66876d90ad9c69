"""The PostgreSQL driver of the storage protocol: one connection, reopened when it is lost.

All differences from SQLite are handled here, such as ``$1`` for ``?``, triggers and partitions. A URL may name a schema
(``postgresql://host/database?schema=tutor``). It is imported only if a URL needs it, and does not know any table.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from miniobserve.sql.postgres_arrays import Array, register
from miniobserve.sql.postgres_errors import failed, unreachable
from miniobserve.sql.postgres_names import partition_name, split
from miniobserve.sql.postgres_session import DEFAULTS, prepare
from miniobserve.sql.protocol import Column, Params, StorageError, Transaction

_SCHEMA_LOCK = 0x5350494E45
"""Advisory lock held while tables are created: two concurrent ``CREATE … IF NOT EXISTS`` can still conflict."""


class Postgres:
    """A PostgreSQL database. A commit that returned is on the server's disk; a lost connection is reopened."""

    bytes_column = "BYTEA"
    find = "strpos"
    bytewise = ' COLLATE "C"'
    partitioned = True

    def __init__(self, url: str, *, create: bool, readonly: bool) -> None:
        self._conninfo, self._schema = split(url)
        given = conninfo_to_dict(self._conninfo)
        self.name = f"{given.get('host', 'local')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        self._defaults = {name: value for name, value in DEFAULTS.items() if name not in given}
        self._readonly = readonly
        self._lock = threading.RLock()
        self._closed = False
        self._inside = False
        self._unbegun = False
        """A transaction has begun here and not yet on the server."""
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._open()
        if create and self._schema is not None:
            self.script([f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"'])

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query; if the connection was lost, run it again on a new one."""
        with self._lock:
            try:
                return self.execute(sql, params)
            except StorageError as error:
                if error.kind != "lost":
                    raise
            return self.execute(sql, params)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction without locks: the first writer of a unique value wins, others get a ``conflict``.

        BEGIN is sent with the first statement, so that it costs no round trip of its own.

        Raises:
            StorageError: kind ``lost`` if the connection broke. Nothing was committed, unless it broke during the
                commit: then the caller must read the data to find out.
        """
        with self._lock:
            try:
                self._unbegun = True
                yield self
                # The server answers COMMIT with ROLLBACK, not with an error, if a statement failed before.
                if not self._unbegun and self._status("COMMIT") != "COMMIT":
                    raise StorageError("unavailable", f"{self.name}: the server rolled back", "try again")
            except BaseException:
                self._abandon()
                raise
            finally:
                self._inside = self._unbegun = False

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement."""
        if self._unbegun:
            return self.batch([(sql, params)])[0]
        with self._mapped() as connection:
            return _rows(connection.execute(_numbered(sql), params))

    def batch(self, statements: Sequence[tuple[str, Params]]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip, and return the rows of each."""
        if not self._unbegun:
            return self._pipelined(statements)
        begin: tuple[str, Params] = ("BEGIN", ())
        try:
            found = self._pipelined([begin, *statements])
        except StorageError as error:
            if error.kind != "lost":
                raise
            # The connection was lost while it was idle; whatever ran, nothing was committed.
            self._inside, self._unbegun = False, True
            found = self._pipelined([begin, *statements])
        return found[1:]

    def _pipelined(self, statements: Sequence[tuple[str, Params]]) -> list[list[tuple[Any, ...]]]:
        with self._mapped() as connection:
            with connection.pipeline():
                cursors = [connection.execute(_numbered(sql), params) for sql, params in statements]
                self._inside, self._unbegun = self._inside or self._unbegun, False
            return [_rows(cursor) for cursor in cursors]

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement of the open transaction for each row."""
        if self._unbegun:
            self.batch([])
        with self._mapped() as connection, connection.cursor() as cursor:
            cursor.executemany(_numbered(sql), rows)

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> None:
        """Insert rows by one statement with one array a column, in the open transaction."""
        self.batch([self.insertion(table, columns, rows)])

    def insertion(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> tuple[str, Params]:
        """Return the statement that inserts rows, and its parameters; a condition on ``given`` may follow."""
        names = ", ".join(name for name, _ in columns)
        arrays = ", ".join("?" for _ in columns)
        values = [Array(kind, each) for (_, kind), each in zip(columns, zip(*rows, strict=True), strict=True)]
        return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) AS given ({names})", values  # noqa: S608

    def lock(self, name: str, keys: Sequence[int] = (0,), *, shared: bool = False) -> None:
        """Take advisory locks for the rest of the open transaction, in the order of their keys."""
        self.batch([self.locking(name, keys, shared=shared)])

    def locking(self, name: str, keys: Sequence[int], *, shared: bool) -> tuple[str, Params]:
        """Return the statement that takes locks, and its parameters."""
        # The schema is part of the name, because advisory locks are those of the whole database.
        kind = zlib.crc32(f"{self._schema or ''} {name}".encode()) - 2**31
        taken = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        return (
            f"SELECT {taken}(?::int, one) FROM unnest(?) AS one",  # noqa: S608 -- one of two functions
            (kind, Array("INTEGER", sorted({(key + 2**31) % 2**32 - 2**31 for key in keys}))),
        )

    def only_writer(self, table: str, value: int | None = None) -> None:
        """Lock a table or its partition of a value, if there is one, against everything else."""
        name = table if value is None else partition_name(table, value)
        if self.execute("SELECT 1 WHERE to_regclass(?) IS NOT NULL", (name,)):
            self.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")

    def drop_partition(self, table: str, column: str, value: int) -> None:  # noqa: ARG002 -- as in the protocol
        """Drop the partition of a value, if there is one."""
        # Readers lock the table before its partitions; the same order prevents a deadlock.
        self.execute(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
        self.execute(f"DROP TABLE IF EXISTS {partition_name(table, value)}")

    @contextmanager
    def snapshot(self, table: str) -> Iterator[Transaction]:
        """Begin a transaction that only reads, all its statements the same state."""
        with self._lock:
            self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._inside = True
            try:
                # Before the first query, which fixes the state: from here on no partition is dropped.
                self._status(f"LOCK TABLE ONLY {table} IN ACCESS SHARE MODE")
                yield self
            finally:
                self._inside = False
                self._abandon()

    def among(self, column: str, values: Sequence[Any], kind: str = "TEXT") -> tuple[str, Params]:
        """Return the condition that a column has one of some values, and its parameters."""
        return f"{column} = ANY(?)", (Array(kind, values),)

    def partition_by(self, column: str) -> str:
        """Return the clause for a table with a partition for each value of a column."""
        return f" PARTITION BY LIST ({column})"

    def partition(self, table: str, value: int) -> None:
        """Make the partition of a value, unless it is there; inserts into other partitions go on meanwhile."""
        name = partition_name(table, value)
        with self.transaction() as tx:
            tx.execute("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
            # Attaching takes a weaker lock on the table than CREATE … PARTITION OF.
            if tx.execute("SELECT to_regclass(?) IS NULL", (name,))[0][0]:
                tx.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
                tx.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES IN ({value})")

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements in one transaction, one client at a time."""
        with self.transaction() as tx:
            tx.execute("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
            for statement in statements:
                tx.execute(statement)

    def append_only(self, table: str) -> None:
        """Create a trigger that refuses UPDATE, DELETE and TRUNCATE on a table."""
        refuse = f"BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '23000'; END"
        before = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
        self.script(
            [
                f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $${refuse}$$",
                f"CREATE OR REPLACE TRIGGER {table}_append_only {before} EXECUTE FUNCTION {table}_refuse()",
            ]
        )

    def as_kept(self, text: bytes) -> bytes:
        """Return the value to store in a ``bytes_column``: the bytes themselves."""
        return text

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._drop()

    def __del__(self) -> None:
        """Close a connection that was left open, as SQLite does; psycopg would warn about it."""
        with contextlib.suppress(AttributeError):  # __init__ failed before it set _connection
            self._drop()

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return the connection, opening a new one if there is none."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if self._inside:  # on a new connection the rest of the transaction would run outside of one
            raise StorageError("lost", f"{self.name}: the connection was lost", "try again")
        if self._closed:
            raise StorageError("unavailable", f"{self.name} was closed", "open the database again before using it")
        try:
            made = psycopg.connect(
                self._conninfo,
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
                client_encoding="utf8",
                **self._defaults,
            )
        except psycopg.Error as error:
            raise unreachable(self.name, error) from error
        register(made)
        try:
            prepare(made, self.name, self._schema, readonly=self._readonly)
        except BaseException:
            made.close()
            raise
        self._connection = made
        return made

    def _begin(self, statement: LiteralString = "BEGIN") -> None:
        """Begin a transaction, on a new connection if the old one was lost while idle."""
        try:
            self._status(statement)
        except StorageError as error:
            if error.kind != "lost":
                raise
            self._status(statement)

    def _status(self, statement: LiteralString) -> str | None:
        with self._mapped() as connection:
            return connection.execute(statement, prepare=False).statusmessage

    def _abandon(self) -> None:
        """Roll back the transaction; if that fails, close the connection, which makes the server roll back."""
        try:
            if self._connection is not None and not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
        self._connection = None

    @contextmanager
    def _mapped(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Yield the connection and turn its exceptions into ``StorageError``, or ``ValueError`` for invalid data."""
        connection = self._open()
        try:
            yield connection
        except psycopg.Error as error:
            if connection.closed:
                self._drop()
            raise failed(self.name, error, lost=bool(connection.closed)) from error


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of a statement's result, if it has one; ``description`` would say so too, and describe every column."""
    return cursor.fetchall() if cursor.rownumber is not None else []


@lru_cache(maxsize=256)
def _numbered(sql: str) -> LiteralString:
    """Replace ``?`` by ``$1``, ``$2``, …; statements must not contain a literal question mark."""
    first, *rest = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
