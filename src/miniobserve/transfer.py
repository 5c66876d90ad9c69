"""Copies a whole trace store from one database into another, empty one, of whatever kind both are.

The rows come from one snapshot and are committed by one transaction: the target has all of them or none. Closed days
are files and are not part of it. It does not know why a store is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from miniobserve.pending import PENDING_SCHEMA
from miniobserve.schema import (
    COLUMNS,
    FEEDBACK_COLUMNS,
    HISTORY,
    MINUTE_COLUMNS,
    SAID,
    UNIT_COLUMNS,
    has_table,
    refuse_old,
)
from miniobserve.sql.protocol import Column, Database, StorageError, Transaction
from miniobserve.tables import complete

_PAGE = 2_000
_TEXT = {
    "request_id", "arm", "entry_sha", "u", "outcome", "shadow_of", "name", "value", "server", "currency",
    "price_version",
}  # fmt: skip
_DOUBLE = {"seconds", "cost", "rate"}
_SPANS: tuple[Column, ...] = (
    ("trace_id", "TEXT"), ("span_id", "TEXT"), ("at_ns", "BIGINT"), ("span", "TEXT"), ("length", "BIGINT"),
)  # fmt: skip
_UPTIME = ("server", "part", "began_ns", "seen_ns", "rate", "currency", "price_version", "simulated")

Step = Callable[[str, int, int], None]
"""Called with what is being copied, how many are done, and how many there are."""


def _typed(names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(
        (name, "TEXT" if name in _TEXT else "DOUBLE PRECISION" if name in _DOUBLE else "BIGINT") for name in names
    )


_TABLES: tuple[tuple[str, tuple[Column, ...], tuple[str, ...]], ...] = (
    ("requests", COLUMNS, ("request_id", "day")),
    ("feedback", (*_typed(FEEDBACK_COLUMNS), *SAID), ("request_id",)),
    ("feedback_history", HISTORY, ("id",)),
    ("sums", _typed(MINUTE_COLUMNS), ("minute", "arm", "entry_sha")),
    ("pruned_sums", _typed(MINUTE_COLUMNS), ("minute", "arm", "entry_sha")),
    ("unit_sums", _typed(UNIT_COLUMNS), ("epoch", "minute", "kind", "arm", "u")),
    ("pruned", _typed(("day", "first_epoch", "last_epoch")), ("day",)),
    ("taken", _typed(("request_id", "day")), ("request_id",)),
    ("uptime", _typed(_UPTIME), ("server", "part")),
)
"""Each table with its columns and key. ``store`` is about one database, and ``touched`` is copied by its minutes."""


def transfer(source: Database, target: Database, step: Step = lambda *_: None) -> int:
    """Copy all rows of a trace store; returns the number of requests. The target's tables are made.

    Raises:
        StorageError: kind ``conflict`` if the target holds rows already; ``unavailable`` for a store of an earlier
            version.
    """
    refuse_old(source)
    complete(target)
    refuse_rows(target.read)
    if spans := has_table(source, "collected"):
        target.script(PENDING_SCHEMA)
    with source.snapshot("requests") as old:
        (total,) = old.execute("SELECT COUNT(*) FROM requests")[0]
        for (day,) in old.execute("SELECT DISTINCT day FROM requests"):
            target.partition("requests", day)
        with target.transaction() as new:
            new.lock("transfer")
            refuse_rows(new.execute)
            done = 0
            for table, columns, key in _TABLES:
                for rows in pages(old, table, columns, key):
                    new.insert(table, columns, [row[: len(columns)] for row in rows])
                    done += len(rows) if table == "requests" else 0
                    step(table, done, int(total))
            if spans:
                for rows in pages(old, "collected", _SPANS, ("trace_id", "span_id")):
                    new.insert("collected", _SPANS, rows)
            minutes = old.execute("SELECT DISTINCT minute FROM touched ORDER BY minute")
            if minutes:
                new.insert("touched", (("minute", "BIGINT"),), minutes)
    return int(total)


def pages(source: Transaction, table: str, columns: Sequence[Column], key: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the rows of a table in the order of its key, some thousand at a time."""
    names = [name for name, _ in columns]
    names += [each for each in key if each not in names]  # behind the columns, for the next page alone
    at, order = [names.index(each) for each in key], ", ".join(key)
    after, params = "", ()  # type: tuple[str, tuple[Any, ...]]
    what = f"SELECT {', '.join(names)} FROM {table}"  # noqa: S608 -- names of our own
    while rows := source.execute(f"{what} {after} ORDER BY {order} LIMIT {_PAGE}", params):
        yield rows
        after = f"WHERE ({order}) > ({', '.join('?' for _ in key)})"
        params = tuple(rows[-1][index] for index in at)


def refuse_rows(read: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Refuse a trace store that holds anything, so that no two histories are mixed.

    Raises:
        StorageError: kind ``conflict`` if it does.
    """
    for table, _, _ in _TABLES:
        if read(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608 -- names of our own
            raise StorageError("conflict", f"the trace store has rows in {table} already", "name an empty schema")
