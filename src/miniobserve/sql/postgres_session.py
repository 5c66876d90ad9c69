"""Sets the parameters that every session on a PostgreSQL server has."""

from __future__ import annotations

from typing import Any

import psycopg

from miniobserve.sql import protocol
from miniobserve.sql.postgres_errors import failed
from miniobserve.sql.protocol import StorageError

STALLED_SECONDS = 10
"""The server rolls back a transaction that has been idle for this long, since its locks block other clients."""
DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5, "application_name": "spine", "tcp_user_timeout": 1000 * STALLED_SECONDS
}  # fmt: skip
"""Connection parameters unless the URL sets them."""


def prepare(made: psycopg.Connection[tuple[Any, ...]], name: str, schema: str | None, *, readonly: bool) -> None:
    """Set the parameters of a new session, and check the server's encoding."""
    try:
        encoding, durable = made.execute(
            "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')"
        ).fetchone() or ("", "")
        wanted = {
            "lock_timeout": str(int(1000 * protocol.BUSY_SECONDS)),
            "idle_in_transaction_session_timeout": str(1000 * STALLED_SECONDS),
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "on" if readonly else "off",
            # A writer finds rows by their keys. PostgreSQL plans a statement once and keeps the plan. If the partition
            # of a new day was nearly empty then, the plan scans it, and every later commit would read the whole day.
            # Without scans, a query that needs one looks so expensive that it would be compiled, which took 160 ms.
            **({} if readonly else {"enable_seqscan": "off", "jit": "off"}),
            **({"synchronous_commit": "on"} if durable in ("off", "local") else {}),
            **({"search_path": f'"{schema}"'} if schema is not None else {}),
        }
        for key, value in wanted.items():
            made.execute("SELECT set_config($1, $2, false)", (key, value))
    except psycopg.Error as error:
        raise failed(name, error, lost=bool(made.closed)) from error
    if encoding != "UTF8":
        raise StorageError(
            "unavailable",
            f"{name} uses the encoding {encoding}, which lacks many characters; UTF8 is required",
            "create a database with `createdb --encoding=UTF8 --template=template0`",
        )
