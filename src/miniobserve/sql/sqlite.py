"""The SQLite driver of the storage protocol. It does not know any table."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from miniobserve.sql import protocol
from miniobserve.sql.protocol import Column, Params, StorageError, Transaction


class SQLite:
    """SQLite in WAL mode with synchronous FULL: a commit that returned survives a power failure."""

    bytes_column = "TEXT"
    find = "instr"
    bytewise = ""
    partitioned = False

    def __init__(self, path: Path, *, create: bool, readonly: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._readonly = readonly
        self._file: tuple[int, int, int] | None = None
        self._log: int | None = None
        if not path.exists() and not create:
            raise StorageError(
                "unavailable",
                f"there is no database at {path}",
                "`spine init` creates a ledger, `spine serve` a trace store; or restore a backup there",
            )
        # SQLite would open an empty file as a new database and hide that the data is gone.
        if not create and path.is_file() and path.stat().st_size == 0:
            raise StorageError("damaged", f"the database at {path} is empty", "restore it from a backup")
        self._open("ro" if readonly else "rwc" if create else "rw")

    def _open(self, mode: str) -> None:
        """Connect to the file that is at the path now."""
        self._mode = mode
        self._frozen = self._readonly and self._cannot_change()
        # Looked at before it is opened, so that a file which comes later is noticed; none until that has succeeded.
        self._file, seen = None, self._file_now()
        self._connection = self._connect()
        try:
            with self._mapped():
                if self._readonly:
                    self._connection.execute("PRAGMA query_only=ON")
                else:
                    self._connection.execute("PRAGMA journal_mode=WAL")
                    self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("SELECT count(*) FROM sqlite_master")
        except StorageError:
            self._connection.close()
            raise
        self._file, self._log = seen or self._file_now(), None if self._frozen else self._log_now()

    def _connect(self) -> sqlite3.Connection:
        """Open the file; one that cannot change is read without the files beside it, which nobody could create."""
        frozen = "&immutable=1" if self._frozen else ""
        with self._mapped():
            return sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={self._mode}{frozen}",
                uri=True,
                timeout=protocol.BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )

    def _cannot_change(self) -> bool:
        """Whether the file is on media that this process cannot write, and no other process is writing it now."""
        return not os.access(self.path.parent, os.W_OK) and not self.path.with_name(f"{self.path.name}-wal").exists()

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query."""
        with self._lock, self._mapped():
            self._still_there()
            return self._connection.execute(sql, params).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction that holds the write lock from the start (``BEGIN IMMEDIATE``)."""
        # A plain BEGIN takes the lock at the first write, which fails if another writer came in between.
        with self._lock:
            with self._mapped():
                self._still_there()
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                # SQLite has already rolled back by itself if the disk is full or the file is damaged.
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
            self._check_committed()

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement of the open transaction."""
        with self._mapped():
            return self._connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement of the open transaction for each row."""
        with self._mapped():
            self._connection.executemany(sql, rows)

    def batch(self, statements: Sequence[tuple[str, Params]]) -> list[list[tuple[Any, ...]]]:
        """Run statements of the open transaction one after the other."""
        return [self.execute(sql, params) for sql, params in statements]

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> None:
        """Insert rows, in the open transaction."""
        names, marks = ", ".join(name for name, _ in columns), ", ".join("?" for _ in columns)
        self.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 -- names, marks

    def insertion(self, table: str, columns: Sequence[Column], rows: Sequence[Params]) -> tuple[str, Params]:
        """Return the statement that inserts rows; SQLite takes at most 32,766 values in one."""
        names = ", ".join(name for name, _ in columns)
        marks = ", ".join([f"({', '.join('?' for _ in columns)})"] * len(rows))
        return f"INSERT INTO {table} ({names}) VALUES {marks}", [value for row in rows for value in row]  # noqa: S608

    def lock(self, name: str, keys: Sequence[int] = (0,), *, shared: bool = False) -> None:
        """Do nothing: a transaction holds the only write lock from its start."""

    def locking(self, name: str, keys: Sequence[int], *, shared: bool) -> tuple[str, Params]:  # noqa: ARG002
        """Return a statement that does nothing."""
        return "SELECT 1", ()

    def only_writer(self, table: str, value: int | None = None) -> None:
        """Do nothing: a transaction is the only writer from its start."""

    def drop_partition(self, table: str, column: str, value: int) -> None:
        """Delete the rows whose column has a value."""
        self.execute(f"DELETE FROM {table} WHERE {column} = ?", (value,))  # noqa: S608 -- names from callers

    @contextmanager
    def snapshot(self, table: str) -> Iterator[Transaction]:  # noqa: ARG002 -- as in the protocol
        """Begin a transaction that only reads; in WAL mode it neither waits for a writer nor makes one wait."""
        with self._lock:
            with self._mapped():
                self._still_there()
                self._connection.execute("BEGIN")
            try:
                yield self
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def among(self, column: str, values: Sequence[Any], kind: str = "TEXT") -> tuple[str, Params]:  # noqa: ARG002
        """Return the condition that a column has one of some values, and its parameters."""
        return f"{column} IN ({', '.join('?' for _ in values)})", values

    def partition_by(self, column: str) -> str:  # noqa: ARG002
        """Return nothing: SQLite has no partitions."""
        return ""

    def partition(self, table: str, value: int) -> None:
        """Do nothing."""

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements in one transaction."""
        with self.transaction() as tx:
            for statement in statements:
                tx.execute(statement)

    def append_only(self, table: str) -> None:
        """Create triggers that refuse UPDATE and DELETE on a table."""
        self.script(
            [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                for verb in ("UPDATE", "DELETE")
            ]
        )

    def as_kept(self, text: bytes) -> str:
        """Return the value to store in a ``bytes_column``: SQLite stores text as the UTF-8 bytes it is given."""
        return text.decode()

    def close(self) -> None:
        """Close the connection; closing the last one merges the write-ahead log into the database file."""
        with self._lock:
            self._connection.close()

    def _still_there(self) -> None:
        """Connect again if another file was put in the database's place; raise ``StorageError`` if there is none.

        SQLite would go on with the file that it has open, which nobody else sees any more.
        """
        now, known = self._file_now(), self._file
        if self._connection.in_transaction:
            return  # which would be lost; after its COMMIT, the file is looked at again
        if now is None:
            raise StorageError(
                "unavailable",
                f"the database at {self.path} was deleted while it was open",
                "restore a backup there, then start again",
            )
        unfrozen = self._frozen and not self._cannot_change()  # another user has begun to write
        same = known is not None and now[:2] == known[:2]
        if same and self._log is not None and self._log_now() != self._log:
            # What is written goes to a log that has no name. Closing every connection writes it into the file.
            raise StorageError(
                "replaced",
                f"the log of {self.path.name} was removed or replaced while it was open",
                "stop every process that has the database open, which keeps what they wrote, then start again",
            )
        if now != known or unfrozen:
            # Closing leaves another file and its log alone: SQLite sees that its own file has moved. Of the same file,
            # the old connection goes last, because closing the only one would write its log into it.
            before = self._connection
            if not same:
                before.close()
            try:
                self._open("ro" if self._readonly else "rw")
            finally:
                before.close()

    def _file_now(self) -> tuple[int, int, int] | None:
        """Device, inode and time of change of the file at the path; None where there is none.

        Another file may have been copied over it (``cp``), which SQLite does not notice: it goes on with the pages that
        it has read. A write of this or another process changes the time as well, when the log is merged into the file.
        """
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_ctime_ns

    def _log_now(self) -> int | None:
        """The inode of the write-ahead log; None where there is none."""
        try:
            return os.stat(f"{self.path}-wal").st_ino  # noqa: PTH116 -- a Path would take longer than the call
        except OSError:
            return None

    def _check_committed(self) -> None:
        """Raise ``StorageError`` if a commit went to a file that is not at the path any more."""
        now = self._file_now()
        if now is None or self._file is None or now[:2] != self._file[:2]:
            raise StorageError("lost", f"{self.path.name} was replaced during a write", "repeat the command")
        self._file = now  # the commit may have merged the log into the file

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Turn the driver's exceptions into ``StorageError``."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
                # Trying again would not help: a trigger or another constraint refuses this row.
                hint = "`spine verify` names what does not belong in a ledger's database"
                raise StorageError("damaged", f"{self.path.name} refused a row: {error}", hint) from error
            raise StorageError("conflict", str(error), "read the state again and retry") from error
        except sqlite3.OperationalError as error:
            text = str(error)
            if "no such table" in text or "no such column" in text:
                raise StorageError(
                    "damaged",
                    f"{self.path.name} lacks a table or column it was created with: {text}",
                    "it was emptied, or creating it was interrupted; restore it from a backup",
                ) from error
            kind: protocol.Kind = "unavailable"
            if "locked" in text or "busy" in text:
                kind = "locked"
                hint = f"another process is writing (`fuser {self.path}` shows it); try again when it is done"
            elif "readonly" in text or "unable to open" in text:
                hint = f"check that you may read and write {self.path} and the folder it is in"
            elif "full" in text:
                hint = "free disk space; committed data is safe"
            else:
                hint = f"check for a full disk (`df {self.path.parent}`); committed data is safe"
            raise StorageError(kind, f"{self.path.name}: {text}", hint) from error
        except sqlite3.ProgrammingError as error:
            raise StorageError(
                "unavailable", f"{self.path.name}: {error}", "open the database again before using it"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                "damaged",
                f"{self.path.name} is not an intact database: {error}",
                "restore it from a backup with `spine restore`; the file was not changed",
            ) from error
