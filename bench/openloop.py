"""Requests at a fixed rate, whatever the server does: what a crowd of learners looks like to it.

Each request has the moment it is due; its latency counts from there, so a server that stalls pays for every
request it kept waiting. ``python bench/openloop.py`` runs it in a process of its own, away from the bench's.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple


class Load(NamedTuple):
    """What came of one run: requests a second answered 200, milliseconds, and how many were shed or failed."""

    answered: float
    p50: float
    p99: float
    shed: int
    failed: int
    shed_p50: float


def load(address: str, path: str, body: dict[str, Any], *, rate: float, seconds: float) -> Load:
    """Run one load in another process."""
    words = [sys.executable, __file__, address, path, json.dumps(body), str(rate), str(seconds)]
    return Load(*json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))


async def _run(address: str, path: str, body: str, rate: float, seconds: float) -> list[float]:
    host, port = address.split(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    done: list[tuple[int, float]] = []

    async def one(due: float) -> None:
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(host, int(port))
            writer.write(request)
            reply = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = next(
                int(line[15:]) for line in reply.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            done.append((int(reply.split(b" ", 2)[1]), 1000 * (time.perf_counter() - due)))
            if b"connection: close" in reply.lower():
                writer.close()
            else:
                idle.append((reader, writer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            done.append((0, 1000 * (time.perf_counter() - due)))

    draw = random.Random(1)
    began = due = time.perf_counter()
    tasks = []
    while due < began + seconds:
        due += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    good = sorted(ms for status, ms in done if status == 200)
    shed = [ms for status, ms in done if status in (429, 503)]
    p50, p99 = (statistics.median(good), good[int(0.99 * (len(good) - 1))]) if good else (0.0, 0.0)
    failed = len(done) - len(good) - len(shed)
    return [len(good) / took, p50, p99, len(shed), failed, statistics.median(shed) if shed else 0.0]


if __name__ == "__main__":
    address, path, body, rate, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(_run(address, path, body, float(rate), float(seconds)))))
