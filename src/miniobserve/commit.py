"""Writes a group of jobs inside one transaction: traces, feedback and probes.

This module does not know who submitted them, and does not commit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from miniobserve.ids import id_day
from miniobserve.kept import claim, kept, not_kept, readback, to_be_taken
from miniobserve.labels import Closed, store
from miniobserve.rollup import touch
from miniobserve.rows import Row, trace_of
from miniobserve.saying import Keeper, Saying, Stored
from miniobserve.schema import COLUMNS, INSERT_TAKEN, MINUTE_NS, NAMES, UPSERT_STORE
from miniobserve.sql.protocol import Params, StorageError, Transaction
from miniobserve.traces import Trace

_STARTED = NAMES.index("started_ns")
_IF_FREE = (
    "WHERE NOT EXISTS (SELECT 1 FROM taken WHERE taken.request_id = given.request_id)"
    " AND NOT EXISTS (SELECT 1 FROM pruned WHERE pruned.day = given.day) ON CONFLICT DO NOTHING RETURNING request_id"
)


class Duplicate(Exception):
    """A trace with this request id already exists; it was not changed.

    ``is_retry`` says that it is of the same learner and text, as far as traces keep them: the caller tried again.
    """

    def __init__(self, request_id: str, *, is_retry: bool = False) -> None:
        super().__init__(f"a trace with request id {request_id} already exists")
        self.request_id = request_id
        self.is_retry = is_retry


class Write(NamedTuple):
    """A trace to store."""

    trace: Trace
    row: Row
    future: Future[None]


class Feedback(NamedTuple):
    """What is said of some answers, to store."""

    sayings: tuple[Saying, ...]
    future: Future[list[Stored]]
    closed: tuple[Trace, ...] | None = None
    """Their requests that were found in closed days; None if nobody has looked there yet."""


class Probe(NamedTuple):
    """A write that only tests whether the store accepts writes."""

    future: Future[None]


class Elsewhere:
    """The result of feedback on requests that are not in the live store: a closed day may have them."""


Job = Write | Feedback | Probe
Result = None | list[Stored] | Exception | Elsewhere


class NotFresh(Exception):
    """Something about a group needs a closer look, which ``apply`` takes."""


def is_fresh(group: Sequence[Job]) -> bool:
    """Whether a group is traces only, whose distinct ids carry the day of their request."""
    rows = rows_of(group)
    return len(rows) == len(group) == len({row[0] for row in rows}) and all(id_day(row[0]) == row[1] for row in rows)


def apply_fresh(tx: Transaction, group: Sequence[Job], more: Sequence[tuple[str, Params]]) -> None:
    """Write a group for which ``is_fresh``, and run ``more`` statements, all in one round trip.

    Raises:
        NotFresh: an id is in use, or the store does not hold what it was given; nothing may be committed.
    """
    rows = rows_of(group)
    noting, minutes = tx.insertion("touched", (("minute", "BIGINT"),), [(minute,) for minute in minutes_of(rows)])
    inserting, values = tx.insertion("requests", COLUMNS, rows)
    _, inserted, held, *_ = tx.batch(
        [
            tx.locking("day", [row[1] for row in rows], shared=True),
            (f"WITH noted AS ({noting}) {inserting} {_IF_FREE}", (*minutes, *values)),
            readback(tx, rows),
            *more,
        ]
    )
    if len(inserted) < len(rows) or not {tuple(row) for row in held}.issuperset(rows):
        raise NotFresh


def minutes_of(rows: Sequence[Row]) -> list[int]:
    """Return the minutes in which requests started."""
    return sorted({row[_STARTED] // MINUTE_NS for row in rows})


def apply(tx: Transaction, group: Sequence[Job], ours: set[Row], keeper: Keeper) -> list[Result]:
    """Write a group inside a transaction and return a result per job, valid once the transaction is committed.

    ``ours`` are the traces that an earlier attempt of this group has already committed: they are no duplicates.
    ``keeper`` grades answers by what is said of them.
    """
    rows = rows_of(group)
    used = claim(tx, [(row[0], row[1]) for row in rows])
    results: list[Result] = [None] * len(group)
    fresh: list[Write] = []
    for index, job in enumerate(group):
        if isinstance(job, Write):
            if job.row in ours:
                ours.discard(job.row)
            elif job.trace.request_id in used:
                results[index] = Duplicate(job.trace.request_id, is_retry=_is_retry(tx, job.trace, fresh))
            else:
                used.add(job.trace.request_id)
                fresh.append(job)
    if fresh:
        rows = [job.row for job in fresh]
        tx.insert("requests", COLUMNS, rows)
        if len(kept(tx, rows)) < len(rows):
            raise not_kept("a trace")
        if strays := to_be_taken(rows):
            tx.executemany(INSERT_TAKEN, strays)
        touch(tx, minutes_of(rows))
    for index, job in enumerate(group):
        if isinstance(job, Feedback):
            said = store(tx, job.sayings, keeper, "http", time.time_ns(), job.closed, whole=True)
            results[index] = Elsewhere() if any(isinstance(one, Closed) for one in said) else _stored(said)
        elif isinstance(job, Probe):
            tx.execute(UPSERT_STORE, ("probed_ns", str(time.time_ns())))
    return results


def _stored(said: Sequence[Stored | Closed]) -> list[Stored]:
    return [one for one in said if isinstance(one, Stored)]


def _is_retry(tx: Transaction, trace: Trace, fresh: Sequence[Write]) -> bool:
    """Whether the trace that has this id already, in the store or in the same group, is of the same question."""
    earlier = next((job.trace for job in fresh if job.trace.request_id == trace.request_id), None)
    if earlier is None:
        rows = tx.execute(f"SELECT {', '.join(NAMES)} FROM requests WHERE request_id = ?", (trace.request_id,))  # noqa: S608
        if not rows:  # exported and pruned: nobody tries again after so long
            return False
        try:
            earlier = trace_of(rows[0])
        except StorageError:
            return False
    same = ("unit_hash", "input", "input_sha256", "source", "shadow_of")
    return all(getattr(earlier, name) == getattr(trace, name) for name in same)


def rows_of(group: Sequence[Job]) -> list[Row]:
    """Return the row of each trace in a group."""
    return [job.row for job in group if isinstance(job, Write)]
