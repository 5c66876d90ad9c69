"""Error replies: one JSON shape for every error on every path.

It does not know which route failed or how a reply reaches the socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

JSON = "application/json"


class Problem(Exception):
    """Raised to answer a request with an error.

    ``code`` is for programs and ``message`` for people. Neither quotes the request: replies end up in logs, where
    learners' texts do not belong. ``traced`` is True if the request reached a model and is counted by its trace.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        traced: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers: dict[str, str] = dict(headers or {})
        self.traced = traced


def problem_body(code: str, message: str, request_id: str) -> bytes:
    """Return the JSON body of an error reply."""
    return to_json({"error": {"code": code, "message": message, "request_id": request_id}})


def to_json(value: Any) -> bytes:
    """Encode a value as compact JSON."""
    return msgspec.json.encode(value)


def busy(code: str, message: str, seconds: int = 1, *, traced: bool = False) -> Problem:
    """Return a 503 problem that asks the client to retry after ``seconds``."""
    return Problem(503, code, message, {"Retry-After": str(seconds)}, traced=traced)
