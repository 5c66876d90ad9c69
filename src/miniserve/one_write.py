"""The transport of one reply, which sends head and body together.

uvicorn writes them apart, which costs two system calls and two packets for replies that are all short. This module does
not know what a reply says.
"""

from __future__ import annotations

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class OneWrite:
    """What a cycle needs of a transport."""

    def __init__(self, cycle: RequestResponseCycle, close: Callable[[], None]) -> None:
        """``close`` closes the connection once it may."""
        self._cycle = cycle
        self._close = close
        self._transport = cycle.transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Keep a head until the body follows, which it does at once: no reply here is a stream."""
        if self._cycle.response_started and not self._held:
            self._held = data
            return
        self._transport.write(self._held + data)
        self._held = b""

    def flush(self) -> None:
        """Send what is kept: the head of a reply without a body."""
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def close(self) -> None:
        """Close the connection once all is sent."""
        self.flush()
        self._close()

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()
