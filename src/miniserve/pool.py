"""Worker processes behind one bounded queue: each answers one batch of texts at a time.

A worker never waits for a batch to fill: texts that arrive while all workers are busy form the next batches. A batch
holds texts for one model only. A worker that hangs, crashes or uses too much memory is killed: its batch fails, a spare
process that has the models loaded takes its place at once, and a new spare is started. This module knows nothing of
HTTP, routes or traces.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from miniserve.bundles import Bundles
from miniserve.loading import Loading, load_into
from miniserve.pace import HOLD_SECONDS, Pace
from miniserve.pending import Pending, QueueFull, WorkerLost
from miniserve.restart import PATIENCE, pause_after
from miniserve.terms import Terms
from miniserve.text_queue import TextQueue
from miniserve.worker import Worker
from modelspine.errors import SpineError, Unavailable
from modelspine.model_pool import cores
from modelspine.model_process import Load
from modelspine.text import visible

_LOOK_SECONDS = 0.1
"""How often it is checked whether a batch or a text is overdue."""
_GRACE = 0.25
"""Seconds by which a text may wait longer than a batch may take, so that the texts of a batch that hangs say why."""
_STOPS = "the server stops"
_T = TypeVar("_T")
_log = logging.getLogger("miniserve")


class Pool:
    """The workers of one server; its methods are called on one event loop, except where they say otherwise."""

    def __init__(self, workload: str, bundles: Bundles, terms: Terms, wanted: Iterable[str] = ()) -> None:
        """Make a pool without processes; ``start`` starts them, with the ``wanted`` entries loaded."""
        self.terms = terms
        self._waiting = TextQueue()
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._spares: list[Worker] = []
        self._alive: set[Worker] = set()
        """Every process that was started and is not known to have ended."""
        self._starting = 0
        """How many processes are to be started and are not in ``_alive`` yet."""
        self._wanted = set(wanted)
        self._pace = Pace(terms.batch, cores())
        self._held: asyncio.TimerHandle | None = None
        self._failures = 0
        self._unfit = False
        self._reason = "no worker process has been started"
        self._scheduled = self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._startups: set[asyncio.Task[Any]] = set()
        # One thread that lasts, because the kernel kills a worker when the thread that started it ends.
        self._threads = ThreadPoolExecutor(1, "workers")
        self._loop = asyncio.get_running_loop()
        self._loading = Loading(workload, bundles, terms.batch, self._loop)

    async def start(self) -> None:
        """Start the processes; raises ``Unavailable`` if none can be used yet, and goes on trying."""
        self._look()
        await asyncio.gather(*(self._add() for _ in range(self.terms.workers + self.terms.spare)))
        if not self._workers:
            raise Unavailable(f"no worker process runs: {self._reason}", "is there enough memory?")

    @property
    def waiting(self) -> int:
        """The number of texts in the queue."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more texts it takes until its queue is at the limit."""
        return max(0, self.terms.queue + self.terms.batch * len(self._idle) - len(self._waiting))

    @property
    def busy(self) -> int:
        """The number of texts that are being answered."""
        return sum(len(worker.batch) for worker in self._workers)

    @property
    def entries(self) -> set[str]:
        """The entries that a process has, or is to have; may be read in any thread."""
        return self._wanted.union(*(worker.loaded for worker in self._alive.copy()))

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that answer, without the spare."""
        return [worker.process.pid for worker in self._workers]

    @property
    def problem(self) -> str | None:
        """Why no text is answered now; None while a worker runs, or while one is being replaced for the first time."""
        if self._workers or not (self._unfit or self._failures >= PATIENCE):
            return None
        return f"no worker process runs: {self._reason}"

    def submit(self, sha: str, text: str) -> Pending:
        """Queue one text for one entry; its future fails with ``ModelFailed`` if there is no answer.

        Raises:
            QueueFull: the queue is at its limit, or the pool is closed.
        """
        if self._closed or not self.room:
            raise QueueFull
        pending = Pending(sha, text, self._loop.create_future())
        self._waiting.add(pending)
        self._schedule()
        return pending

    def load(self, sha: str) -> None:
        """Load an entry's verified bundle into every process; call it in a thread. Errors: see ``Loading.load``."""
        try:
            self._loading.load(sha, self._load_all)
        except BaseException:
            self._loop.call_soon_threadsafe(self._wanted.discard, sha)
            raise

    def keep(self, shas: Iterable[str]) -> None:
        """Drop every entry but these and those that queued texts ask for; may be called in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the processes with it
            self._loop.call_soon_threadsafe(self._keep, set(shas))

    def stop(self) -> None:
        """Kill the processes, fail the texts that wait, and take no more."""
        self._closed = True
        for worker in list(self._alive):
            worker.end(_STOPS)
        self._waiting.fail(_STOPS)

    async def close(self) -> None:
        """Stop, and wait until every process has ended."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._startups, return_exceptions=True)
        await asyncio.gather(*(self._buried(worker) for worker in list(self._alive)))
        self._threads.shutdown(wait=False)

    def _run(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._threads, partial(call, *arguments))

    async def _add(self) -> None:
        """Start one process, load what it must answer for, and let it answer or stand by."""
        self._starting += 1
        try:
            worker = await self._loaded()
        except OSError as error:
            self._lost_one(f"it cannot be started: {error.strerror}")
            return
        if worker.ended:
            return
        self._unfit = False
        if len(self._workers) < self.terms.workers:
            self._workers.append(worker)
            self._is_idle(worker)
        else:
            self._spares.append(worker)

    async def _loaded(self) -> Worker:
        # Not cancelled with this task, for a process that has been started must be ended.
        worker = await asyncio.shield(self._task(self._started(), self._startups))
        try:
            while missing := self._wanted - worker.loaded:
                await asyncio.to_thread(self._loading.load, min(missing), partial(load_into, [worker]))
        except SpineError as error:
            self._unfit = True
            worker.end(error.message)
        except BaseException:
            worker.end(_STOPS)
            raise
        return worker

    async def _started(self) -> Worker:
        try:
            worker = await Worker.started(self.terms.place, self._run, self._is_idle, self._is_lost)
            self._alive.add(worker)
        finally:
            self._starting -= 1
        if self._closed:
            worker.end(_STOPS)
        return worker

    async def _load_all(self, load: Load) -> None:
        """Load into the processes that run; those that are being started load all that is wanted before they answer."""
        self._wanted.add(load.key)
        workers = [*self._workers, *self._spares]
        if not workers:
            raise Unavailable(f"no worker process runs: {self._reason}", "the server starts another one soon")
        await load_into(workers, load)
        self._schedule()

    def _is_idle(self, worker: Worker) -> None:
        if worker.since:
            self._failures = 0
            self._pace.note(time.monotonic() - worker.since)
        self._idle.append(worker)
        self._schedule()

    def _is_lost(self, worker: Worker, reason: str) -> None:
        """Fail the batch of a process that can no longer be used, and replace it."""
        for group in (self._workers, self._idle, self._spares):
            if worker in group:
                group.remove(worker)
        for pending in worker.batch:
            pending.fail((time.monotonic() - worker.since) / len(worker.batch))
            pending.end(WorkerLost(f"the worker process was lost: {reason}"))
            self._waiting.suspect(pending)
        self._waiting.put_back(worker.again)
        if self._closed:
            return  # ``close`` waits for its process
        if self._spares and len(self._workers) < self.terms.workers:
            spare = self._spares.pop()
            self._workers.append(spare)
            self._is_idle(spare)
        self._lost_one(reason, worker)

    def _lost_one(self, reason: str, worker: Worker | None = None) -> None:
        self._failures += 1
        self._reason = reason = visible(reason, 200)
        self._task(self._replace(reason, worker, pause_after(self._failures)), self._tasks)

    async def _replace(self, reason: str, worker: Worker | None, pause: float) -> None:
        how = "" if worker is None else f" ({await self._buried(worker)})"
        if self._reason == reason:  # no other one was lost meanwhile
            self._reason = reason + how
        fields = {"reason": reason + how, "in_a_row": self._failures, "pause": pause}
        _log.error("a worker process was lost", extra={"fields": fields})
        await asyncio.sleep(pause)
        running = sum(not worker.ended for worker in self._alive)  # those that still load are among them
        if running + self._starting < self.terms.workers + self.terms.spare:
            await self._add()

    async def _buried(self, worker: Worker) -> str:
        how: str = await self._run(worker.reap)
        self._alive.discard(worker)
        return how

    def _keep(self, shas: set[str]) -> None:
        self._wanted = shas
        kept = shas | self._waiting.shas
        for worker in (*self._workers, *self._spares):
            worker.keep(kept | {pending.sha for pending in worker.left})

    def _task(self, work: Coroutine[Any, Any, _T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[_T]:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def _schedule(self) -> None:
        """Send texts to idle workers at the end of this turn of the loop, so that those of one turn share a batch."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self, *, at_once: bool = False) -> None:
        self._scheduled = False
        self._held = None if at_once else self._held
        for worker in reversed(list(self._idle)):  # first the one that was busy last, whose memory is still near
            waiting = len(self._waiting)
            if not waiting:
                return
            idle, busy = len(self._idle), len(self._workers) - len(self._idle)
            if not at_once and self._pace.holds(waiting, busy=busy):
                if self._held is None:
                    self._held = self._loop.call_later(HOLD_SECONDS, partial(self._dispatch, at_once=True))
                return
            most = self._pace.part(waiting, idle=idle, busy=busy)
            if batch := self._waiting.take(most, worker.loaded.__contains__, self._is_coming):
                self._idle.remove(worker)
                worker.answer(batch)

    def _is_coming(self, sha: str) -> bool:
        return sha in self._wanted or any(sha in worker.loaded for worker in self._workers)

    def _look(self) -> None:
        """End batches and texts that are overdue, again and again."""
        if self._closed:
            return
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.batch and now - worker.since > self.terms.seconds:
                worker.end(f"it did not answer within {self.terms.seconds:g} s")
            for pending in worker.left:
                pending.expire(now - self.terms.seconds - _GRACE)
        self._waiting.expire(now - self.terms.seconds - _GRACE)
        self._loop.call_later(_LOOK_SECONDS, self._look)
