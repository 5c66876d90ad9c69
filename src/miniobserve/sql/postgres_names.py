"""Names on a PostgreSQL server: its URL with the schema in it, and the partitions of a table."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from miniobserve.sql.protocol import StorageError

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def partition_name(table: str, value: int) -> str:
    """Return the name of a table's partition for a value."""
    return f"{table}_{value}".replace("-", "m")


def split(url: str) -> tuple[str, str | None]:
    """Split a URL into one that libpq understands and the schema, a parameter that libpq does not know."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        schema = dict(query).get("schema")
        rest = urlencode([pair for pair in query if pair[0] != "schema"])
        conninfo = urlunsplit(parts._replace(query=rest))
        conninfo_to_dict(conninfo)
    except (ValueError, psycopg.Error):
        # The URL is not quoted, and neither is the parser's error, since both may contain a password.
        raise StorageError(
            "unavailable",
            "the URL of a PostgreSQL database cannot be read",
            "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME, with special characters as %XX",
        ) from None
    if schema is not None and not _NAME.fullmatch(schema):
        raise StorageError(
            "unavailable",
            f"{schema[:63]!r} is not a valid schema name in a PostgreSQL URL",
            "use lower-case letters, digits and _, such as ?schema=tutor",
        )
    return conninfo, schema
