"""The SQLite driver of the storage protocol. It does not know any table."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from miniobserve.sql import protocol
from miniobserve.sql.protocol import Params, StorageError, Transaction


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
                timeout=protocol.BUSY_SECONDS,
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
