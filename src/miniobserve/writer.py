"""The one writer of the trace store: many submit, one thread commits them in groups.

A future resolves only after the transaction that holds its trace has been committed, so whoever waits
for it may promise the trace to others. A write that fails fails the futures of its group and the
writer goes on. It does not know what a request is for, nor whether anybody was answered.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Literal, NamedTuple

from miniobserve.backfill import backfill
from miniobserve.schema import (
    INSERT_ANSWER,
    INSERT_BODY,
    INSERT_TRACE,
    SCHEMA,
    UPSERT_FEEDBACK,
    UPSERT_MINUTE,
    UPSERT_STORE,
    UPSERT_UNIT,
    BodyRow,
    TraceRow,
    answer_row,
    body_row,
    minute_rows,
    trace_row,
    unit_rows,
)
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError, Transaction
from miniobserve.traces import Trace

Outcome = Literal["accepted", "dismissed", "revised"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "dismissed", "revised")


_AGAIN = 2
"""How often a group is written again after its connection broke or another server was faster."""


class Duplicate(Exception):
    """A trace with this request id is already kept; it was left as it is."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"a trace with request id {request_id} is already kept")
        self.request_id = request_id


class _Write(NamedTuple):
    """A trace on its way to the store."""

    trace: Trace
    row: TraceRow
    body: BodyRow
    future: Future[None]


class _Feedback(NamedTuple):
    """What a learner said of a request, on its way to the store."""

    request_id: str
    outcome: str
    future: Future[bool]


class _Probe(NamedTuple):
    """A write that only asks whether the store takes writes."""

    future: Future[None]


_Job = _Write | _Feedback | _Probe
_Result = None | bool | Exception


class TraceWriter:
    """Group commit: one thread takes what waits, writes it in one transaction, then answers for it."""

    def __init__(self, url: str, *, queue: int = 8192, batch: int = 512) -> None:
        """Open or create the store at ``url``.

        Args:
            url: a database URL of ``miniobserve.sql.open``.
            queue: how many submissions may wait; the next one fails at once.
            batch: the most submissions one transaction holds.

        Raises:
            StorageError: the store cannot be opened or written.

        """
        self._database = connect(url, create=True)
        try:
            self._database.script(SCHEMA)
            backfill(self._database)
        except StorageError:
            self._database.close()
            raise
        self._limit = queue
        self._batch = batch
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._thread.start()

    def submit(self, trace: Trace) -> Future[None]:
        """Queue one trace; the future resolves once it is durable.

        The future fails with ``Duplicate`` where the request id is taken and with ``StorageError``
        where the store could not be written or too much waits already.
        """
        future: Future[None] = Future()
        try:
            row, body = trace_row(trace), body_row(trace)
        except (UnicodeError, TypeError, ValueError) as error:
            future.set_exception(error)
            return future
        self._enqueue(_Write(trace, row, body, future))
        return future

    def feedback(self, request_id: str, outcome: Outcome) -> Future[bool]:
        """Queue what a learner said; the future holds False where no trace has that id. The last word counts."""
        if outcome not in OUTCOMES:
            raise ValueError(f"an outcome is one of {', '.join(OUTCOMES)}, not {outcome!r}")
        future: Future[bool] = Future()
        self._enqueue(_Feedback(request_id, outcome, future))
        return future

    def probe(self) -> Future[None]:
        """Queue a write of no trace; the future tells whether the store takes writes now."""
        future: Future[None] = Future()
        self._enqueue(_Probe(future))
        return future

    def close(self) -> None:
        """Write what waits, stop the thread and give the connection back."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._database.close()

    def _enqueue(self, job: _Job) -> None:
        with self._changed:
            if not self._closed and len(self._waiting) < self._limit:
                self._waiting.append(job)
                self._changed.notify()
                return
            reason = "is closed" if self._closed else f"has {self._limit} writes waiting"
        job.future.set_exception(
            StorageError("unavailable", f"the trace store {reason}", "try again when it has caught up")
        )

    def _run(self) -> None:
        while group := self._take():
            self._write(group)

    def _take(self) -> list[_Job]:
        """Wait for work and take a group of it; empty once closed and drained."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                count = min(len(self._waiting), self._batch)
                taken = [self._waiting.popleft() for _ in range(count)]
                # Whoever gave up waiting is not promised anything: nothing is written for them.
                if group := [job for job in taken if job.future.set_running_or_notify_cancel()]:
                    return group

    def _write(self, group: Sequence[_Job], *, again: int = _AGAIN, doubtful: bool = False) -> None:
        """Commit a group and resolve its futures; never raises. ``doubtful``: it may have been committed before."""
        try:
            with self._database.transaction() as tx:
                ours = _bodies(tx, group) if doubtful else set()
                results = _apply(tx, group, ours)
        except StorageError as error:
            if error.kind == "conflict" and len(group) > 1:
                self._write_singly(group)
                return
            if error.kind in ("conflict", "lost") and again:  # another server was faster, or the connection broke
                self._write(group, again=again - 1, doubtful=doubtful or error.kind == "lost")
                return
            results = [error] * len(group)
        except Exception as error:  # noqa: BLE001 -- a value the driver cannot bind must not end the thread
            if len(group) > 1:
                self._write_singly(group)
                return
            results = [error]
        for job, result in zip(group, results, strict=True):
            _resolve(job, result)

    def _write_singly(self, group: Iterable[_Job]) -> None:
        """One transaction each, so that only what is at fault fails."""
        for job in group:
            self._write([job])


