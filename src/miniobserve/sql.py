"""The storage protocol: what a SQL database must do to keep traces or a ledger, and the SQLite driver.

SQL is written with ``?`` for parameters and in the dialect SQLite and PostgreSQL share. Callers see
rows as tuples and every failure as one exception with a kind; which database it is stays in here and in
``miniobserve.postgres``. It does not know any table.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
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


def connect(url: str, *, create: bool = False, readonly: bool = False) -> Database:
    """Open the database at ``url``: ``sqlite:///relative``, ``sqlite:////absolute``, or
    ``postgresql://user@host/database?schema=name``.

    Args:
        url: where it is.
        create: make an empty one where none exists; otherwise a missing database is an error.
        readonly: refuse every write at the connection itself.

    Raises:
        StorageError: missing, unreadable, not a database, or a URL of another kind.

    """
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from miniobserve.postgres import Postgres  # psycopg takes 0.1 s to load
        except ImportError as error:
            raise StorageError(
                "unavailable", f"the PostgreSQL driver does not load: {error}", "install psycopg[binary]"
            ) from error
        return Postgres(url, create=create, readonly=readonly)
    if url.startswith("sqlite:///"):
        return SQLite(Path(url.removeprefix("sqlite:///")), create=create, readonly=readonly)
    scheme = url.split(":", 1)[0]
    raise StorageError(
        "unavailable",
        f"no driver for a database URL that starts with {scheme[:20]!r}",
        "use sqlite:///path/to/file.db or postgresql://user@host/database",
    )


class SQLite:
    """SQLite in WAL mode with synchronous FULL: a commit that returned survives a power cut."""

    bytes_column = "TEXT"

    def __init__(self, path: Path, *, create: bool, readonly: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        if not path.exists() and not create:
            raise StorageError(
                "unavailable",
                f"there is no database at {path}",
                "`spine init` makes a ledger, `spine serve` its traces; or restore a backup there",
            )
        if not create and path.is_file() and path.stat().st_size == 0:  # SQLite would take it for a new one
            raise StorageError("damaged", f"the database at {path} is empty", "restore it from a backup")
        mode = "ro" if readonly else ("rwc" if create else "rw")
        with self._mapped():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._mapped():
                if readonly:
                    self._connection.execute("PRAGMA query_only=ON")
                else:
                    self._connection.execute("PRAGMA journal_mode=WAL")
                    self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("SELECT count(*) FROM sqlite_master")
        except StorageError:
            self._connection.close()
            raise

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query."""
        with self._lock, self._mapped():
            self._still_there()
            return self._connection.execute(sql, params).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """``BEGIN IMMEDIATE``: the write lock is taken before anything is read."""
        with self._lock:
            with self._mapped():
                self._still_there()
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                # SQLite rolls back by itself when the disk is full or the file is damaged.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            with self._mapped():
                try:
                    self._connection.execute("COMMIT")
                except sqlite3.Error:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement of the transaction that is open."""
        with self._mapped():
            return self._connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement of the transaction that is open, once a row."""
        with self._mapped():
            self._connection.executemany(sql, rows)

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements in one transaction."""
        with self.transaction() as tx:
            for statement in statements:
                tx.execute(statement)

    def append_only(self, table: str) -> None:
        """Refuse UPDATE and DELETE on a table with triggers."""
        self.script(
            [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                for verb in ("UPDATE", "DELETE")
            ]
        )

    def as_kept(self, text: bytes) -> str:
        """What is written into a ``bytes_column``: SQLite keeps text as the UTF-8 it was given."""
        return text.decode()

    def close(self) -> None:
        """Close the connection; the last one folds the write-ahead log into the file."""
        with self._lock:
            self._connection.close()

    def _still_there(self) -> None:
        """SQLite goes on writing into a file that was deleted under it; nobody would ever read that."""
        if not self.path.exists():
            raise StorageError(
                "unavailable",
                f"the database at {self.path} was deleted while it was open",
                "restore a backup there, then start again",
            )

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Turn the driver's exceptions into ``StorageError``."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise StorageError("conflict", str(error), "read the state again and retry") from error
        except sqlite3.OperationalError as error:
            text = str(error)
            if "no such table" in text or "no such column" in text:
                raise StorageError(
                    "damaged",
                    f"{self.path.name} lacks a table it was made with: {text}",
                    "it was emptied, or its making was cut short; restore it from a backup",
                ) from error
            if "locked" in text or "busy" in text:
                hint = f"another process is writing; `fuser {self.path}` names it; try again when it is done"
            elif "readonly" in text or "unable to open" in text:
                hint = f"check that you may read and write {self.path} and the folder it is in"
            elif "full" in text:
                hint = "make room on the disk; what was committed before is kept"
            else:
                hint = f"a full disk looks like this too (`df {self.path.parent}`); what was committed is kept"
            raise StorageError("unavailable", f"{self.path.name}: {text}", hint) from error
        except sqlite3.ProgrammingError as error:
            raise StorageError(
                "unavailable", f"{self.path.name}: {error}", "open the database again before using it"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                "damaged",
                f"{self.path.name} is not a sound database: {error}",
                "restore it from a backup with `spine restore`; it was left as it is",
            ) from error
