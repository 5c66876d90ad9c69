"""Dynamic batching: a bounded queue of texts and one worker thread that answers them in batches.

The worker never waits for a batch to fill: when idle it takes a single text immediately, and texts that arrive
while it is busy form the next batch. A batch holds texts for one model only. This module knows nothing of HTTP,
routes or traces.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from modelspine.workload import Answer, Model


class QueueFull(Exception):
    """The queue is at its limit, or the batcher is closed."""


class ModelFailed(Exception):
    """The model raised an exception or did not return one answer per text."""


class Answered(NamedTuple):
    """An answer, and the seconds its text waited in the queue."""

    answer: Answer
    queued: float


class _Job(NamedTuple):
    """A queued text, with the model that must answer it."""

    model: Model
    text: str
    future: Future[Answered]
    since: float


class Batcher:
    """One worker thread over a bounded queue."""

    def __init__(self, *, queue: int = 16, batch: int = 8) -> None:
        """Start the worker.

        Args:
            queue: the most texts that may wait, not counting those being answered.
            batch: the most texts in one call of a model.

        """
        self._limit = queue
        self._batch = batch
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy = 0
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of texts in the queue."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the queue is at its limit."""
        return len(self._waiting) >= self._limit

    @property
    def busy(self) -> int:
        """The number of texts in the batch being answered."""
        return self._busy

    def stuck(self, seconds: float) -> bool:
        """Whether the current batch has been running for longer than ``seconds``."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > seconds

    def submit(self, model: Model, text: str) -> Future[Answered]:
        """Queue one text for one model; the future fails with ``ModelFailed`` if the model fails.

        Raises:
            QueueFull: the queue is at its limit, or the batcher is closed.

        """
        job = _Job(model, text, Future(), time.monotonic())
        with self._changed:
            if self._closed or self.full:
                raise QueueFull
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self, timeout: float | None = None) -> None:
        """Answer the queued texts and stop the worker; give up on a hung model after ``timeout`` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while jobs := self._take():
            self._busy, self._busy_since = len(jobs), time.monotonic()
            try:
                _answer(jobs)
            finally:
                self._busy, self._busy_since = 0, None

    def _take(self) -> list[_Job]:
        """Wait for work and return the oldest texts for one model; empty once closed and drained."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                jobs: list[_Job] = []
                model = self._waiting[0].model
                while self._waiting and len(jobs) < self._batch and self._waiting[0].model is model:
                    job = self._waiting.popleft()
                    if job.future.set_running_or_notify_cancel():  # False if its caller gave up waiting
                        jobs.append(job)
                if jobs:
                    return jobs


def _answer(jobs: Sequence[_Job]) -> None:
    """Answer a batch and resolve its futures; never raises."""
    began = time.monotonic()
    try:
        answers = jobs[0].model.answer([job.text for job in jobs])
        if len(answers) != len(jobs):
            raise ModelFailed(f"the model returned {len(answers)} answers for {len(jobs)} texts")
    except Exception as error:  # noqa: BLE001 -- a model may raise anything; the worker must survive it
        if len(jobs) > 1:  # one text at a time, so that only the text at fault fails
            for job in jobs:
                _answer([job])
        else:
            failed = ModelFailed(f"{type(error).__name__}: {error}")
            failed.__cause__ = error
            jobs[0].future.set_exception(failed)
        return
    for job, answer in zip(jobs, answers, strict=True):
        job.future.set_result(Answered(answer, began - job.since))