def _apply(tx: Transaction, group: Sequence[_Job], ours: set[BodyRow]) -> list[_Result]:
    """Write a group inside a transaction; a result for each job, to be told after the commit.

    ``ours`` are the traces an earlier attempt of this very group did keep, which nobody was told.
    """
    taken = _already_kept(tx, [job.trace.request_id for job in group if isinstance(job, _Write)])
    results: list[_Result] = [None] * len(group)
    fresh: list[_Write] = []
    for index, job in enumerate(group):
        if isinstance(job, _Write):
            if job.body in ours:
                ours.discard(job.body)
            elif job.trace.request_id in taken:
                results[index] = Duplicate(job.trace.request_id)
            else:
                taken.add(job.trace.request_id)
                fresh.append(job)
    if fresh:
        tx.executemany(INSERT_TRACE, [job.row for job in fresh])
        tx.executemany(INSERT_BODY, [job.body for job in fresh])
        answers = [answer_row(job.trace) for job in fresh]
        tx.executemany(INSERT_ANSWER, answers)
        tx.executemany(UPSERT_UNIT, unit_rows(answers))
        tx.executemany(UPSERT_MINUTE, minute_rows(job.trace for job in fresh if not job.trace.shadow_of))
    for index, job in enumerate(group):
        if isinstance(job, _Feedback):
            known = bool(_already_kept(tx, (job.request_id,)))
            if known:
                tx.execute(UPSERT_FEEDBACK, (job.request_id, job.outcome, time.time_ns()))
            results[index] = known
        elif isinstance(job, _Probe):
            tx.execute(UPSERT_STORE, ("probed_ns", str(time.time_ns())))
    return results


def _already_kept(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Which of these request ids the store holds, or held until their day was exported."""
    if not ids:
        return set()
    one = f"SELECT request_id FROM {{}} WHERE request_id IN ({', '.join('?' for _ in ids)})"  # noqa: S608 -- marks only
    rows = tx.execute(f"{one.format('traces')} UNION ALL {one.format('exported')}", (*ids, *ids))
    return {row[0] for row in rows}


def _bodies(tx: Transaction, group: Sequence[_Job]) -> set[BodyRow]:
    """The traces of a group that the store holds, byte for byte."""
    wanted = {job.body for job in group if isinstance(job, _Write)}
    if not wanted:
        return set()
    marks = ", ".join("?" for _ in wanted)
    ids = [request_id for request_id, _ in wanted]
    rows = tx.execute(f"SELECT request_id, body FROM bodies WHERE request_id IN ({marks})", ids)  # noqa: S608
    return wanted & {(row[0], row[1]) for row in rows}


def _resolve(job: _Job, result: _Result) -> None:
    """Tell whoever waits what became of their write."""
    if isinstance(result, Exception):
        job.future.set_exception(result)
    elif isinstance(job, _Feedback):
        job.future.set_result(bool(result))
    else:
        job.future.set_result(None)
