"""Shadow traffic: answers copies of served requests with the shadow arm, whose answers no learner sees.

A request is copied after its reply has been sent. Copies wait in a bounded queue; when it is full they are dropped
and counted. A separate process answers them: if its model raises, hangs, returns garbage or crashes, the result is
a trace with an error and a restarted process, and no learner is affected. Results go only to traces. This module
knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import msgspec

from miniobserve.cost import QUEUE as WAITING
from miniobserve.cost import divided
from miniserve.answers import flaw
from miniserve.batcher import Answered, ModelFailed, QueueFull
from miniserve.bundles import Bundles, folders
from miniserve.frames import Broken, receive, send
from miniserve.record import Copy
from miniserve.shadowchild import Load, Said, Texts
from modelspine.errors import SpineError
from modelspine.identity.stamps import loaded_as_hashed
from modelspine.text import short
from modelspine.workload import Answer

QUEUE = 256
BATCH = 8
ANSWER_SECONDS = 5.0
"""The process is killed if a batch takes longer."""
LOAD_SECONDS = 30.0
CLOSE_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""Longest pause before restarting a process that keeps failing: 1, 2, 4 … seconds, up to this."""

_log = logging.getLogger("miniserve")


class Child:
    """A child process with the model of one entry."""

    def __init__(self) -> None:
        """Start the process; the first request must be a ``Load``."""
        # -P keeps the working directory off sys.path: a folder named miniserve there must not be imported.
        words = [sys.executable, "-P", "-m", "miniserve.shadowchild"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: PT018
        self._inbox, self._outbox = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._inbox, False)
        os.set_blocking(self._outbox, False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, request: Load | Texts, seconds: float) -> Said:
        """Send a request and return the reply.

        Raises:
            Broken: the process has exited, is too slow or sent an invalid reply.
        """
        send(self._inbox, msgspec.msgpack.encode(request), seconds)
        frame = receive(self._outbox, seconds)
        if frame is None:
            raise Broken("the process has exited")
        try:
            return msgspec.msgpack.decode(frame, type=Said)
        except msgspec.DecodeError as error:
            raise Broken("the process sent an invalid message") from error

    def kill(self) -> None:
        """Kill the process from another thread; a pending ``ask`` then raises ``Broken``."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Shadow:
    """The queue of copies, and the thread that sends them to the child process."""

    def __init__(
        self,
        workload: str,
        bundles: Bundles,
        record: Callable[[Copy, Answer | None, float, str], None],
        *,
        on_dropped: Callable[[int], None],
        queue: int = QUEUE,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Start the thread; copies are answered once ``follow`` has named an entry.

        Args:
            workload: the workload's name, for the child process to load.
            bundles: provides verified bundle folders.
            record: called with each result: the copy, the answer or None, when the batch was sent
                (``perf_counter``), and the error.
            on_dropped: called with the number of copies dropped.
            queue: the most copies that may wait.
            seconds: time limit for one batch.
        """
        self._workload = workload
        self._bundles = bundles
        self._record = record
        self._on_dropped = on_dropped
        self._limit = queue
        self._seconds = seconds
        self._waiting: deque[Copy] = deque()
        self._changed = threading.Condition()
        self._wanted: str | None = None
        self._loaded: str | None = None
        self._child: Child | None = None
        self._closed = False
        self._failures = 0
        self._again_at = 0.0
        self.problem: str | None = None
        """Why copies are not being answered, or None."""
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The id of the current child process, or None."""
        child = self._child
        return None if child is None else child.pid

    def follow(self, sha: str | None) -> None:
        """Answer copies with this entry from now on, or with none."""
        with self._changed:
            if sha != self._wanted:
                self._wanted, self._failures, self._again_at = sha, 0, 0.0
            self._changed.notify()

    def offer(self, copy: Copy) -> None:
        """Queue a copy, or drop it if the queue is full; never blocks, never raises."""
        with self._changed:
            room = len(self._waiting) < self._limit and not self._closed
            if room:
                self._waiting.append(copy)
                self._changed.notify()
        if not room:
            self._drop([copy], QueueFull())

    def close(self) -> None:
        """Stop after the current batch, or kill the process after ``CLOSE_SECONDS``; queued copies are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and (child := self._child) is not None:
            child.kill()
        self._thread.join(self._seconds + 1)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._waiting or self._wanted != self._loaded):
                    self._changed.wait()
                if self._closed:
                    break
                wanted = self._wanted
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._step(wanted, batch)
        self._drop_child()

    def _step(self, wanted: str | None, batch: Sequence[Copy]) -> None:
        """Make sure that the process for the wanted entry runs, then answer a batch."""
        # A copy made for the previous shadow entry must not be answered by, and counted for, the new one.
        mine = [copy for copy in batch if copy.arm.sha == wanted]
        if wanted != self._loaded:
            self._drop_child()
            self._loaded, self.problem = wanted, None
            if wanted is not None:
                self._start(wanted)
        elif wanted is not None and self._child is None and mine and time.monotonic() >= self._again_at:
            self._start(wanted)
        if self._child is not None and mine:
            self._answer(mine)
        else:
            mine = []
        if len(mine) < len(batch):
            answered = {id(copy) for copy in mine}
            self._drop(
                [copy for copy in batch if id(copy) not in answered],
                ModelFailed(self.problem or "the shadow model is not running"),
            )

    def _start(self, sha: str) -> None:
        """Start a process with an entry, or record why it failed and schedule the next attempt."""
        started: list[Child] = []
        try:
            said = loaded_as_hashed(lambda: self._bundles.stamp(sha), lambda: self._load(sha, started), short(sha))
            if said.error:
                raise Broken(said.error)
        except (SpineError, Broken, OSError) as error:
            for child in started:
                child.end()
            self._failed(error.message if isinstance(error, SpineError) else str(error))
        else:
            self._child, self.problem = started[0], None

    def _load(self, sha: str, started: list[Child]) -> Said:
        """Load an entry in a new process, which replaces the one of an attempt during which the files changed."""
        folder, parent = folders(self._bundles, sha)
        for child in started:
            child.end()
        started[:] = [Child()]
        return started[0].ask(Load(self._workload, str(folder), None if parent is None else str(parent)), LOAD_SECONDS)

    def _answer(self, copies: Sequence[Copy]) -> None:
        """Answer a batch; if the model fails, retry text by text, so that only the text at fault fails."""
        began = time.perf_counter()
        said = self._asked(copies)
        if said.error and len(copies) > 1 and self._child is not None:
            for copy in copies:
                self._answer([copy])
            return
        if said.error:
            for copy in copies:
                self._give(copy, None, began, said.error)
            return
        flaws = [flaw(answer) for answer in said.answers]
        reported = [{} if wrong else answer.stages for answer, wrong in zip(said.answers, flaws, strict=True)]
        shares = divided(reported, min(said.seconds, time.perf_counter() - began))
        for copy, answer, wrong, share in zip(copies, said.answers, flaws, shares, strict=True):
            if wrong is None:
                self._give(copy, msgspec.structs.replace(answer, stages=share), began, "")
            else:
                self._give(copy, None, began, f"the model's answer is unusable: {wrong}")

    def _give(self, copy: Copy, answer: Answer | None, began: float, error: str) -> None:
        """Record the result of a learner's copy, or hand it to the tester who waits for it."""
        if copy.reply is None:
            self._record(copy, answer, began, error)
        else:
            _reply(copy.reply, answer, began - copy.ask.arrived, error)

    def _drop(self, copies: Sequence[Copy], why: Exception) -> None:
        """Give up on copies: those of learners are counted, and a tester who waits is told why."""
        for copy in copies:
            if copy.reply is not None and copy.reply.set_running_or_notify_cancel():
                copy.reply.set_exception(why)
        if learners := sum(copy.reply is None for copy in copies):
            self._on_dropped(learners)

    def _asked(self, copies: Sequence[Copy]) -> Said:
        """Send a batch to the process and return its reply; a process that breaks the protocol is ended."""
        if self._child is None:
            return Said(error=self.problem or "the process has exited")
        try:
            said = self._child.ask(Texts([copy.text for copy in copies]), self._seconds)
        except Broken as error:
            self._drop_child()
            self._failed(str(error))
            return Said(error=str(error))
        if not said.error and len(said.answers) != len(copies):
            return Said(error=f"the model returned {len(said.answers)} answers for {len(copies)} texts")
        if not said.error:
            self._failures = 0
        return said

    def _failed(self, reason: str) -> None:
        if reason != self.problem:
            _log.warning("the shadow model is not answering", extra={"fields": {"reason": reason[:200]}})
        self.problem = reason
        self._again_at = time.monotonic() + min(LONGEST_PAUSE, 2.0**self._failures)
        self._failures += 1

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _reply(reply: Future[Answered], answer: Answer | None, queued: float, error: str) -> None:
    """Give a tester the shadow's answer, unless they no longer wait."""
    if not reply.set_running_or_notify_cancel():
        return
    if answer is None:
        reply.set_exception(ModelFailed(error))
    else:
        reply.set_result(Answered(answer, {WAITING: queued, **answer.stages}))
