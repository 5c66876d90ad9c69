"""Translates PostgreSQL's errors into ``StorageError`` with a hint on what to do.

It opens no connection and does not know any table.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors

from miniobserve.sql.protocol import StorageError

_HINTS = (
    ("does not exist", "create it on the server (`createdb`, `createuser`), or correct the URL"),
    ("password", "put user and password into the URL, or the password into ~/.pgpass"),
    ("pg_hba.conf", "allow this host and user in pg_hba.conf on the server, or use another one"),
    ("refused", "start the server, or correct the host and port in the URL"),
    ("No such file", "start the server, or give its host in the URL"),
    ("resolve", "correct the host in the URL"),
    ("translate host", "correct the host in the URL"),
    ("timeout", "check that the host and port in the URL can be reached from here"),
    ("clients", "close some connections, or raise max_connections on the server"),
    ("slots", "close some connections, or raise max_connections on the server"),
    ("starting up", "try again in a moment"),
    ("shutting down", "try again when the server is up"),
)


def unreachable(name: str, error: psycopg.Error) -> StorageError:
    """Return the error for a failed connection attempt: the reason in one line, and a hint."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = re.split(r"FATAL: |failed: ", lines[0] if "failed" in lines[0] else lines[-1])[-1].strip()
    default = "check the server's log; `spine info` shows the URL"
    hint = next((hint for part, hint in _HINTS if part in str(error)), default)
    return StorageError("unavailable", f"cannot connect to PostgreSQL at {name}: {reason}", hint)


def failed(name: str, error: psycopg.Error, *, lost: bool) -> StorageError | ValueError:
    """Return the error for a failed statement; ``lost`` says that the connection broke."""
    reason = error.diag.message_primary or str(error).partition("\n")[0]
    told = f"{name}: {reason}"
    if lost:
        return StorageError("lost", f"{name}: the connection was lost ({reason})", "try again when the server is up")
    if isinstance(error, errors.IntegrityError | errors.SerializationFailure | errors.DeadlockDetected):
        return StorageError("conflict", reason, "read the state again and retry")
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName):
        return StorageError(
            "absent",
            f"{name} lacks a table or column that is needed: {reason}",
            "`spine init` creates a ledger there, `spine serve` its traces; or correct the URL and its ?schema=",
        )
    if isinstance(error, errors.LockNotAvailable):
        return StorageError("locked", told, "another process is writing (see pg_stat_activity); try again")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StorageError("unavailable", told, "the connection is read-only; on a standby, use the primary")
    if isinstance(error, errors.InsufficientPrivilege):
        return StorageError("unavailable", told, "grant the privilege to the user in the URL, or use another user")
    if isinstance(error, errors.DiskFull):
        return StorageError("unavailable", told, "free disk space on the server; committed data is safe")
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return StorageError("damaged", told, "restore the database from a backup")
    if isinstance(error, psycopg.DataError):
        return ValueError(reason)
    return StorageError("unavailable", told, "check the server's log")
