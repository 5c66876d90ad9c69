"""Copies of answered texts, answered again by the shadow arm where no learner sees it.

The reply is sent before its text is copied. Copies wait in a bounded queue; where it is full they are
dropped and counted. A process of its own answers them: one that raises, hangs, lies or dies costs a trace
with an error and a new process, never a learner. Results go to traces alone. It does not know HTTP.
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

import msgspec

from miniserve.bundles import Bundles, folders
from miniserve.frames import Broken, receive, send
from miniserve.record import Copy
from miniserve.shadowchild import Load, Said, Texts
from modelspine.errors import SpineError
from modelspine.workload import Answer

QUEUE = 256
BATCH = 8
ANSWER_SECONDS = 5.0
"""A batch that takes longer ends its process."""
LOAD_SECONDS = 30.0
CLOSE_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two tries to start a process that keeps failing: 1, 2, 4 … up to this."""

_log = logging.getLogger("miniserve")


class Child:
    """One process with one entry loaded."""

    def __init__(self) -> None:
        """Start it; ``ask`` with a ``Load`` comes first."""
        # -P: a folder of this name in the working directory is not the program.
        words = [sys.executable, "-P", "-m", "miniserve.shadowchild"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._inbox, self._outbox = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._inbox, False)
        os.set_blocking(self._outbox, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, request: Load | Texts, seconds: float) -> Said:
        """What it says to a request.

        Raises:
            Broken: it is gone, too slow, or what it says is no reply.
        """
        send(self._inbox, msgspec.msgpack.encode(request), seconds)
        frame = receive(self._outbox, seconds)
        if frame is None:
            raise Broken("it is gone")
        try:
            return msgspec.msgpack.decode(frame, type=Said)
        except msgspec.DecodeError as error:
            raise Broken("it sends what is no message") from error

    def kill(self) -> None:
        """End it, whatever it does; whoever waits for it sees that it is gone."""
        self._process.kill()

    def end(self) -> None:
        """End it, and give its pipes back."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Shadow:
    """The queue of copies, and the thread that has them answered."""

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
        """Start the thread; nothing is answered before ``follow`` names an entry.

        Args:
            workload: its name, for the process to load.
            bundles: gives verified folders.
            record: told each result: the copy, its answer or None, when it was sent (``perf_counter``), and the error.
            on_dropped: told how many copies were dropped.
            queue: how many copies may wait.
            seconds: how long one batch may take.
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
        """Why copies are not answered now, or None."""
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that answers now."""
        child = self._child
        return None if child is None else child.pid

    def follow(self, sha: str | None) -> None:
        """Answer copies with this entry from here on; None for none."""
        with self._changed:
            if sha != self._wanted:
                self._wanted, self._failures, self._again_at = sha, 0, 0.0
            self._changed.notify()

    def offer(self, copy: Copy) -> None:
        """Take a copy if there is room for it; never waits, never raises."""
        with self._changed:
            room = len(self._waiting) < self._limit and not self._closed
            if room:
                self._waiting.append(copy)
                self._changed.notify()
        if not room:
            self._on_dropped(1)

    def close(self) -> None:
        """End the process, once it has answered what it was given, or soon; what waits is dropped."""
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
        """Have the right process, then have a batch answered."""
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
            self._on_dropped(len(batch) - len(mine))

    def _start(self, sha: str) -> None:
        """Start a process with an entry, or say why there is none and put the next try off."""
        child = None
        try:
            load = self._load(sha)
            child = Child()
            said = child.ask(load, LOAD_SECONDS)
            if said.error:
                raise Broken(said.error)
        except (SpineError, Broken, OSError) as error:
            if child is not None:
                child.end()
            self._failed(error.message if isinstance(error, SpineError) else str(error))
        else:
            self._child, self.problem = child, None

    def _load(self, sha: str) -> Load:
        folder, parent = folders(self._bundles, sha)
        return Load(self._workload, str(folder), None if parent is None else str(parent))

    def _answer(self, copies: Sequence[Copy]) -> None:
        """Have a batch answered; where the model fails on it, its texts one by one, so that only one at fault fails."""
        began = time.perf_counter()
        said = self._asked(copies)
        if said.error and len(copies) > 1 and self._child is not None:
            for copy in copies:
                self._answer([copy])
            return
        for at, copy in enumerate(copies):
            self._record(copy, None if said.error else said.answers[at], began, said.error)

    def _asked(self, copies: Sequence[Copy]) -> Said:
        """What the process says to a batch; one that breaks off is ended."""
        if self._child is None:
            return Said(error=self.problem or "it is gone")
        try:
            said = self._child.ask(Texts([copy.text for copy in copies]), self._seconds)
        except Broken as error:
            self._drop_child()
            self._failed(str(error))
            return Said(error=str(error))
        if not said.error and len(said.answers) != len(copies):
            return Said(error=f"it gave {len(said.answers)} answers to {len(copies)} texts")
        if not said.error:
            self._failures = 0
        return said

    def _failed(self, reason: str) -> None:
        if reason != self.problem:
            _log.warning("the shadow does not answer", extra={"fields": {"reason": reason[:200]}})
        self.problem = reason
        self._again_at = time.monotonic() + min(LONGEST_PAUSE, 2.0**self._failures)
        self._failures += 1

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
