"""Two hundred clients that never finish: each closed by a deadline, while others are served.

What they cost the others in milliseconds is a line of ``just bench overload``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

from miniserve.protocol import LINGER_SECONDS, RECEIVE_SECONDS
from shout_server import Server, add_entry, make_project, open_project, post

FULL = post("x")
HALF_HEADER = b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nX-Slow: "
CHUNKED = b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"
SLOWLY = "a byte a second"
SENT: Mapping[str, bytes] = {
    "idle": b"",
    "half a header": HALF_HEADER,
    "half a body": FULL[:-5],
    SLOWLY: HALF_HEADER + b"y" * 100,
    "half a chunk": CHUNKED,
    "idle after a reply": FULL,
    "half a second request": FULL + HALF_HEADER,
}
MANY = dict.fromkeys(("idle", "half a header", "half a body", SLOWLY), 50)
FEW = dict.fromkeys(("half a chunk", "idle after a reply", "half a second request"), 4)
PATIENCE_SECONDS = 3 * RECEIVE_SECONDS
"""A server that keeps its deadline has closed long before, also on a machine that does much else."""


class Slow(NamedTuple):
    """How one slow connection ended."""

    kind: str
    closed: bool
    reply: bytes


async def hold(port: int, kind: str, seconds: float) -> Slow:
    """Be one slow client for so long, or until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, closed = b"", False
    sender = asyncio.create_task(send(writer, kind))
    try:
        async with asyncio.timeout(seconds):
            while data := await reader.read(65536):
                received += data
        closed = True
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    sender.cancel()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Slow(kind, closed, received)


async def send(writer: asyncio.StreamWriter, kind: str) -> None:
    step = 1 if kind == SLOWLY else max(1, len(SENT[kind]))
    with contextlib.suppress(OSError):
        for at in range(0, len(SENT[kind]), step):
            writer.write(SENT[kind][at : at + step])
            await writer.drain()
            await asyncio.sleep(1)


async def beside(server: Server, kinds: Mapping[str, int], seconds: float) -> tuple[list[Slow], list[int]]:
    """Slow clients of every kind at once, and the statuses of good ones meanwhile."""
    slow = [asyncio.create_task(hold(server.port, kind, seconds)) for kind in kinds for _ in range(kinds[kind])]
    await asyncio.sleep(0.5)
    async with httpx.AsyncClient(timeout=15) as http:
        good = [await http.post(f"{server.url}/v1/shout", json={"text": "x"}) for _ in range(20)]
    return list(await asyncio.gather(*slow)), [reply.status_code for reply in good]


def project(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    return root


def test_200_slow_connections_are_closed_and_good_ones_served_meanwhile(tmp_path: Path) -> None:
    kinds = {**MANY, **FEW}
    with Server(project(tmp_path)) as server:
        slow, good = asyncio.run(beside(server, kinds, PATIENCE_SECONDS))
        assert server.ask().status_code == 200
    assert good == [200] * 20
    assert sum(MANY.values()) == 200
    assert Counter(one.kind for one in slow if one.closed) == kinds
    for kind, _, reply in slow:
        assert reply.startswith(b"HTTP/1.1 200") == (kind in ("idle after a reply", "half a second request")), kind
        told = b" 408 " in reply and b'"code":"too_slow"' in reply
        assert told == (kind not in ("idle", "idle after a reply")), kind


def test_the_harness_catches_a_server_that_waits_for_ever(tmp_path: Path) -> None:
    kinds = dict.fromkeys(MANY, 2)
    with Server(project(tmp_path), launcher="shout_patient.py") as server:
        slow, _ = asyncio.run(beside(server, kinds, RECEIVE_SECONDS + 2 * LINGER_SECONDS))
    assert Counter(one.kind for one in slow if not one.closed) == kinds
