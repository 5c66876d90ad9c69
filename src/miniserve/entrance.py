"""Two callbacks of the HTTP protocol: one can refuse a request before its body is read, one counts complete requests.

Under overload most requests are refused, so a refusal must be cheap. This module knows neither sockets nor the reasons
for a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from miniserve.replies import Problem


class Entrance(NamedTuple):
    """The callbacks for POST requests to one path."""

    path: str
    refusal: Callable[[], Problem | None]
    """Called when the headers have been read. Returns the error to reply with, or None to read the body."""
    arrived: Callable[[], None] = lambda: None
    """Called when the whole body has been read."""

    def concerns(self, method: bytes, path: str) -> bool:
        """Whether the callbacks are called for a request with this method and path."""
        return method == b"POST" and path == self.path
