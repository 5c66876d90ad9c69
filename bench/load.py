"""Load generator in a separate process: a closed loop of connections, or requests at a fixed rate.

The closed loop sends the next request as soon as the last one is answered, which finds the server's maximum throughput.
The open loop sends at its rate whatever the server does, like independent learners. A request's latency counts from
the time it was due, so a server that stalls is charged for every request that had to wait (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

WARM_SECONDS = 1.0
"""Requests due this early in a phase are not counted: connections are being opened, or the last phase still weighs."""
_PATIENCE_SECONDS = 20.0
_IDLE_SECONDS = 4.0
"""A connection that was idle for longer is not reused, because the server may be about to close it."""


class Load(NamedTuple):
    """The results of one run."""

    answered: float
    """Requests per second with status 200."""
    p50: float
    """Latency quantile of those in milliseconds, as are the following fields."""
    p99: float
    shed: int
    """Requests with status 503 or 429."""
    shed_p50: float
    shed_p99: float
    unsaid: int
    """Those of them without a Retry-After header."""
    failed: int
    """All other requests."""


def closed(address: str, path: str, bodies: Sequence[str], *, connections: int, seconds: float) -> Load:
    """Run a closed loop: each connection waits for its reply before the next request."""
    return _elsewhere("closed", address, path, bodies, [(connections, seconds)])[0]


def opened(address: str, path: str, bodies: Sequence[str], *phases: tuple[float, float]) -> list[Load]:
    """Run an open loop of phases of (requests per second, seconds), without a pause between them."""
    return _elsewhere("open", address, path, bodies, phases)


def _elsewhere(
    kind: str, address: str, path: str, bodies: Sequence[str], phases: Sequence[tuple[float, float]]
) -> list[Load]:
    words = [sys.executable, __file__, kind, address, path, json.dumps(phases)]
    done = subprocess.run(words, input=json.dumps(list(bodies)), check=True, capture_output=True, text=True)
    return [Load(*phase) for phase in json.loads(done.stdout)]


class Reply(NamedTuple):
    """The outcome of one request; times are from ``time.perf_counter()``."""

    status: int
    """0 if there was no reply."""
    due: float
    sent: float
    ended: float
    said: bool = False
    """Whether the reply had a Retry-After header."""

    @property
    def seconds(self) -> float:
        """The latency from the time the request was due."""
        return self.ended - self.due


class Client(asyncio.Protocol):
    """A connection with one request in flight at a time; ``done`` is called with each outcome."""

    def __init__(self, done: Callable[[Client, Reply], None]) -> None:
        self._done = done
        self._received = b""
        self._due: float | None = None
        self.open = True
        self.since = 0.0
        """When the last reply was complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at this time."""
        self._due, self._sent = due, time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect the bytes of one reply."""
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        if not mark or len(body) < next(int(line[15:]) for line in lines if line.startswith(b"content-length:")):
            return
        self._received = b""
        if b"connection: close" in lines:
            self.open = False
        self._end(int(lines[0].split(b" ", 2)[1]), any(line.startswith(b"retry-after:") for line in lines))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Handle the end of the connection."""
        self.leave()

    def leave(self) -> None:
        """Close the connection; a request without a reply counts as failed."""
        self.open = False
        self._transport.close()
        self._end(0)

    def _end(self, status: int, said: bool = False) -> None:
        due, self._due = self._due, None
        if due is not None:
            self.since = time.perf_counter()
            self._done(self, Reply(status, due, self._sent, self.since, said))


class Run:
    """The requests to send in turn, and their replies."""

    def __init__(self, address: str, path: str, bodies: Sequence[str]) -> None:
        host, port = address.split(":")
        self._at = (host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
        self._requests = [f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode() for body in bodies]
        self._asked = 0
        self._clients: list[Client] = []
        self._idle: list[Client] = []
        self.replies: list[Reply] = []

    async def closed(self, connections: int, seconds: float) -> None:
        """Send on each connection again as soon as it has its reply."""
        end = time.perf_counter() + seconds

        def again(client: Client, reply: Reply) -> None:
            self.replies.append(reply)
            if client.open and time.perf_counter() < end:
                client.ask(self._next(), time.perf_counter())

        for client in [await self._connected(again) for _ in range(connections)]:
            client.ask(self._next(), time.perf_counter())
        await asyncio.sleep(seconds)
        await self._all_in()

    async def opened(self, phases: Sequence[tuple[float, float]]) -> None:
        """Send at each phase's rate for its seconds, opening connections as needed."""
        draw = random.Random(1)
        end = due = time.perf_counter()
        tasks = set()
        for rate, seconds in phases:
            end += seconds
            while (due := due + draw.expovariate(rate)) < end:
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                if (client := self._spare()) is not None:
                    client.ask(self._next(), due)
                else:
                    task = asyncio.create_task(self._ask_on_a_new_one(self._next(), due))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            due = end
        await self._all_in()

    def _next(self) -> bytes:
        self._asked += 1
        return self._requests[self._asked % len(self._requests)]

    def _spare(self) -> Client | None:
        while self._idle:
            client = self._idle.pop()
            if client.open and time.perf_counter() - client.since < _IDLE_SECONDS:
                return client
            client.leave()
        return None

    async def _connected(self, done: Callable[[Client, Reply], None]) -> Client:
        _, made = await asyncio.get_running_loop().create_connection(lambda: Client(done), *self._at)
        self._clients.append(made)
        return made

    async def _ask_on_a_new_one(self, request: bytes, due: float) -> None:
        try:
            (await self._connected(self._ended)).ask(request, due)
        except OSError:
            now = time.perf_counter()
            self.replies.append(Reply(0, due, now, now))

    def _ended(self, client: Client, reply: Reply) -> None:
        self.replies.append(reply)
        self._idle.append(client)

    async def _all_in(self) -> None:
        end = time.perf_counter() + _PATIENCE_SECONDS
        while len(self.replies) < self._asked and time.perf_counter() < end:  # noqa: ASYNC110 -- a count is awaited
            await asyncio.sleep(0.01)
        for client in self._clients:
            client.leave()


def _summed(replies: Sequence[Reply], began: float, seconds: float) -> Load:
    """Summarise the replies that were due in a phase, without its first second."""
    counted = [reply for reply in replies if began + WARM_SECONDS <= reply.due < began + seconds]
    good = [reply.seconds for reply in counted if reply.status == 200]
    shed = [reply.seconds for reply in counted if reply.status in (429, 503)]
    return Load(
        answered=len(good) / (seconds - WARM_SECONDS),
        p50=_at(good, 0.5),
        p99=_at(good, 0.99),
        shed=len(shed),
        shed_p50=_at(shed, 0.5),
        shed_p99=_at(shed, 0.99),
        unsaid=sum(reply.status in (429, 503) and not reply.said for reply in counted),
        failed=len(counted) - len(good) - len(shed),
    )


def _at(seconds: Sequence[float], share: float) -> float:
    """Return a quantile in milliseconds; 0 without values."""
    return 1000 * sorted(seconds)[int(share * (len(seconds) - 1))] if seconds else 0.0


def main(words: list[str]) -> None:
    kind, address, path, told = words
    run, phases = Run(address, path, json.load(sys.stdin)), json.loads(told)
    began = time.perf_counter()
    asyncio.run(run.opened(phases) if kind == "open" else run.closed(*phases[0]))
    found = []
    for _, seconds in phases:
        found.append(_summed(run.replies, began, seconds))
        began += seconds
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
