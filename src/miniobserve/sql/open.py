"""Which driver a database's URL asks for. It does not know any table."""

from __future__ import annotations

from pathlib import Path

from miniobserve.sql.protocol import Database, StorageError
from miniobserve.sql.sqlite import SQLite


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
            from miniobserve.sql.postgres import Postgres  # psycopg takes 0.1 s to load
        except ImportError as error:
            raise StorageError(
                "unavailable", f"the PostgreSQL driver does not load: {error}", "pip install 'modelspine[postgres]'"
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
