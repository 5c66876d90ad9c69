"""What PostgreSQL says when it does not do what it was asked, as a ``StorageError`` with a way out.

It opens nothing and knows no table.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors

from miniobserve.sql.protocol import StorageError

_HINTS = (
    ("does not exist", "make it on the server (`createdb`, `createuser`), or correct the URL"),
    ("password", "give user and password in the URL, or keep the password in ~/.pgpass"),
    ("pg_hba.conf", "let this host and user in (pg_hba.conf on the server), or use another one"),
    ("refused", "start the server, or correct host and port in the URL"),
    ("No such file", "start the server, or name its host in the URL"),
    ("resolve", "correct the host in the URL"),
    ("translate host", "correct the host in the URL"),
    ("timeout", "check that host and port in the URL can be reached from here"),
    ("clients", "let some connections go, or raise max_connections on the server"),
    ("slots", "let some connections go, or raise max_connections on the server"),
    ("starting up", "try again in a moment"),
    ("shutting down", "try again when the server is up"),
)


def unreachable(name: str, error: psycopg.Error) -> StorageError:
    """Why there is no connection, in one line, and the way out."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = re.split(r"FATAL: |failed: ", lines[0] if "failed" in lines[0] else lines[-1])[-1].strip()
    otherwise = "look at the server's log; `spine info` shows the URL"
    hint = next((way for sign, way in _HINTS if sign in str(error)), otherwise)
    return StorageError("unavailable", f"PostgreSQL at {name} does not let us in: {reason}", hint)


def failed(name: str, error: psycopg.Error, *, lost: bool) -> StorageError | ValueError:
    """What a failed statement means."""
    reason = error.diag.message_primary or str(error).partition("\n")[0]
    told = f"{name}: {reason}"
    if lost:
        return StorageError("lost", f"{name}: the connection was lost ({reason})", "try again when the server is up")
    if isinstance(error, errors.IntegrityError | errors.SerializationFailure | errors.DeadlockDetected):
        return StorageError("conflict", reason, "read the state again and retry")
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName):
        return StorageError(
            "absent",
            f"{name} does not hold what was looked for: {reason}",
            "`spine init` makes a ledger there, a server its traces; or correct the URL and its ?schema=",
        )
    if isinstance(error, errors.LockNotAvailable):
        return StorageError("unavailable", told, "another process is writing; pg_stat_activity names it; try again")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StorageError("unavailable", told, "this connection only reads; a standby does so too: use the primary")
    if isinstance(error, errors.InsufficientPrivilege):
        return StorageError("unavailable", told, "grant it to the user the URL names, or use another user")
    if isinstance(error, errors.DiskFull):
        return StorageError("unavailable", told, "make room on the server; what was committed before is kept")
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return StorageError("damaged", told, "restore the database from a backup")
    if isinstance(error, psycopg.DataError):
        return ValueError(reason)
    return StorageError("unavailable", told, "look at the server's log")
