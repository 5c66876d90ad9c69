"""Texts put to models in several processes at once, for a caller that waits for all the answers.

The texts are cut into pieces whose size does not depend on the number of processes, so that the answers do not either,
even where a model rounds differently in another batch. This module does not know where the texts come from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from queue import SimpleQueue
from typing import Any, Self

import msgspec

from modelspine.errors import Unavailable
from modelspine.frames import Broken, Frames, framed
from modelspine.model_process import Load, Loaded, Message, Place, Said, Texts, start
from modelspine.text import visible
from modelspine.workload import Answer

PIECE = 32
"""Texts a process answers at a time: enough to make the batch worth its message, few enough to show progress."""
_DECODER = msgspec.msgpack.Decoder(Loaded | Said)


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


class ModelPool:
    """Processes that hold models; a context manager that ends them."""

    def __init__(self, workload: str, workers: int) -> None:
        """Start the processes, from the thread that will wait for them.

        Raises:
            Unavailable: they cannot be started.
        """
        self._workload = workload
        self._ending = ExitStack()
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._processes: list[_Process] = []
        try:
            for _ in range(workers):
                self._processes.append(_Process())
                self._ending.callback(self._processes[-1].end)
                self._idle.put(self._processes[-1])
        except OSError as error:
            self._ending.close()
            raise Unavailable(f"no process could be started: {error.strerror}", "is there enough memory?") from error
        self._threads = ThreadPoolExecutor(workers)
        self._ending.callback(self._threads.shutdown, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The processes first, since the threads wait for them.
        for process in self._processes:
            process.kill()
        self._ending.close()

    def load(self, key: str, folder: str, parent: str | None) -> None:
        """Load a verified bundle into every process, under a name.

        Raises:
            Unavailable: the workload failed, or a process ended by itself.
        """
        load = Load(key, self._workload, folder, parent)
        for loaded in self._threads.map(lambda process: process.ask(load), self._processes):
            if error := loaded.error:
                raise self._failed(error)

    @property
    def busy_seconds(self) -> float:
        """How long the processes were busy with texts so far, added up."""
        return sum(process.busy for process in self._processes)

    def model(self, key: str) -> Spread:
        """The model with this name, whose texts are spread over the processes."""
        return Spread(self, key)

    def pieces(self, keys: Sequence[str], texts: Sequence[str]) -> Iterator[list[Said]]:
        """What each of some models says of each piece of the texts, in order.

        Raises:
            Unavailable: the workload failed, or a process ended by itself.
        """

        def ask(asked: Texts) -> Said:
            process = self._idle.get()
            began = time.perf_counter()
            try:
                said: Said = process.ask(asked)
            finally:
                process.busy += time.perf_counter() - began
                self._idle.put(process)
            if said.error or any(said.flaws):
                raise self._failed(said.error or next(flaw for flaw in said.flaws if flaw))
            return said

        starts = range(0, len(texts), PIECE)
        said = self._threads.map(ask, [Texts(key, list(texts[at : at + PIECE])) for at in starts for key in keys])
        for _ in starts:
            yield list(islice(said, len(keys)))

    def _failed(self, why: str) -> Unavailable:
        what = f"the workload {self._workload} failed: {visible(why, 160)}"
        return Unavailable(what, "check that its package fits this bundle")


class Spread:
    """A model whose texts are answered by several processes."""

    def __init__(self, pool: ModelPool, key: str) -> None:
        self._pool = pool
        self._key = key

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """One answer per text, in order."""
        return [one for [said] in self._pool.pieces([self._key], texts) for one in said.answers if one is not None]


class _Process:
    """One process, which is asked one thing at a time."""

    def __init__(self) -> None:
        self._process, self._sock = start(Place(), os.environ)
        self._frames = Frames()
        self.busy = 0.0
        """Seconds."""

    def ask(self, message: Message) -> Any:
        """Send a message and wait for its reply."""
        try:
            self._sock.sendall(framed(msgspec.msgpack.encode(message)))
            while data := self._sock.recv(1 << 16):
                for frame in self._frames.feed(data):
                    return _DECODER.decode(frame)
        except (OSError, Broken, msgspec.DecodeError):
            pass
        raise Unavailable("a process that answers texts ended by itself", "is there enough memory? then repeat it")

    def kill(self) -> None:
        """Kill it; a thread that waits for it goes on."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and wait for it."""
        self.kill()
        self._process.wait()
        self._sock.close()
