"""Opens a database with the driver that its URL names. It does not know any table."""

from __future__ import annotations

from pathlib import Path

from miniobserve.sql.protocol import Database, StorageError
from miniobserve.sql.sqlite import SQLite


def connect(url: str, *, create: bool = False, readonly: bool = False) -> Database:
    """Open the database at ``url``: ``sqlite:///relative``, ``sqlite:////absolute``, or
    ``postgresql://user@host/database?schema=name``.

    Args:
        url: where the database is.
        create: create it if it does not exist; otherwise a missing database is an error.
        readonly: let the connection itself refuse every write.

    Raises:
        StorageError: the database is missing, unreadable or not a database, or the URL has another scheme.

    """
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from miniobserve.sql.postgres import Postgres  # importing psycopg takes 0.1 s
        except ImportError as error:
            raise StorageError(
                "unavailable",
                f"cannot import the PostgreSQL driver: {error}",
                "pip install 'modelspine[postgres]'",
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
