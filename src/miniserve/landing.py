"""Hands work from the event loop to a thread and brings its results back: what belongs together at once.

The traces of one batch of answers are submitted together, so that they share one commit, and the loop is woken once for
all of them. ``asyncio.wrap_future`` would wake it for each. This module does not know what the thread does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class _Job(Generic[_T]):
    """Something for the thread, and who waits for it."""

    def __init__(self, start: Callable[[], Future[_T]], waiter: asyncio.Future[None]) -> None:
        self.start = start
        self.waiter = waiter
        self.future: Future[_T] | None = None

    def end(self) -> None:
        """Wake who waits."""
        if not self.waiter.done():
            self.waiter.set_result(None)


class Landing:
    """Where the futures of another thread resolve on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._starting: list[_Job[Any]] = []
        self._landed: deque[_Job[Any]] = deque()
        self._awake = False

    async def of(self, start: Callable[[], Future[_T]], seconds: float) -> _T:
        """Call ``start`` at the end of this turn of the loop and return its future's result.

        Raises:
            TimeoutError: it was not resolved within so many seconds, and is cancelled.
        """
        job: _Job[_T] = _Job(start, self._loop.create_future())
        if not self._starting:
            self._loop.call_soon(self._start)
        self._starting.append(job)
        due = self._loop.call_later(seconds, job.end)
        try:
            await job.waiter
        finally:
            due.cancel()
            if job.future is not None and not job.future.done():
                job.future.cancel()
        try:
            if job.future is not None:
                return job.future.result(0)
        except CancelledError:
            pass
        raise TimeoutError

    def _start(self) -> None:
        jobs, self._starting = self._starting, []
        for job in jobs:
            job.future = job.start()
            job.future.add_done_callback(partial(self._land, job))

    def _land(self, job: _Job[Any], _future: Future[Any]) -> None:
        """Called in the thread that resolves a future."""
        self._landed.append(job)
        # Read after the append, and set back before the first one is taken: so none is left behind.
        if not self._awake:
            self._awake = True
            try:
                self._loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:  # the loop has ended
                return

    def _resolve(self) -> None:
        self._awake = False
        while self._landed:
            self._landed.popleft().end()
