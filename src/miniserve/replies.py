"""Replies that are not answers: one shape of JSON for every error, on every path.

It does not know which route failed or how a reply reaches the socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

JSON = "application/json"


class Problem(Exception):
    """A request that is answered with an error.

    ``code`` is a word for programs, ``message`` a sentence for people; neither quotes the request. ``traced`` says that
    the request reached a model and has a trace, by which it is counted.
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
    """The JSON of an error."""
    return to_json({"error": {"code": code, "message": message, "request_id": request_id}})


def to_json(value: Any) -> bytes:
    """A value as compact JSON."""
    return msgspec.json.encode(value)


def busy(code: str, message: str, seconds: int = 1, *, traced: bool = False) -> Problem:
    """503: right request, wrong moment."""
    return Problem(503, code, message, {"Retry-After": str(seconds)}, traced=traced)
