"""How much one connection may keep waiting: requests that a client sent before it had the reply to an earlier one.

uvicorn reads on whenever a request is begun or answered, however much waits already, so that one client could fill the
server's memory. This module does not know what the requests say.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from miniserve.replies import Problem

MOST_WAITING = 64
"""The most requests of one connection that wait while an earlier one is answered."""


class PacedReading(FlowControl):
    """Reads nothing more of a connection while the newest waiting request has a large body: nobody takes it yet."""

    def __init__(self, transport: Transport, waiting: Sequence[tuple[RequestResponseCycle, Any]]) -> None:
        """``waiting`` are the requests that wait, the newest first."""
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless too much waits."""
        if not self._waiting or len(self._waiting[0][0].body) <= HIGH_WATER_LIMIT:
            super().resume_reading()


def too_many_waiting() -> Problem:
    """Return the refusal of one request more; those before it are answered."""
    message = f"{MOST_WAITING} requests of this connection wait already"
    return Problem(503, "too_many_waiting", message, {"Retry-After": "1"})
