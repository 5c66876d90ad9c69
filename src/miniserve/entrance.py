"""Which requests may be refused before their bodies are read, and who is told of those that came whole.

Under overload most requests are refused, so that must be cheap. It knows nothing of sockets or of what is refused for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from miniserve.replies import Problem


class Entrance(NamedTuple):
    """What a server does with requests that POST to one path, while they come."""

    path: str
    refusal: Callable[[], Problem | None]
    """Asked once the head is here: the problem to reply with, or None to read the body."""
    arrived: Callable[[], None] = lambda: None
    """Called once the whole body is here."""

    def concerns(self, method: bytes, path: str) -> bool:
        """Whether this is about a request."""
        return method == b"POST" and path == self.path
