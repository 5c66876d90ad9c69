"""Databases copied into SQLite files for a backup, and from such files onto a PostgreSQL server.

So an archive is the same wherever a project runs, and a project can move from one machine's files to a server. A store
is copied as of one moment and committed as a whole. It does not know what else is in an archive.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.tables import complete
from miniobserve.transfer import refuse_rows, transfer
from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.ledger.schema import TABLES, create_tables
from modelspine.ledger.store import storage_errors
from modelspine.settings import masked
from modelspine.text import visible

_PAGE = 500
_PAGES = 4096
"""Pages of a file copied between two reports of progress."""
STORES = ("traces", "ledger")
"""The settings whose database may be on a server, in the order in which they are copied."""
Step = Callable[[str, int, int], None]


def on_server(url: str) -> bool:
    """Whether a URL names a PostgreSQL server."""
    return url.startswith(("postgresql:", "postgres:"))


def snapshot(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a live SQLite database as of one moment, without blocking its writers.

    Raises:
        Unavailable: the database does not exist or cannot be read, or there is no room for the copy.
        Damaged: it is not an intact database.
    """
    if not source.is_file():
        raise Unavailable(f"there is no database at {source}", "run `spine init`, or restore a backup there")
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            # The open read transaction fixes the moment; without it, every write by others would restart the backup.
            # BEGIN alone takes no snapshot, the first read does.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master")
            live.backup(copy, pages=_PAGES, progress=lambda _status, left, of: progress(of - left, of))
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # a copy in WAL mode would be more than one file
    except sqlite3.OperationalError as error:
        reason = visible(str(error), 120)
        if "full" in reason:
            raise Unavailable(
                f"{target.parent} has no room for a copy of {source.name}: {reason}",
                "a backup also needs room for the largest database; free disk space, or write it elsewhere",
            ) from error
        hint = "another process is writing; try again" if "locked" in reason else "check the file's permissions"
        raise Unavailable(f"{source}: {reason}", hint) from error
    except sqlite3.DatabaseError as error:
        raise Damaged(
            f"{source} is not an intact database: {visible(str(error), 120)}", "restore it from an earlier backup"
        ) from error


def copied_out(name: str, url: str, target: Path, step: Step) -> None:
    """Copy a store from its server into a new SQLite file.

    Raises:
        Unavailable, Damaged: the store or the disk cannot be used.
    """
    with (
        storage_errors(),
        closing(connect(url, readonly=True)) as source,
        closing(connect(f"sqlite:///{target}", create=True)) as file,
    ):
        _copy(name, source, file, step)
    with closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")  # a copy in WAL mode would be more than one file


def copied_in(name: str, file: Path, url: str, step: Step) -> None:
    """Copy a store from the SQLite file of an archive, a copy of our own, into an empty place on a server.

    Raises:
        BadInput: something was written there since ``refuse_used``; nothing was copied.
        Unavailable, Damaged: the server or the file cannot be used.
    """
    with (
        storage_errors(),
        closing(connect(f"sqlite:///{file}", create=True)) as source,
        closing(connect(url, create=True)) as target,
    ):
        _copy(name, source, target, step)


def refuse_used(name: str, url: str) -> None:
    """Refuse a place on a server that holds rows of this kind already, so that a restore never mixes two histories.

    Raises:
        BadInput: it does.
        Unavailable, Damaged: the server cannot be used.
    """
    with storage_errors(), closing(connect(url, create=True)) as database:
        try:
            if name == "traces":
                refuse_rows(database.read)
            elif database.read("SELECT 1 FROM events LIMIT 1"):
                _refuse(name, url, "there is a ledger already")
        except StorageError as error:
            if error.kind == "conflict":
                _refuse(name, url, error.message)
            if error.kind != "absent":  # there are no tables yet
                raise


def _refuse(name: str, url: str, found: str) -> NoReturn:
    raise BadInput(
        f"{name} at {visible(masked(url), 100)}: {found}, and a restore replaces nothing",
        "name an empty schema in the settings (`…?schema=NAME`), or drop this one first",
    )


def _copy(name: str, source: Database, target: Database, step: Step) -> None:
    if name == "traces":
        if source.bytes_column == "TEXT":
            complete(source)  # an archive of an earlier version has fewer columns
        transfer(source, target, step)
    else:
        _copy_ledger(source, target, step)


def _copy_ledger(source: Database, target: Database, step: Step) -> None:
    """Copy the bytes of every event and of all evidence; nothing is decoded, so the hashes stay."""
    create_tables(target)
    file = source.bytes_column == "TEXT"
    raw = (lambda column: f"CAST({column} AS BLOB)") if file else (lambda column: column)
    with source.snapshot(TABLES[0]) as old, target.transaction() as new:
        if new.execute("SELECT 1 FROM events LIMIT 1"):
            raise BadInput("a ledger was made there meanwhile", "nothing was copied into it; repeat with an empty one")
        last, done = "", 0
        total = int(old.execute("SELECT COUNT(*) FROM evidence")[0][0])
        page = f"SELECT digest, {raw('body')} FROM evidence WHERE digest > ? ORDER BY digest LIMIT {_PAGE}"  # noqa: S608
        while rows := old.execute(page, (last,)):
            new.executemany(
                "INSERT INTO evidence (digest, body) VALUES (?, ?)",
                [(digest, target.as_kept(bytes(body))) for digest, body in rows],
            )
            last, done = rows[-1][0], done + len(rows)
            step("evidence", done, total)
        seq = 0
        page = f"SELECT seq, {raw('event')}, hash, key FROM events WHERE seq > ? ORDER BY seq LIMIT {_PAGE}"  # noqa: S608
        while rows := old.execute(page, (seq,)):
            new.executemany(
                "INSERT INTO events (seq, event, hash, key) VALUES (?, ?, ?, ?)",
                [(number, target.as_kept(bytes(event)), digest, key) for number, event, digest, key in rows],
            )
            seq = rows[-1][0]
            step("events", seq, seq)
