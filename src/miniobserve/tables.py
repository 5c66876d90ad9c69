"""Makes the tables of a trace store, and brings those of a slightly earlier version up to date.

A store that is older than that is refused, because only ``migrate`` can read it. This module writes no requests.
"""

from __future__ import annotations

import secrets

from miniobserve.schema import SAID, has_column, has_table, refuse_old, schema
from miniobserve.sql.protocol import Database
from miniobserve.uptime import UPTIME_SCHEMA


def complete(database: Database) -> None:
    """Make the tables that are missing, and change those of feedback that an earlier version made.

    Raises:
        StorageError: it is so old that only ``spine migrate`` can read it, or it cannot be written.
    """
    refuse_old(database)
    # Tells the files that this store writes apart from those of another one; a copy of the store keeps it.
    named = f"INSERT INTO store (name, value) VALUES ('id', '{secrets.token_hex(16)}') ON CONFLICT (name) DO NOTHING"  # noqa: S608 -- hexadecimal
    database.script((*_changes(database), *schema(database), UPTIME_SCHEMA, named))


def store_id(database: Database) -> str:
    """Return the name that a store gave itself; empty for one that was made before stores had one."""
    rows = database.read("SELECT value FROM store WHERE name = 'id'")
    return str(rows[0][0]) if rows else ""


def _changes(database: Database) -> list[str]:
    """Return the statements that change the columns of a table of feedback that an earlier version made."""
    if not has_table(database, "feedback"):
        return []
    missing = [column for column in SAID if not has_column(database, "feedback", column[0])]
    found = [f"ALTER TABLE feedback ADD COLUMN {name} {kind}" for name, kind in missing]
    if has_column(database, "feedback", "filed"):
        # SQLite drops no column that an index holds; the index is made again without it.
        found += ["DROP INDEX IF EXISTS feedback_day", "ALTER TABLE feedback DROP COLUMN filed"]
    return found
