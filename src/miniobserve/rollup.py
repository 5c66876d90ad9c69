"""Makes the sums by minute from ``requests``, apart from the commits, and answers what a commit cannot wait for.

The sums of a minute are replaced whole, never added to, and the rows of ``touched`` that led to them are deleted in the
same transaction. So the sums are exact whenever this was cut short, and a minute that was touched again is made again.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from miniobserve.schema import MINUTE_COLUMNS, MINUTE_NS, MINUTE_SUMS, UNIT_COLUMNS, UNIT_MINUTES, within
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database, StorageError, Transaction

EVERY_SECONDS = 1.0
"""How often the second thread looks for minutes that are over."""
_STILL_SECONDS = 2.0
"""A minute that ended less than this ago may still get requests."""
_MINUTES = 240
"""Minutes that are made in one transaction."""
_TOUCHES = 50_000
"""Rows of ``touched`` that one round reads."""
_ROWS_AT_ONCE = 2_000
"""How many sums of units one transaction of SQLite writes."""
_PAUSE_SECONDS = 0.002
"""The pause between two such transactions, in which waiting traces are committed."""

_log = logging.getLogger("miniobserve")


def touch(tx: Transaction, minutes: Sequence[int]) -> None:
    """Note the minutes that this transaction adds requests to."""
    if tx.partitioned:
        tx.insert("touched", (("minute", "BIGINT"),), [(minute,) for minute in minutes])
    else:
        _new_touches(tx, minutes)


def _new_touches(tx: Transaction, minutes: Iterable[int]) -> dict[int, list[int]]:
    """Insert a touch for each minute on SQLite, and return their ids by minute."""
    # SQLite itself would reuse the id of a deleted touch, and another process would take the new touch for the old one.
    touches = {minute: [secrets.randbits(62)] for minute in minutes}
    columns = (("id", "BIGINT"), ("minute", "BIGINT"))
    tx.insert("touched", columns, [(ids[0], minute) for minute, ids in touches.items()])
    return touches


def spans(minutes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield spans of time, in nanoseconds, that cover exactly these minutes; adjacent minutes share one."""
    first = last = None
    for minute in sorted(minutes):
        if last is not None and minute == last + 1:
            last = minute
            continue
        if first is not None and last is not None:
            yield first * MINUTE_NS, (last + 1) * MINUTE_NS
        first = last = minute
    if first is not None and last is not None:
        yield first * MINUTE_NS, (last + 1) * MINUTE_NS


