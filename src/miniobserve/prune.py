"""Takes requests out of the live store once the file of their day holds them: their sums by minute stay.

What else stays: feedback, the ids that no longer show by themselves that they are in use, and which epochs a pruned day
had. Everything happens in one transaction, so that at no moment a request is counted twice or not at all. This module
does not know whether a file holds the requests: its callers have read them back.
"""

from __future__ import annotations

from collections.abc import Sequence

from miniobserve.ids import id_day
from miniobserve.rollup import touch
from miniobserve.schema import (
    ADD_PRUNED_SUMS,
    DAY_NS,
    INSERT_TAKEN,
    MINUTE,
    MINUTE_NS,
    MINUTE_SUMS,
    UPSERT_PRUNED,
)
from miniobserve.sql.protocol import Database, Transaction

_DAY_MINUTES = DAY_NS // MINUTE_NS
_DAY_MS = DAY_NS // 10**6


def delete(tx: Transaction, day: int, ids: Sequence[str]) -> None:
    """Take some requests of a day (UTC days since 1970) out of the store."""
    condition, values = tx.among("request_id", ids)
    where, params = f"day = ? AND {condition}", (day, *values)
    tx.lock("sums")
    _keep_sums(tx, day, where, params)
    taken = [(request_id, day) for request_id in ids if id_day(request_id) != day]
    if taken:
        tx.executemany(INSERT_TAKEN, taken)
    minutes = [row[0] for row in tx.execute(f"SELECT DISTINCT {MINUTE} FROM requests WHERE {where}", params)]  # noqa: S608
    tx.execute(f"DELETE FROM requests WHERE {where}", params)  # noqa: S608 -- marks
    # The sums of what is left have to be made again, and those that another process is making now are out of date.
    for minute in minutes:
        tx.execute("DELETE FROM touched WHERE minute = ?", (minute,))
    if minutes:
        touch(tx, minutes)


def delete_day(database: Database, day: int, rows: int) -> bool:
    """Take a whole day out of the store, on PostgreSQL by dropping its partition.

    Args:
        database: the store.
        day: UTC days since 1970.
        rows: how many requests of the day its file holds.

    Returns:
        False, and nothing has changed, if the store has another number: requests never change, so then some are new.

    """
    with database.transaction() as tx:
        tx.lock("sums")
        tx.only_writer("requests", day)
        if tx.execute("SELECT COUNT(*) FROM requests WHERE day = ?", (day,))[0][0] != rows:
            return False
        if rows:
            find = "~ '[^0-9a-f]'" if database.partitioned else "GLOB '*[^0-9a-f]*'"
            _keep_day(tx, day, f"request_id {find}")
        tx.drop_partition("requests", "day", day)
    return True


def _keep_day(tx: Transaction, day: int, other: str) -> None:
    """Keep what outlives a whole day; ``other`` is the condition that an id has more than hexadecimal digits."""
    _keep_sums(tx, day, "day = ?", (day,))
    first, end = f"{max(day, 0) * _DAY_MS:012x}", f"{max(day + 1, 0) * _DAY_MS:012x}"
    tx.execute(
        "INSERT INTO taken (request_id, day) SELECT request_id, day FROM requests WHERE day = ?"  # noqa: S608
        f" AND (length(request_id) <> 32 OR substr(request_id, 1, 12) < '{first}'"
        f" OR substr(request_id, 1, 12) >= '{end}' OR {other}) ON CONFLICT (request_id) DO NOTHING",
        (day,),
    )
    minutes = day * _DAY_MINUTES, (day + 1) * _DAY_MINUTES
    for table in ("sums", "unit_sums", "touched"):
        tx.execute(f"DELETE FROM {table} WHERE minute >= ? AND minute < ?", minutes)  # noqa: S608


def _keep_sums(tx: Transaction, day: int, where: str, params: Sequence[object]) -> None:
    """Add the requests to what is kept of pruned days."""
    sums = tx.execute(MINUTE_SUMS.format(within=where), params)
    if sums:
        tx.executemany(ADD_PRUNED_SUMS, sums)
    first, last = tx.execute(f"SELECT MIN(epoch), MAX(epoch) FROM requests WHERE {where}", params)[0]  # noqa: S608
    if first is not None:
        tx.execute(UPSERT_PRUNED, (day, first, last))
