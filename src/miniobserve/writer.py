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
from contextlib import suppress
from functools import partial
from pathlib import Path

from miniobserve.archive import Archive
from miniobserve.commit import (
    Duplicate,
    Elsewhere,
    Feedback,
    Job,
    NotFresh,
    Probe,
    Result,
    Write,
    apply,
    apply_fresh,
    is_fresh,
    rows_of,
)
from miniobserve.kept import kept
from miniobserve.label_lookup import in_closed_days
from miniobserve.rollup import SecondThread
from miniobserve.rows import request_row
from miniobserve.saying import OUTCOMES, KeepAll, Keeper, Outcome, Saying, Stored, wrong_with
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.tables import complete
from miniobserve.traces import Trace
from miniobserve.uptime import BEAT_SECONDS, Uptime

__all__ = ["OUTCOMES", "Duplicate", "Outcome", "TraceWriter"]

_RETRIES = 2
"""How often a group is retried after its connection broke or another server wrote the same id first."""
_FEW = 16
_PAUSE_SECONDS = 0.0002
"""The pause for further jobs before a commit, if fewer than ``_FEW`` jobs were submitted during the last commit."""


class TraceWriter:
    """Group commit: one thread writes all queued jobs in one transaction, then resolves their futures."""

    def __init__(
        self,
        url: str,
        *,
        archive: Path | str | None = None,
        cache: Path | None = None,
        uptime: Uptime | None = None,
        keeper: Keeper | None = None,
        queue: int = 8192,
        batch: int = 512,
    ) -> None:
        """Open or create the store at ``url``.

        Args:
            url: a database URL of ``miniobserve.sql.open``.
            archive: the folder or bucket of closed days, whose requests can be given feedback too; None without one.
            cache: the folder for copies of a bucket's files.
            uptime: the server's uptime, which every commit extends; None for a writer that is no server.
            keeper: grades answers by what is said of them; by default a label is compared with the answer exactly.
            queue: the most jobs that may wait; further ones fail immediately.
            batch: the most jobs per transaction.

        Raises:
            StorageError: the store cannot be opened or written, or is one of an earlier version.

        """
        self._database = connect(url, create=True)
        try:
            complete(self._database)
        except StorageError:
            self._database.close()
            raise
        self._archive = None if archive is None else Archive(archive, cache)
        self._days: set[int] = set()
        """The days whose partition is there."""
        self._uptime = uptime
        self._keeper = keeper if keeper is not None else KeepAll()
        self._limit = queue
        self._batch = batch
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._second = SecondThread(url, self._database)
        self._thread.start()

    def submit(self, trace: Trace) -> Future[None]:
        """Queue one trace; the future resolves once it is durable.

        The future fails with ``Duplicate`` if the request id is in use, and with ``StorageError`` if the store could
        not be written or the queue is full.
        """
        future: Future[None] = Future()
        try:
            row = request_row(trace)
        except (UnicodeError, TypeError, ValueError, OverflowError) as error:
            future.set_exception(error)
            return future
        self._enqueue(Write(trace, row, future))
        return future

    def feedback(self, request_id: str, outcome: Outcome) -> Future[bool]:
        """Queue a learner's outcome, which replaces an earlier one; the future is False if no request has that id."""
        if outcome not in OUTCOMES:
            raise ValueError(f"an outcome is one of {', '.join(OUTCOMES)}, not {outcome!r}")
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()

        def resolve(done: Future[list[Stored]]) -> None:
            if (error := done.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result()[0].status not in ("unknown", "several"))

        self.say([Saying(name=request_id, outcome=outcome)]).add_done_callback(resolve)
        return future

    def say(self, sayings: Sequence[Saying]) -> Future[list[Stored]]:
        """Queue what is said of some answers; the future has one result a saying, once all of them are durable.

        Raises:
            ValueError: one of them says nothing, or what cannot be stored.
        """
        for saying in sayings:
            if wrong := wrong_with(saying):
                raise ValueError(wrong)
        future: Future[list[Stored]] = Future()
        self._enqueue(Feedback(tuple(sayings), future))
        return future

    def probe(self) -> Future[None]:
        """Queue a write without a trace; the future fails if the store does not accept writes now."""
        future: Future[None] = Future()
        self._enqueue(Probe(future))
        return future

    def close(self) -> None:
        """Write the queued jobs, make the sums, stop the threads and close the connections."""
        with self._changed:
            if self._uptime is not None and not self._closed:
                self._waiting.append(Probe(Future()))  # the last beat of the server's uptime
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._second.close()
        self._database.close()
        if self._archive is not None:
            self._archive.close()

    def _enqueue(self, job: Job) -> None:
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
            # Callers whose traces were just committed often submit the next ones at once. A commit costs more than this
            # pause, so waiting for their jobs saves time, unless many jobs are waiting already.
            if 0 < len(self._waiting) < _FEW:
                time.sleep(_PAUSE_SECONDS)

    def _take(self) -> list[Job]:
        """Wait for jobs and return a group of them; empty once closed and drained."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    beat = None if self._uptime is None else BEAT_SECONDS
                    if not self._changed.wait(beat) and not self._waiting:
                        self._waiting.append(Probe(Future()))
                count = min(len(self._waiting), self._batch)
                taken = [self._waiting.popleft() for _ in range(count)]
                if group := [job for job in taken if _is_wanted(job)]:
                    return group

    def _write(self, group: Sequence[Job], *, again: int = _RETRIES, doubtful: bool = False) -> None:
        """Commit a group and resolve its futures; never raises.

        ``doubtful`` means that an earlier attempt lost its connection and may have committed the group.
        """
        try:
            for day in {job.row[1] for job in group if isinstance(job, Write)} - self._days:
                self._database.partition("requests", day)
                self._days.add(day)
            if self._database.partitioned and not doubtful and again == _RETRIES and is_fresh(group):
                with suppress(NotFresh):
                    self._write_fresh(group)
                    return
            with self._database.transaction() as tx:
                ours = kept(tx, rows_of(group)) if doubtful else set()
                results = apply(tx, group, ours, self._keeper)
                if self._uptime is not None:
                    self._uptime.record(tx, (job.trace for job in group if isinstance(job, Write)))
        except StorageError as error:
            self._days.clear()  # a day's partition may have been dropped
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
            if isinstance(result, Elsewhere) and isinstance(job, Feedback):
                self._second.call(partial(self._look, job))
            else:
                _resolve(job, result)

    def _write_fresh(self, group: Sequence[Job]) -> None:
        """Commit a group of new traces in two round trips.

        Raises:
            NotFresh: it is none; nothing was written.
        """
        traces = [job.trace for job in group if isinstance(job, Write)]
        with self._database.transaction() as tx:
            apply_fresh(tx, group, self._uptime.statements(traces) if self._uptime is not None else ())
        for job in group:
            _resolve(job, None)

    def _write_singly(self, group: Iterable[Job]) -> None:
        """Write each job in its own transaction, so that only the job at fault fails."""
        for job in group:
            self._write([job])

    def _look(self, job: Feedback) -> None:
        """Look for the requests of feedback in the closed days, and store it with what was found."""
        try:
            found = in_closed_days(self._archive, job.sayings) if self._archive is not None else []
        except Exception as error:  # noqa: BLE001 -- whatever a file holds, the thread must not end
            job.future.set_exception(error)
            return
        self._enqueue(job._replace(closed=tuple(found)))


def _is_wanted(job: Job) -> bool:
    """Whether a job is to be written: not if its future was cancelled, which means that its caller has given up."""
    # Feedback that was looked for in closed days comes a second time, and its future is running already.
    return (isinstance(job, Feedback) and job.closed is not None) or job.future.set_running_or_notify_cancel()


def _resolve(job: Job, result: Result) -> None:
    """Resolve a job's future with its result."""
    if isinstance(result, Exception):
        job.future.set_exception(result)
    elif isinstance(job, Feedback):
        job.future.set_result(result if isinstance(result, list) else [])
    else:
        job.future.set_result(None)
