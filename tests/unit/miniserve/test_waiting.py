"""How much of one connection waits."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

from miniserve.waiting import HIGH_WATER_LIMIT, PacedReading


class Transport:
    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def test_nothing_more_is_read_while_the_newest_waiting_request_has_a_large_body() -> None:
    transport: Any = Transport()
    waiting: deque[Any] = deque()
    flow = PacedReading(transport, waiting)
    older, newest = (SimpleNamespace(body=bytearray(size)) for size in (0, HIGH_WATER_LIMIT + 1))
    for request, read_on in ((older, True), (newest, False)):
        waiting.appendleft((request, None))
        flow.pause_reading()
        flow.resume_reading()
        assert transport.reading is read_on
    waiting.clear()  # they are being answered, which takes their bodies
    flow.resume_reading()
    assert transport.reading
