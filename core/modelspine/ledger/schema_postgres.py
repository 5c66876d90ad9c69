"""What a PostgreSQL database of a ledger has beyond or instead of the schema that was made here.

A row can be dropped, changed or hidden in more ways than in SQLite: by triggers, rules, policies and constraints, by
tables that inherit from the ledger's, or by a guard whose function was replaced. It reads the server's catalogues only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelspine.ledger.schema import TABLES, WHY
from modelspine.text import visible

if TYPE_CHECKING:
    from miniobserve.sql.protocol import Database

_COLUMNS = {
    "events": {"seq": ("integer", True), "event": ("bytea", True), "hash": ("text", True), "key": ("text", False)},
    "evidence": {"digest": ("text", True), "body": ("bytea", True)},
}
"""Table → column → its type, and whether it refuses NULL."""
_INDEXES = {"events": ("seq", "hash", "key"), "evidence": ("digest",)}
"""Table → the columns that are unique, each by an index of its own."""
_BEFORE_CHANGE = 2 | 8 | 16 | 32
"""``pg_trigger.tgtype`` of a trigger before DELETE, UPDATE and TRUNCATE, once for each statement."""
_FOREIGN = {
    "constraint": "SELECT conname FROM pg_constraint WHERE conrelid = ? AND contype NOT IN ('p', 'u', 'n')",
    "rule": "SELECT rulename FROM pg_rewrite WHERE ev_class = ?",
    "policy": "SELECT polname FROM pg_policy WHERE polrelid = ?",
    "inheriting table": "SELECT CAST(inhrelid AS regclass)::text FROM pg_inherits WHERE inhparent = ?",
}
"""What a ledger has none of: its name in a message, and the query for the names of those on a table."""


def postgres_faults(database: Database) -> Iterator[str]:
    """What differs from the schema that ``schema.create_tables`` makes, each in words."""
    found = {
        name: rest
        for name, *rest in database.read(
            "SELECT relname, c.oid, CAST(relkind AS TEXT), CAST(relpersistence AS TEXT), relrowsecurity "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = current_schema() AND relname IN ('events', 'evidence')"
        )
    }
    for table in TABLES:
        if table not in found:
            yield f"the table {table} is missing"
            continue
        oid, kind, kept, secured = found[table]
        if kind != "r":
            yield f"{table} is not a table"
            continue
        if kept != "p":
            yield f"the table {table} is not logged: a crash of the server empties it"
        if secured:
            yield f"the table {table} has row security, which can hide rows"
        yield from _columns(database, table, oid)
        yield from _indexes(database, table, oid)
        yield from _triggers(database, table, oid)
        for what, query in _FOREIGN.items():
            for (name,) in database.read(query, (oid,)):
                yield f"the {what} {visible(str(name), 60)} on {table} does not belong to a ledger"


def _columns(database: Database, table: str, oid: int) -> Iterator[str]:
    found = {}
    for name, kind, required, filled in database.read(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, "
        "atthasdef OR attgenerated <> '' OR attidentity <> '' FROM pg_attribute "
        "WHERE attrelid = ? AND attnum > 0 AND NOT attisdropped",
        (oid,),
    ):
        found[name] = (kind, required)
        if filled:
            yield f"the column {visible(str(name), 60)} of {table} is filled by the database"
    if found != _COLUMNS[table]:
        yield f"the columns of {table} are not those that were created: {visible(', '.join(found), 120)}"


def _indexes(database: Database, table: str, oid: int) -> Iterator[str]:
    missing = set(_INDEXES[table])
    for name, unique, columns in database.read(
        "SELECT relname, indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL, "
        "CAST(ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey)) AS TEXT[]) "
        "FROM pg_index JOIN pg_class x ON x.oid = indexrelid WHERE indrelid = ?",
        (oid,),
    ):
        if unique and len(columns) == 1 and columns[0] in missing:
            missing.discard(columns[0])
        else:
            yield f"the index {visible(str(name), 60)} on {table} does not belong to a ledger"
    for column in sorted(missing):
        yield f"nothing keeps {column} in {table} unique: its index is missing"


def _triggers(database: Database, table: str, oid: int) -> Iterator[str]:
    guard, guarded = f"{table}_append_only", False
    # The text that `append_only` of the driver gives to the function; another one may refuse nothing.
    refusal = f"BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '23000'; END"
    for name, works, function, source in database.read(
        "SELECT tgname, tgenabled IN ('O', 'A') AND tgtype = ? AND tgqual IS NULL, proname, prosrc FROM pg_trigger "
        "JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal AND tgrelid = ?",
        (_BEFORE_CHANGE, oid),
    ):
        if name != guard:
            yield f"the trigger {visible(str(name), 60)} on {table} does not belong to a ledger"
        elif works and " ".join(source.split()) != refusal:
            yield f"the function {visible(str(function), 60)} of the guard of {table} was replaced: {WHY['trigger']}"
        guarded |= name == guard and works
    if not guarded:
        yield f"the trigger {guard} on {table} is missing or disabled: {WHY['trigger']}"
