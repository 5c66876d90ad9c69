"""The PostgreSQL driver of the storage protocol: one connection, reopened when it is lost.

All differences from SQLite are handled here: ``?`` becomes ``$1``, triggers, the type of byte columns, and error
codes. A URL may name a schema (``postgresql://host/database?schema=tutor``). This module is imported only if a URL
needs it. It does not know any table.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, LiteralString
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from miniobserve.sql import protocol
from miniobserve.sql.postgres_errors import failed, unreachable
from miniobserve.sql.protocol import Params, StorageError, Transaction

STALLED_SECONDS = 10
"""The server rolls back a transaction that has been idle for this long, since its locks block other clients."""

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "spine",
    "tcp_user_timeout": 1000 * STALLED_SECONDS,
}
"""Connection parameters unless the URL sets them."""
_SCHEMA_LOCK = 0x5350494E45
"""Advisory lock held while tables are created: two concurrent ``CREATE … IF NOT EXISTS`` can still conflict."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Postgres:
    """A PostgreSQL database. A commit that returned is on the server's disk; a lost connection is reopened."""

    bytes_column = "BYTEA"
    find = "strpos"
    bytewise = ' COLLATE "C"'

    def __init__(self, url: str, *, create: bool, readonly: bool) -> None:
        self._conninfo, self._schema = _split(url)
        given = conninfo_to_dict(self._conninfo)
        self.name = f"{given.get('host', 'local')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        self._defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
        self._readonly = readonly
        self._lock = threading.RLock()
        self._closed = False
        self._inside = False
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._open()
        if create and self._schema is not None:
            self.script([f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"'])

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one query; if the connection was lost, run it again on a new one."""
        with self._lock:
            try:
                return self.execute(sql, params)
            except StorageError as error:
                if error.kind != "lost":
                    raise
            return self.execute(sql, params)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction without locks: the first writer of a unique value wins, others get a ``conflict``.

        Raises:
            StorageError: kind ``lost`` if the connection broke. Nothing was committed, unless it broke during the
                commit: then the caller must read the data to find out.
        """
        with self._lock:
            try:
                self._begin()
                self._inside = True
                yield self
                # The server answers COMMIT with ROLLBACK, not with an error, if a statement failed before.
                if self._status("COMMIT") != "COMMIT":
                    raise StorageError("unavailable", f"{self.name}: the server rolled back", "try again")
            except BaseException:
                self._abandon()
                raise
            finally:
                self._inside = False

    def execute(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run one statement."""
        with self._mapped() as connection:
            cursor = connection.execute(_numbered(sql), params)
            return cursor.fetchall() if cursor.description else []

    def executemany(self, sql: str, rows: Sequence[Params]) -> None:
        """Run one statement of the open transaction for each row."""
        with self._mapped() as connection, connection.cursor() as cursor:
            cursor.executemany(_numbered(sql), rows)

    def script(self, statements: Sequence[str]) -> None:
        """Run schema statements in one transaction, one client at a time."""
        with self.transaction() as tx:
            tx.execute("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
            for statement in statements:
                tx.execute(statement)

    def append_only(self, table: str) -> None:
        """Create a trigger that refuses UPDATE, DELETE and TRUNCATE on a table."""
        refuse = f"BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '23000'; END"
        before = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
        self.script(
            [
                f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $${refuse}$$",
                f"CREATE OR REPLACE TRIGGER {table}_append_only {before} EXECUTE FUNCTION {table}_refuse()",
            ]
        )

    def as_kept(self, text: bytes) -> bytes:
        """Return the value to store in a ``bytes_column``: the bytes themselves."""
        return text

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._drop()

    def __del__(self) -> None:
        """Close a connection that was left open, as SQLite does; psycopg would warn about it."""
        with contextlib.suppress(AttributeError):  # __init__ failed before it set _connection
            self._drop()

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return the connection, opening a new one if there is none."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if self._inside:  # on a new connection the rest of the transaction would run outside of one
            raise StorageError("lost", f"{self.name}: the connection was lost", "try again")
        if self._closed:
            raise StorageError("unavailable", f"{self.name} was closed", "open the database again before using it")
        try:
            made = psycopg.connect(
                self._conninfo,
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
                client_encoding="utf8",
                **self._defaults,
            )
        except psycopg.Error as error:
            raise unreachable(self.name, error) from error
        try:
            self._prepare(made)
        except BaseException:
            made.close()
            raise
        self._connection = made
        return made

    def _prepare(self, made: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Set the parameters of a new session, and check the server's encoding."""
        try:
            encoding, durable = made.execute(
                "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')"
            ).fetchone() or ("", "")
            wanted = {
                "lock_timeout": str(int(1000 * protocol.BUSY_SECONDS)),
                "idle_in_transaction_session_timeout": str(1000 * STALLED_SECONDS),
                "default_transaction_isolation": "read committed",
                "default_transaction_read_only": "on" if self._readonly else "off",
                **({"synchronous_commit": "on"} if durable in ("off", "local") else {}),
                **({"search_path": f'"{self._schema}"'} if self._schema is not None else {}),
            }
            for name, value in wanted.items():
                made.execute("SELECT set_config($1, $2, false)", (name, value))
        except psycopg.Error as error:
            raise failed(self.name, error, lost=bool(made.closed)) from error
        if encoding != "UTF8":
            raise StorageError(
                "unavailable",
                f"{self.name} uses the encoding {encoding}, which lacks many characters; UTF8 is required",
                "create a database with `createdb --encoding=UTF8 --template=template0`",
            )

    def _begin(self) -> None:
        """Begin a transaction, on a new connection if the old one was lost while idle."""
        try:
            self._status("BEGIN")
        except StorageError as error:
            if error.kind != "lost":
                raise
            self._status("BEGIN")

    def _status(self, statement: LiteralString) -> str | None:
        with self._mapped() as connection:
            return connection.execute(statement, prepare=False).statusmessage

    def _abandon(self) -> None:
        """Roll back the transaction; if that fails, close the connection, which makes the server roll back."""
        try:
            if self._connection is not None and not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
        self._connection = None

    @contextmanager
    def _mapped(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Yield the connection and turn its exceptions into ``StorageError``, or ``ValueError`` for invalid data."""
        connection = self._open()
        try:
            yield connection
        except psycopg.Error as error:
            if connection.closed:
                self._drop()
            raise failed(self.name, error, lost=bool(connection.closed)) from error


def _split(url: str) -> tuple[str, str | None]:
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


@lru_cache(maxsize=256)
def _numbered(sql: str) -> LiteralString:
    """Replace ``?`` by ``$1``, ``$2``, …; statements must not contain a literal question mark."""
    first, *rest = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