def raw(tx: Transaction, query: str, minutes: Sequence[int], params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one of the schema's queries of sums over the requests of some minutes."""
    found: list[tuple[Any, ...]] = []
    for span in spans(minutes):
        condition, values = within(*span)
        found += tx.execute(query.format(within=condition), (*params, *values))
    return found


def roll_up(reads: Database, writes: Database, before_minute: int | None = None) -> int:
    """Make the sums of touched minutes, and return how many minutes were made.

    Args:
        reads: where the requests are read, without keeping a writer waiting.
        writes: where the sums are written; may be the same.
        before_minute: only minutes before this one; None for every minute.
    """
    made = 0
    while minutes := _round(reads, writes, before_minute):
        made += minutes
    return made


def _round(reads: Database, writes: Database, before_minute: int | None) -> int:
    bound = "" if before_minute is None else " WHERE minute < ?"
    params = () if before_minute is None else (before_minute,)
    with reads.snapshot("requests") as tx:
        rows = tx.execute(f"SELECT id, minute FROM touched{bound} ORDER BY minute LIMIT {_TOUCHES}", params)  # noqa: S608
        minutes = sorted({row[1] for row in rows})[:_MINUTES]
        if not minutes:
            return 0
        sums, units = raw(tx, MINUTE_SUMS, minutes), raw(tx, UNIT_MINUTES, minutes)
    touches: dict[int, list[int]] = {}
    for one, minute in rows:
        if minute <= minutes[-1]:
            touches.setdefault(minute, []).append(one)
    return _replace(writes, touches, sums, units)


def _replace(
    writes: Database, touches: dict[int, list[int]], sums: Sequence[tuple[Any, ...]], units: Sequence[tuple[Any, ...]]
) -> int:
    """Replace the sums of some minutes and delete the touches that were read before. Returns the number of minutes.

    SQLite cannot commit a trace during one of these transactions, so many sums of units are written in several of
    them. The first transaction replaces the touches that were read by new ones. While a minute has a touch, readers sum
    up its requests and ignore its sums, so they never see a part of them. If a new touch is missing later, another
    process has replaced the sums of that minute or pruned it, and this one stops writing them.
    """
    size = len(units) if writes.partitioned else _ROWS_AT_ONCE
    parts = [units[first : first + size] for first in range(0, len(units), size)] if units else [units]
    ours: set[int] = set()
    for number, part in enumerate(parts, 1):
        with writes.transaction() as tx:
            tx.lock("sums")
            ours = _still_touched(tx, touches)
            if number == 1:
                for minute in sorted(ours):
                    tx.execute("DELETE FROM sums WHERE minute = ?", (minute,))
                    tx.execute("DELETE FROM unit_sums WHERE minute = ?", (minute,))
            _insert(tx, "unit_sums", UNIT_COLUMNS, [row for row in part if row[1] in ours])
            done = [one for minute in ours for one in touches[minute]]
            if number == len(parts):
                _insert(tx, "sums", MINUTE_COLUMNS, [row for row in sums if row[0] in ours])
                _delete_touches(tx, done)
            elif number == 1:
                _delete_touches(tx, done)
                touches = _new_touches(tx, ours)
        if number < len(parts):
            time.sleep(_PAUSE_SECONDS)
    return len(ours)


def _still_touched(tx: Transaction, touches: dict[int, list[int]]) -> set[int]:
    """The minutes of which every touch still exists; another process has replaced or pruned the others meanwhile."""
    ids = [one for each in touches.values() for one in each]
    there: set[int] = set()
    for start in range(0, len(ids), 500):
        condition, params = tx.among("id", ids[start : start + 500], "BIGINT")
        there |= {row[0] for row in tx.execute(f"SELECT id FROM touched WHERE {condition}", params)}  # noqa: S608
    return {minute for minute, each in touches.items() if there.issuperset(each)}


def _delete_touches(tx: Transaction, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), 500):
        condition, params = tx.among("id", ids[start : start + 500], "BIGINT")
        tx.execute(f"DELETE FROM touched WHERE {condition}", params)  # noqa: S608 -- marks


def _insert(tx: Transaction, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    types = {"arm": "TEXT", "entry_sha": "TEXT", "u": "TEXT", "seconds": "DOUBLE PRECISION", "cost": "DOUBLE PRECISION"}
    if rows:
        tx.insert(table, [(name, types.get(name, "BIGINT")) for name in columns], rows)


class SecondThread:
    """The trace writer's second thread: sums of minutes that are over, and calls that no commit should wait for."""

    def __init__(self, url: str, writes: Database) -> None:
        """Start it; ``writes`` is the writer's own database, which SQLite's sums are written with."""
        self._url = url
        self._writes = writes
        self._calls: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="trace-sums", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function soon, in this thread; it must not raise."""
        with self._changed:
            self._calls.append(function)
            self._changed.notify()

    def close(self) -> None:
        """Run what was asked for, make the sums of every minute, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        reads: Database | None = None
        while True:
            with self._changed:
                if not self._calls and not self._closed:
                    self._changed.wait(EVERY_SECONDS)
                calls, self._calls = self._calls, []
                closed = self._closed
            for function in calls:
                function()
            try:
                if reads is None:
                    reads = connect(self._url, readonly=not self._writes.partitioned)
                over = int((time.time() - _STILL_SECONDS) * 10**9) // MINUTE_NS
                # Between the processes of PostgreSQL no writer waits for another, so a connection of its own is best.
                roll_up(reads, reads if self._writes.partitioned else self._writes, None if closed else over)
                self._failed = False
            except Exception as error:  # noqa: BLE001 -- the sums are made again later; readers count without them
                self._say(error)
                if reads is not None:
                    with contextlib.suppress(StorageError):
                        reads.close()
                reads = None
            if closed and not self._calls:
                break
        if reads is not None:
            reads.close()

    def _say(self, error: Exception) -> None:
        if not self._failed:
            reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            _log.warning("the sums of traces could not be made", extra={"fields": {"reason": reason}})
        self._failed = True
