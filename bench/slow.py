"""Slow clients in a separate process: they send nothing, half a header, half a body, or one byte per second.

A connection that the server closes is opened again, so that their number stays constant.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

APART_SECONDS = 0.01
"""Pause between opening two connections, because a burst of connections would be a different test."""


class Held(NamedTuple):
    """The number of connections the server closed, and the longest time it kept one, in seconds."""

    closed: int
    longest: float


@contextlib.contextmanager
def held(address: str, path: str, *, count: int, seconds: float) -> Iterator[list[Held]]:
    """Hold slow connections open during the block, for a limited time; the yielded list receives the result."""
    command = [sys.executable, __file__, address, path, str(count), str(seconds)]
    found: list[Held] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # printed when all connections are open
        yield found
        found.append(Held(*json.loads(process.stdout.read())))


async def _hold(address: str, path: str, count: int, seconds: float) -> list[float]:
    host, port = address.split(":")
    end = time.perf_counter() + seconds
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\n".encode()
    sent = (b"", head + b"X-Slow: ", head + b'Content-Length: 50\r\n\r\n{"', head + b"X-Slow: " + b"y" * 100)
    kept: list[float] = []
    opened = asyncio.Semaphore(0)

    async def one(number: int) -> None:
        kind = number % len(sent)
        await asyncio.sleep(number * APART_SECONDS)
        while time.perf_counter() < end:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection(host, int(port))
            opened.release()
            sender = asyncio.create_task(_send(writer, sent[kind], bytewise=kind == 3))
            with contextlib.suppress(OSError):
                await reader.read()
            kept.append(time.perf_counter() - began)
            sender.cancel()
            writer.close()

    clients = [asyncio.create_task(one(number)) for number in range(count)]
    for _ in clients:
        await opened.acquire()
    print("open", flush=True)
    await asyncio.gather(*clients)
    return kept


async def _send(writer: asyncio.StreamWriter, data: bytes, *, bytewise: bool) -> None:
    with contextlib.suppress(OSError):
        for at in range(0, len(data), 1 if bytewise else max(1, len(data))):
            writer.write(data[at : at + 1] if bytewise else data)
            await writer.drain()
            await asyncio.sleep(1)


if __name__ == "__main__":
    address, path, count, seconds = sys.argv[1:]
    kept = asyncio.run(_hold(address, path, int(count), float(seconds)))
    print(json.dumps([len(kept), max(kept)]))
