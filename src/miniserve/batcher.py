"""Dynamic batching: a bounded queue of texts and one worker thread that answers them in batches.

The worker never waits for a batch to fill: when idle it takes a single text immediately, and texts that arrive
while it is busy form the next batch. A batch holds texts for one model only. The seconds a batch kept the worker busy
are divided among its texts, whether they were answered or not, so that no second is charged twice. This module knows
nothing of HTTP, routes or traces.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from miniobserve.cost import OTHER, QUEUE, divided
from miniserve.answers import flaw
from modelspine.workload import Answer, Model


class QueueFull(Exception):
    """The queue is at its limit, or the batcher is closed."""


class ModelFailed(Exception):
    """The model raised an exception, did not return one answer per text, or returned an unusable one."""


class Answered(NamedTuple):
    """An answer, and its text's seconds in each stage: in the queue, and its share of the worker's busy seconds."""

    answer: Answer
    stages: dict[str, float]


class Pending(Future[Answered]):
    """The answer that a text waits for, and the worker's seconds that it has used so far."""

    def __init__(self) -> None:
        super().__init__()
        self._since = time.monotonic()
        self._began: float | None = None
        self._batch: tuple[float, int] | None = None
        self._failed = 0.0
        self._left: float | None = None
        self._settling = threading.Lock()

    def take(self, began: float, texts: int) -> None:
        """Note that a batch of so many texts with this one has begun."""
        self._began = began if self._began is None else self._began
        self._batch = (began, texts)

    def fail(self, share: float) -> None:
        """Add the share of a batch that gave no answer to this text."""
        self._failed += share
        self._batch = None

    def answer(self, answer: Answer, stages: dict[str, float]) -> None:
        """Resolve it with an answer and its share of its batch."""
        spent = {QUEUE: self._queued(time.monotonic()), **stages}
        if self._failed:
            spent[OTHER] = spent.get(OTHER, 0.0) + self._failed
        self.set_result(Answered(answer, spent))

    def stages(self) -> dict[str, float]:
        """The seconds used without an answer until now."""
        return self._used(time.monotonic(), self._batch)

    def give_up(self) -> dict[str, float]:
        """Return the seconds used until now, for a caller who no longer waits: it pays for no more than these."""
        with self._settling:
            now, batch = time.monotonic(), self._batch
            self._left = self._running(now, batch)
            return self._used(now, batch)

    def settle(self) -> float | None:
        """End its part in the batch; return what a caller who gave up pays of it, or None if one still waits."""
        with self._settling:
            self._batch = None
            return self._left

    def _used(self, now: float, batch: tuple[float, int] | None) -> dict[str, float]:
        return {QUEUE: self._queued(now), OTHER: self._failed + self._running(now, batch)}

    @staticmethod
    def _running(now: float, batch: tuple[float, int] | None) -> float:
        return 0.0 if batch is None else (now - batch[0]) / batch[1]

    def _queued(self, now: float) -> float:
        return (now if self._began is None else self._began) - self._since


class _Job(NamedTuple):
    """A queued text, with the model that must answer it."""

    model: Model
    text: str
    future: Pending


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

    def submit(self, model: Model, text: str) -> Pending:
        """Queue one text for one model; the future fails with ``ModelFailed`` if the model fails.

        Raises:
            QueueFull: the queue is at its limit, or the batcher is closed.

        """
        job = _Job(model, text, Pending())
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
    for job in jobs:
        job.future.take(began, len(jobs))
    try:
        answers = jobs[0].model.answer([job.text for job in jobs])
        if len(answers) != len(jobs):
            raise ModelFailed(f"the model returned {len(answers)} answers for {len(jobs)} texts")
    except Exception as error:  # noqa: BLE001 -- a model may raise anything; the worker must survive it
        share = (time.monotonic() - began) / len(jobs)
        for job in jobs:
            job.future.fail(share)
        if len(jobs) > 1:  # one text at a time, so that only the text at fault fails
            for job in jobs:
                _answer([job])
        else:
            failed = ModelFailed(f"{type(error).__name__}: {error}")
            failed.__cause__ = error
            jobs[0].future.set_exception(failed)
        return
    _resolve(jobs, answers, began)


def _resolve(jobs: Sequence[_Job], answers: Sequence[Answer], began: float) -> None:
    """Give each text its answer and its share of the batch; a text with an unusable answer fails alone."""
    flaws = [flaw(answer) for answer in answers]
    reported = [{} if wrong else answer.stages for answer, wrong in zip(answers, flaws, strict=True)]
    left = [job.future.settle() for job in jobs]
    wall = time.monotonic() - began
    shares = _without(divided(reported, wall), left, wall)
    for job, answer, wrong, share in zip(jobs, answers, flaws, shares, strict=True):
        if wrong is None:
            job.future.answer(answer, share)
        else:
            job.future.fail(sum(share.values()))
            job.future.set_exception(ModelFailed(f"the model's answer is unusable: {wrong}"))


def _without(shares: list[dict[str, float]], left: Sequence[float | None], wall: float) -> list[dict[str, float]]:
    """The shares of a batch, so that they and what was paid by callers who gave up are no more than its wall seconds.

    A caller who gave up has paid an equal part, which may be more than the share its text turns out to have.
    """
    waiting = sum(sum(share.values()) for share, paid in zip(shares, left, strict=True) if paid is None)
    rest = max(0.0, wall - sum(paid for paid in left if paid is not None))
    if waiting <= rest:
        return shares
    return [{stage: seconds * rest / waiting for stage, seconds in share.items()} for share in shares]
