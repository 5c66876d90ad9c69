"""Shadow traffic: answers copies of served requests with the shadow arm, whose answers no learner sees.

A request is copied after its reply has been sent. Copies wait in a bounded queue; when it is full they are dropped
and counted. A worker of their own answers them, at idle priority: if its model raises, hangs, returns garbage or
crashes, the result is a trace with an error and a restarted process, and no learner is affected. Results go only to
traces. This module knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from miniserve.bundles import Bundles
from miniserve.pending import Answered, ModelFailed, Pending, QueueFull
from miniserve.pool import Pool
from miniserve.record import Copy
from miniserve.terms import Terms
from modelspine.errors import SpineError
from modelspine.model_process import Place

TERMS = Terms(workers=1, spare=False, queue=256, batch=8, seconds=5.0, place=Place(humble=True))
Record = Callable[[Copy, Answered | None, float, str], None]


class Shadow:
    """The worker of the shadow arm, if there is one; all but ``follow`` is called on the event loop."""

    def __init__(
        self,
        workload: str,
        bundles: Bundles,
        record: Record,
        *,
        on_dropped: Callable[[int], None],
        terms: Terms = TERMS,
    ) -> None:
        """Wait for ``follow`` to name an entry.

        Args:
            workload: the workload's name, for the worker to load.
            bundles: provides verified bundle folders.
            record: called with each result: the copy, the answer or None, when its batch began (``perf_counter``),
                and the error.
            on_dropped: called with the number of copies dropped.
            terms: the worker's queue, limits and place.
        """
        self._workload = workload
        self._bundles = bundles
        self._record = record
        self._on_dropped = on_dropped
        self._terms = terms
        self._sha: str | None = None
        self._pool: Pool | None = None
        self._changing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def problem(self) -> str | None:
        """Why copies are not being answered, or None."""
        return None if self._pool is None else self._pool.problem

    @property
    def pid(self) -> int | None:
        """The id of the worker's process, or None."""
        return next(iter(self._pool.pids), None) if self._pool else None

    def follow(self, sha: str | None) -> None:
        """Answer copies with this entry from now on, or with none; may be called in any thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._follow, sha)

    def offer(self, copy: Copy) -> None:
        """Queue a copy, or drop it if there is no room for it; never blocks, never raises."""
        try:
            pending = self.submit(copy.arm.sha, copy.text)
        except (QueueFull, ModelFailed):
            self._on_dropped(1)
        else:
            pending.future.add_done_callback(partial(self._done, copy, pending))

    def submit(self, sha: str, text: str) -> Pending:
        """Queue a text for the shadow entry.

        Raises:
            QueueFull: there is no room for it.
            ModelFailed: this is not the shadow entry, or its process does not run.
        """
        # A copy made for the previous shadow entry must not be answered by, and counted for, the new one.
        if self._pool is None or sha != self._sha:
            raise ModelFailed("the shadow arm is not running")
        if (problem := self._pool.problem) is not None:
            raise ModelFailed(problem)
        return self._pool.submit(sha, text)

    async def close(self) -> None:
        """Kill the process; queued copies are dropped."""
        self._follow(None)
        await asyncio.gather(*self._tasks)

    def _follow(self, sha: str | None) -> None:
        if sha == self._sha:
            return
        before, self._sha = self._pool, sha
        if before is not None:
            before.stop()
        self._pool = None if sha is None else Pool(self._workload, self._bundles, self._terms, [sha])
        task = self._loop.create_task(self._change(before, self._pool))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _change(self, before: Pool | None, pool: Pool | None) -> None:
        async with self._changing:  # never two shadow processes at a time
            if before is not None:
                await before.close()
            if pool is not None and pool is self._pool:
                with suppress(SpineError):  # ``problem`` has the reason, and the pool tries again
                    await pool.start()

    def _done(self, copy: Copy, pending: Pending, future: asyncio.Future[Answered]) -> None:
        """Record the result of a copy, or count it as dropped if it never began."""
        error = None if future.cancelled() else future.exception()
        if pending.began is None or future.cancelled():
            self._on_dropped(1)
        elif error is not None:
            self._record(copy, None, pending.began, str(error))
        else:
            self._record(copy, future.result(), pending.began, "")


def shadow_terms(memory_mb: int, *, keeps_text: bool) -> Terms:
    """The terms of a server's shadow."""
    return msgspec.structs.replace(TERMS, place=Place(memory_mb=memory_mb, humble=True, keeps_text=keeps_text))
