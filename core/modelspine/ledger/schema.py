"""The ledger's tables and what guards them, and what a database has beyond or instead of that.

Whoever can write to the database can also leave something in it: a trigger that drops new rows, a view in place of a
table, or tables without their guards. A hash chain shows none of these. It does not know what the rows mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelspine.text import visible

if TYPE_CHECKING:
    from miniobserve.sql.protocol import Database

TABLES = ("events", "evidence")
_COLUMNS = {
    "events": "(seq INTEGER PRIMARY KEY, event {bytes} NOT NULL, hash TEXT NOT NULL UNIQUE, key TEXT UNIQUE)",
    "evidence": "(digest TEXT PRIMARY KEY, body {bytes} NOT NULL)",
}
# The primary key is the real guard of the order: of two writers that insert the same seq, one fails and retries.
_INTERNAL = re.compile(r"sqlite_(autoindex_(events|evidence)_\d+|stat\d|sequence)", re.ASCII)


def create_tables(database: Database) -> None:
    """Create the tables that are missing, and the triggers that refuse UPDATE and DELETE.

    The triggers are against mistakes; the hash chain reveals anything else.
    """
    database.script(
        [
            f"CREATE TABLE IF NOT EXISTS {name} {columns.format(bytes=database.bytes_column)}"
            for name, columns in _COLUMNS.items()
        ]
    )
    for name in TABLES:
        database.append_only(name)


def sqlite_faults(database: Database) -> Iterator[str]:
    """What differs in a SQLite database from the schema that ``create_tables`` makes, each in words."""
    found = {
        (kind, name): (table, sql)
        for kind, name, table, sql in database.read("SELECT type, name, tbl_name, sql FROM sqlite_master")
    }
    expected = dict(_expected_sqlite())
    for key, (table, sql) in expected.items():
        if key not in found:
            yield f"the {key[0]} {key[1]} is missing: {WHY[key[0]]}"
        elif (found[key][0], _plain(found[key][1])) != (table, _plain(sql)):
            yield f"the {key[0]} {key[1]} is not the one that was created: {visible(_plain(found[key][1]), 120)}"
    for (kind, name), (table, _sql) in found.items():
        # A table or an index beside the ledger's own does nothing to it; a database may hold other data as well.
        harmless = kind in ("table", "index") and str(table) not in TABLES
        if (kind, name) not in expected and not harmless and not _INTERNAL.fullmatch(str(name)):
            yield f"the {kind} {visible(str(name), 60)} on {visible(str(table), 60)} does not belong to a ledger"


def _expected_sqlite() -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Type and name of each object of a new ledger, with its table and its statement."""
    import tempfile
    from pathlib import Path

    from miniobserve.sql.open import connect

    # Made by the same code, so that this cannot differ from what a new ledger has.
    with tempfile.TemporaryDirectory() as folder:
        fresh = connect(f"sqlite:///{Path(folder) / 'ledger.db'}", create=True)
        try:
            create_tables(fresh)
            rows = fresh.read("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        finally:
            fresh.close()
    for kind, name, table, sql in rows:
        yield (kind, name), (table, sql)


WHY = {"trigger": "nothing refuses to change or delete rows", "table": "its rows are gone"}


def _plain(sql: str | None) -> str:
    """A statement without differences in white space."""
    return " ".join(str(sql).split())
