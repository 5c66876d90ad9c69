"""Writes the trace store with group commit: many threads submit, one thread commits what has queued up.

A future resolves only after the transaction with its trace has been committed, so its caller may rely on the trace.
A failed transaction fails the futures of its group, and the writer continues. This module does not know what a
trace is used for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Literal, NamedTuple

import msgspec

from miniobserve.backfill import backfill
from miniobserve.kept import ids_in_use, kept, not_kept, outcome
from miniobserve.rollup import roll_up
from miniobserve.schema import (
    INSERT_BODY,
    INSERT_TRACE,
    SCHEMA,
    UPSERT_FEEDBACK,
    UPSERT_STORE,
    BodyRow,
    TraceRow,
    body_row,
    trace_row,
)
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError, Transaction
from miniobserve.traces import Trace
from miniobserve.uptime import BEAT_SECONDS, UPTIME_SCHEMA, Uptime

Outcome = Literal["accepted", "dismissed", "revised"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "dismissed", "revised")

_RETRIES = 2
"""How often a group is retried after its connection broke or another server wrote the same id first."""


class Duplicate(Exception):
    """A trace with this request id already exists; it was not changed.

    ``is_retry`` says that it is of the same learner and text, as far as traces keep them: the caller tried again.
    """

    def __init__(self, request_id: str, *, is_retry: bool = False) -> None:
        super().__init__(f"a trace with request id {request_id} already exists")
        self.request_id = request_id
        self.is_retry = is_retry


class _Write(NamedTuple):
    """A trace to store."""

    trace: Trace
    row: TraceRow
    body: BodyRow
    future: Future[None]


class _Feedback(NamedTuple):
    """A learner's feedback to store."""

    request_id: str
    outcome: str
    future: Future[bool]


class _Probe(NamedTuple):
    """A write that only tests whether the store accepts writes."""

    future: Future[None]


_Job = _Write | _Feedback | _Probe
_Result = None | bool | Exception


