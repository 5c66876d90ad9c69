"""One worker: a process that answers batches, as the event loop sees it.

It has at most one batch at a time. Its replies are decoded strictly, since it runs foreign code. This module does not
decide which texts a worker gets, nor what follows when it is lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from miniserve.pending import ModelFailed, Pending, resolve
from modelspine.frames import Broken, Frames, framed
from modelspine.model_process import Keep, Load, Loaded, Message, Place, Said, Texts, start

PROGRAM = "miniserve.worker_program"
_DECODER = msgspec.msgpack.Decoder(Loaded | Said)


class Worker(asyncio.Protocol):
    """A running process and the batch it has; all its methods are called on the event loop."""

    def __init__(
        self, process: subprocess.Popen[bytes], idle: Callable[[Worker], None], lost: Callable[[Worker, str], None]
    ) -> None:
        """Take over a process.

        Args:
            process: what ``model_process.start`` gave.
            idle: called when a batch is done and another may be sent.
            lost: called once when the process can no longer be used, with the reason; ``batch`` has its texts.
        """
        self.process = process
        self.loaded: set[str] = set()
        """The entries it can answer for."""
        self.batch: list[Pending] = []
        """The texts it is answering."""
        self.since = 0.0
        """When it was given the batch (``time.monotonic()``)."""
        self.again: list[Pending] = []
        """The texts of a failed batch that it is to be asked one by one."""
        self._idle = idle
        self._lost = lost
        self.ended = False
        self._frames = Frames()
        self._loading: dict[str, asyncio.Future[str]] = {}

    @classmethod
    async def started(
        cls, place: Place, run: Callable[..., Any], idle: Callable[[Worker], None], lost: Callable[[Worker, str], None]
    ) -> Worker:
        """Start a process with ``run``, which calls a function in a thread that lasts as long as the process may.

        Raises:
            OSError: no process can be started.
        """
        process, sock = await run(start, place, os.environ, PROGRAM)
        worker = cls(process, idle, lost)
        sock.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: worker, sock)
        return worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, whose buffer has no limit: a worker gets one batch at a time."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the replies in these bytes."""
        try:
            for frame in self._frames.feed(data):
                self._take(_DECODER.decode(frame))
        except (Broken, msgspec.DecodeError, ValueError):
            self.end("it sent an invalid message")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """The process has exited, or closed its socket."""
        self.end("it ended by itself")

    def end(self, reason: str) -> None:
        """Kill the process and report it lost; does nothing the second time."""
        if self.ended:
            return
        self.ended = True
        self.process.kill()
        self._transport.abort()
        for loading in self._loading.values():
            if not loading.done():
                loading.set_result(reason)
        self._lost(self, reason)

    def reap(self) -> str:
        """Wait for the killed process; returns how it ended, in words. Call it in a thread."""
        code = self.process.wait()
        if code >= 0:
            return f"exit status {code}"
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"

    async def load(self, load: Load) -> str:
        """Load a model; returns the reason why it could not be loaded, or an empty text."""
        if self.ended:
            return "the process has ended"
        future = self._loading[load.key] = asyncio.get_running_loop().create_future()
        self._send(load)
        try:
            error: str = await future
        finally:
            self._loading.pop(load.key, None)
        if not error:
            self.loaded.add(load.key)
        return error

    def keep(self, keys: set[str]) -> None:
        """Drop every model but these."""
        if not self.ended and self.loaded - keys:
            self.loaded &= keys
            self._send(Keep(sorted(keys)))

    def answer(self, batch: list[Pending]) -> None:
        """Answer a batch of texts for one model."""
        self.batch, self.since = batch, time.monotonic()
        for pending in batch:
            pending.take(self.since, len(batch))
        self._send(Texts(batch[0].sha, [pending.text for pending in batch]))

    def _send(self, message: Message) -> None:
        self._transport.write(framed(msgspec.msgpack.encode(message)))

    def _take(self, reply: Loaded | Said) -> None:
        if isinstance(reply, Loaded):
            loading = self._loading.get(reply.key)
            if loading is not None and not loading.done():
                loading.set_result(reply.error)
            return
        batch, wall = self.batch, time.monotonic() - self.since
        if not batch:
            raise Broken("a reply to nothing")
        if reply.kind == "MemoryError":
            # What it leaked stays leaked, so every further text would fail as well.
            self.end("it ran out of the memory it may use (MemoryError)")
            return
        if reply.kind:
            self._failed(batch, reply, wall)
        elif {len(each) for each in (reply.answers, reply.flaws, reply.graded, reply.values)} != {len(batch)}:
            raise Broken("a reply to other texts")
        else:
            resolve(batch, reply, wall)
        self._next()

    def _failed(self, batch: Sequence[Pending], said: Said, wall: float) -> None:
        """The model raised an exception: repeat the batch text by text, so that only the text at fault fails."""
        for pending in batch:
            pending.fail(wall / len(batch))
        if len(batch) > 1:
            self.again += batch
        else:
            batch[0].end(ModelFailed(said.error, said.kind))

    def _next(self) -> None:
        self.batch = []
        while self.again:
            pending = self.again.pop(0)
            if not pending.future.done():
                self.answer([pending])
                return
        self._idle(self)

    @property
    def left(self) -> list[Pending]:
        """All texts it has."""
        return [*self.batch, *self.again]
