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


def schema_faults(database: Database) -> tuple[str, ...]:
    """What differs from the schema that ``create_tables`` makes, each in words."""
    return tuple(_sqlite(database) if database.bytes_column == "TEXT" else _postgres(database))


def _sqlite(database: Database) -> Iterator[str]:
    found = {
        (kind, name): (table, sql)
        for kind, name, table, sql in database.read("SELECT type, name, tbl_name, sql FROM sqlite_master")
    }
    expected = dict(_expected_sqlite())
    for key, (table, sql) in expected.items():
        if key not in found:
            yield f"the {key[0]} {key[1]} is missing: {_WHY[key[0]]}"
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


def _postgres(database: Database) -> Iterator[str]:
    kinds = dict(
        database.read(
            "SELECT relname, CAST(relkind AS TEXT) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE n.nspname = current_schema() AND relname IN ('events', 'evidence')"
        )
    )
    for name in TABLES:
        if kinds.get(name) != "r":
            yield f"{name} is not a table" if name in kinds else f"the table {name} is missing"
    guards = {(name, f"{name}_append_only") for name in TABLES}
    triggers = database.read(
        "SELECT relname, tgname, CAST(tgenabled AS TEXT) FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT tgisinternal AND n.nspname = current_schema() AND relname IN ('events', 'evidence')"
    )
    working = {(table, name) for table, name, enabled in triggers if enabled in ("O", "A")}
    for table, name in sorted(guards - working):
        yield f"the trigger {name} on {table} is missing or disabled: {_WHY['trigger']}"
    for table, name, _enabled in triggers:
        if (table, name) not in guards:
            yield f"the trigger {visible(str(name), 60)} on {table} does not belong to a ledger"
    for table, name in database.read(
        "SELECT tablename, rulename FROM pg_rules "
        "WHERE schemaname = current_schema() AND tablename IN ('events', 'evidence')"
    ):
        yield f"the rule {visible(str(name), 60)} on {table} does not belong to a ledger"


_WHY = {"trigger": "nothing refuses to change or delete rows", "table": "its rows are gone"}


def _plain(sql: str | None) -> str:
    """A statement without differences in white space."""
    return " ".join(str(sql).split())
