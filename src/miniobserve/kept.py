"""What the trace store holds of what a transaction wrote or is about to write.

A database can take a row and drop it, as a foreign trigger makes it do. So what is acknowledged was read back before
the commit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from miniobserve.ids import id_day
from miniobserve.rows import Row
from miniobserve.schema import NAMES
from miniobserve.sql.protocol import Params, StorageError, Transaction

_LOCKS = 2048
"""Locks that request ids share; the server's table of locks has room for some thousands."""


def kept(tx: Transaction, rows: Sequence[Row]) -> set[Row]:
    """Return those rows of ``requests`` that the store holds exactly as given."""
    if not rows:
        return set()
    there = {tuple(row) for row in tx.execute(*readback(tx, rows))}
    return {row for row in rows if row in there}


def readback(tx: Transaction, rows: Sequence[Row]) -> tuple[str, Params]:
    """Return the query for the rows that have these keys, and its parameters."""
    ids, params = tx.among("request_id", [row[0] for row in rows])
    days, more = tx.among("day", sorted({row[1] for row in rows}), "BIGINT")
    return f"SELECT {', '.join(NAMES)} FROM requests WHERE {ids} AND {days}", (*params, *more)  # noqa: S608


def claim(tx: Transaction, wanted: Sequence[tuple[str, int]]) -> set[str]:
    """Return those of the request ids that are in use, and keep the others free for this transaction.

    ``wanted`` are ids, each with the day of its request. An id that carries this day can only be that of a request of
    the same day, where the table's key keeps it unique, or be in ``taken``. Any other id is looked for in every day; so
    that no second writer stores it in another day meanwhile, it is locked until the commit.
    """
    if not wanted:
        return set()
    at_home = {request_id: day for request_id, day in wanted if id_day(request_id) == day}
    stray = [request_id for request_id, _ in wanted if request_id not in at_home]
    # One that carries another day must not be stored there meanwhile by a writer that takes it to be at home.
    elsewhere = {day for day in map(id_day, stray) if day is not None}
    for day in sorted(elsewhere.union(at_home.values())):
        tx.lock("day", [day], shared=day not in elsewhere)
    used: set[str] = set()
    if stray:
        tx.lock("id", [zlib.crc32(request_id.encode()) % _LOCKS for request_id in stray])
        used |= _ids(tx, "requests", *tx.among("request_id", stray))
    if at_home:
        condition, params = tx.among("request_id", list(at_home))
        days, more = tx.among("day", sorted(set(at_home.values())), "BIGINT")
        used |= _ids(tx, "requests", f"{condition} AND {days}", (*params, *more))
    every = [request_id for request_id, _ in wanted]
    return used | _ids(tx, "taken", *tx.among("request_id", every)) | _pruned(tx, every)


def to_be_taken(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Return the rows of ``taken`` for new requests: those whose id says that they are of another day."""
    return [(row[0], row[1]) for row in rows if id_day(row[0]) not in (None, row[1])]


def _ids(tx: Transaction, table: str, condition: str, params: Sequence[object]) -> set[str]:
    return {row[0] for row in tx.execute(f"SELECT request_id FROM {table} WHERE {condition}", params)}  # noqa: S608


def _pruned(tx: Transaction, ids: Iterable[str]) -> set[str]:
    """Return the ids that carry a day of which requests were pruned; such an id was made then, so it is in use."""
    carried = {request_id: day for request_id in ids if (day := id_day(request_id)) is not None}
    if not carried:
        return set()
    pruned = {row[0] for row in tx.execute("SELECT day FROM pruned")}
    return {request_id for request_id, day in carried.items() if day in pruned}


def not_kept(what: str) -> StorageError:
    """The error for a write that was taken and is not there: no reply may depend on it."""
    return StorageError(
        "damaged",
        f"the trace store took {what} and does not hold it",
        "something in its database drops rows, such as a foreign trigger: `spine verify` looks for it",
    )