class TraceWriter:
    """Group commit: one thread writes all queued jobs in one transaction, then resolves their futures."""

    def __init__(self, url: str, *, uptime: Uptime | None = None, queue: int = 8192, batch: int = 512) -> None:
        """Open or create the store at ``url``.

        Args:
            url: a database URL of ``miniobserve.sql.open``.
            uptime: the server's uptime, which every commit extends; None for a writer that is no server.
            queue: the most jobs that may wait; further ones fail immediately.
            batch: the most jobs per transaction.

        Raises:
            StorageError: the store cannot be opened or written.

        """
        self._database = connect(url, create=True)
        try:
            self._database.script((*SCHEMA, UPTIME_SCHEMA))
            backfill(self._database)
        except StorageError:
            self._database.close()
            raise
        self._uptime = uptime
        self._limit = queue
        self._batch = batch
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._thread.start()

    def submit(self, trace: Trace) -> Future[None]:
        """Queue one trace; the future resolves once it is durable.

        The future fails with ``Duplicate`` if the request id is in use, and with ``StorageError`` if the store could
        not be written or the queue is full.
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
        """Queue a learner's feedback, which replaces earlier feedback; the future is False if no trace has that id."""
        if outcome not in OUTCOMES:
            raise ValueError(f"an outcome is one of {', '.join(OUTCOMES)}, not {outcome!r}")
        future: Future[bool] = Future()
        self._enqueue(_Feedback(request_id, outcome, future))
        return future

    def probe(self) -> Future[None]:
        """Queue a write without a trace; the future fails if the store does not accept writes now."""
        future: Future[None] = Future()
        self._enqueue(_Probe(future))
        return future

    def close(self) -> None:
        """Write the queued jobs, stop the thread and close the connection."""
        with self._changed:
            if self._uptime is not None and not self._closed:
                self._waiting.append(_Probe(Future()))  # the last beat of the server's uptime
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
        job.future.set_exception(StorageError("unavailable", f"the trace store {reason}", "try again later"))

    def _run(self) -> None:
        while group := self._take():
            self._write(group)

    def _take(self) -> list[_Job]:
        """Wait for jobs and return a group of them; empty once closed and drained."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    beat = None if self._uptime is None else BEAT_SECONDS
                    if not self._changed.wait(beat) and not self._waiting:
                        self._waiting.append(_Probe(Future()))
                count = min(len(self._waiting), self._batch)
                taken = [self._waiting.popleft() for _ in range(count)]
                # A cancelled future means that its caller has given up: there is nothing to write for it.
                if group := [job for job in taken if job.future.set_running_or_notify_cancel()]:
                    return group

    def _write(self, group: Sequence[_Job], *, again: int = _RETRIES, doubtful: bool = False) -> None:
        """Commit a group and resolve its futures; never raises.

        ``doubtful`` means that an earlier attempt lost its connection and may have committed the group.
        """
        try:
            with self._database.transaction() as tx:
                ours = kept(tx, _pairs(group))[1] if doubtful else set()
                results = _apply(tx, group, ours)
                if self._uptime is not None:
                    self._uptime.record(tx, (job.trace for job in group if isinstance(job, _Write)))
        except StorageError as error:
            if error.kind in ("conflict", "damaged") and len(group) > 1:
                self._write_singly(group)
                return
            if error.kind in ("conflict", "lost") and again:  # another server wrote first, or the connection broke
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
        """Write each job in its own transaction, so that only the job at fault fails."""
        for job in group:
            self._write([job])


def _apply(tx: Transaction, group: Sequence[_Job], ours: set[BodyRow]) -> list[_Result]:
    """Write a group inside a transaction and return a result per job, valid once the transaction is committed.

    ``ours`` are the traces that an earlier attempt of this group has already committed: they are no duplicates.
    """
    taken = ids_in_use(tx, [job.trace.request_id for job in group if isinstance(job, _Write)])
    results: list[_Result] = [None] * len(group)
    fresh: list[_Write] = []
    for index, job in enumerate(group):
        if isinstance(job, _Write):
            if job.body in ours:
                ours.discard(job.body)
            elif job.trace.request_id in taken:
                results[index] = Duplicate(job.trace.request_id, is_retry=_is_retry(tx, job.trace, fresh))
            else:
                taken.add(job.trace.request_id)
                fresh.append(job)
    if fresh:
        tx.executemany(INSERT_TRACE, [job.row for job in fresh])
        tx.executemany(INSERT_BODY, [job.body for job in fresh])
        if kept(tx, _pairs(fresh)) != ({job.row for job in fresh}, {job.body for job in fresh}):
            raise not_kept("a trace")
        roll_up(tx, [job.trace for job in fresh])
    for index, job in enumerate(group):
        if isinstance(job, _Feedback):
            known = bool(ids_in_use(tx, (job.request_id,)))
            if known:
                tx.execute(UPSERT_FEEDBACK, (job.request_id, job.outcome, time.time_ns()))
                if outcome(tx, job.request_id) != job.outcome:
                    raise not_kept("a feedback")
            results[index] = known
        elif isinstance(job, _Probe):
            tx.execute(UPSERT_STORE, ("probed_ns", str(time.time_ns())))
    return results


def _is_retry(tx: Transaction, trace: Trace, fresh: Sequence[_Write]) -> bool:
    """Whether the trace that has this id already, in the store or in the same group, is of the same question."""
    earlier = next((job.trace for job in fresh if job.trace.request_id == trace.request_id), None)
    if earlier is None:
        rows = tx.execute("SELECT body FROM bodies WHERE request_id = ?", (trace.request_id,))
        if not rows:  # exported and pruned: nobody tries again after so long
            return False
        try:
            earlier = msgspec.json.decode(rows[0][0], type=Trace)
        except msgspec.MsgspecError:
            return False
    same = ("learner_hash", "sentence", "sentence_sha256", "source", "shadow_of")
    return all(getattr(earlier, name) == getattr(trace, name) for name in same)


def _resolve(job: _Job, result: _Result) -> None:
    """Resolve a job's future with its result."""
    if isinstance(result, Exception):
        job.future.set_exception(result)
    elif isinstance(job, _Feedback):
        job.future.set_result(bool(result))
    else:
        job.future.set_result(None)


def _pairs(group: Sequence[_Job]) -> list[tuple[TraceRow, BodyRow]]:
    """Return the two rows of each trace in a group."""
    return [(job.row, job.body) for job in group if isinstance(job, _Write)]
