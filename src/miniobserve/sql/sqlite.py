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
from miniobserve.sql.protocol import Params, StorageError, Transaction


class SQLite:
    """SQLite in WAL mode with synchronous FULL: a commit that returned survives a power failure."""

    bytes_column = "TEXT"
    find = "instr"
    bytewise = ""

    def __init__(self, path: Path, *, create: bool, readonly: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._readonly = readonly
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
        self._file = self._file_now()

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

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement of the open transaction."""
        with self._mapped():
            return self._connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement of the open transaction for each row."""
        with self._mapped():
            self._connection.executemany(sql, rows)

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
        now = self._file_now()
        if now is None:
            raise StorageError(
                "unavailable",
                f"the database at {self.path} was deleted while it was open",
                "restore a backup there, then start again",
            )
        unfrozen = self._frozen and not self._cannot_change()  # another user has begun to write
        if now != self._file or unfrozen:
            # Closing leaves the new file and its log alone: SQLite sees that its own file has moved.
            self._connection.close()
            self._open("ro" if self._readonly else "rw")

    def _file_now(self) -> tuple[int, int] | None:
        """Device and inode of the file at the path; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

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
