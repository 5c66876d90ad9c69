"""Limits that hold for every request, whatever its content: body size, encoding, valid JSON and rate.

``Guard`` is the outermost layer of the application: it gives each request its id, reads the body up to the size
limit and turns every failure into a JSON error. Time limits are in ``protocol``, which sees the socket. This
module does not know the routes.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miniobserve.ids import child_span, fresh_request_id, is_request_id
from miniserve.cors import Origins
from miniserve.replies import JSON, Problem, problem_body

CLIENT_GONE = "client_gone"
"""The key of a request's state under which a function says whether its client has closed the connection."""

MAX_BODY = 10 * 1024
"""Most bytes of a request body unless the settings say otherwise, several times what a text needs."""


class BodyLimit(NamedTuple):
    """How large the body of a path may be as it is sent, and how it may be compressed; the handler decompresses it."""

    most: int
    encodings: tuple[bytes, ...] = ()


_USUAL = BodyLimit(MAX_BODY)
FEEDBACK = "/v1/feedback"
LARGER = {FEEDBACK: BodyLimit(1024 * 1024)}
"""Paths whose bodies may be larger: a call may speak of many answers."""
_LENGTH = re.compile(rb"[0-9]{1,12}")
_ROUTING = {
    404: ("not_found", "no such path; /docs lists the available ones"),
    405: ("method_not_allowed", "method not allowed on this path; the Allow header lists the allowed ones"),
}
_log = logging.getLogger("miniserve")

Refused = Callable[[int], None]


class Guard:
    """ASGI middleware: gives every request an id, a span and a size-limited body, and every failure a JSON reply."""

    def __init__(
        self, app: ASGIApp, *, on_refused: Refused, origins: Origins, limits: Mapping[str, BodyLimit] = {}
    ) -> None:  # fmt: skip
        """Wrap an application; ``limits`` has those of paths whose bodies may be larger than ``MAX_BODY``."""
        self._app = app
        self._on_refused = on_refused
        self._origins = origins
        self._limits = {**LARGER, **limits}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        name_request(scope, headers, self._origins)
        started = False

        async def named_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *naming(scope)]
            await send(message)

        if (allowed := self._origins.preflight(scope["method"], headers)) is not None:
            await named_send({"type": "http.response.start", "status": 204, "headers": allowed})
            await named_send({"type": "http.response.body", "body": b""})
            return
        problem = await self._attempt(scope, headers, receive, named_send)
        if problem is not None and not started:
            if not problem.traced:
                self._on_refused(problem.status)
            await _reply(problem, scope, named_send)

    async def _attempt(
        self, scope: Scope, headers: Mapping[bytes, list[bytes]], receive: Receive, send: Send
    ) -> Problem | None:
        """Run the application and return the problem it ended with, if any."""
        try:
            limit = self._limits.get(scope["path"], _USUAL)
            body = await read_body(headers, scope["method"], receive, limit)
            if body is not None:
                await self._app(scope, _replay(body, receive), send)
        except Problem as problem:
            return problem
        except HTTPException as error:
            code, message = _ROUTING.get(error.status_code, ("http_error", str(error.detail)))
            return Problem(error.status_code, code, message, error.headers)
        except Exception:  # noqa: BLE001 -- the client gets JSON whatever failed; the reason goes to the log only
            _log.exception("a request failed", extra={"fields": {"request_id": scope["request_id"]}})
            return Problem(500, "internal", "internal error; the server's log has the reason under this request id")
        return None


def name_request(scope: MutableMapping[str, Any], headers: Mapping[bytes, list[bytes]], origins: Origins) -> None:
    """Put ``request_id``, ``span`` and ``id_note`` into the scope: from the headers if well formed, else new.

    ``shown`` are the reply headers that let a web page read the reply.
    """
    scope["shown"] = origins.headers(headers)
    given = headers.get(b"x-request-id", [])
    wanted = given[0].decode("latin-1") if len(given) == 1 else ""
    parents = headers.get(b"traceparent", [])
    parent = parents[0].decode("latin-1") if len(parents) == 1 else None
    state = ",".join(value.decode("latin-1") for value in headers.get(b"tracestate", []))
    scope["span"] = child_span(parent, state)
    scope["request_id"] = wanted if is_request_id(wanted) else fresh_request_id()
    scope["id_note"] = "malformed" if given and scope["request_id"] != wanted else ""


async def read_body(
    headers: Mapping[bytes, list[bytes]], method: str, receive: Receive, limit: BodyLimit = _USUAL
) -> bytes | None:
    """Read the whole body; None if the client disconnected.

    Raises:
        Problem: 400 for an invalid length, 411 without a length, 413 for a body that is too large, 415 for a
            content encoding.

    """
    encodings = [value.strip().lower() for value in headers.get(b"content-encoding", [])]
    if any(value not in (b"", b"identity", *limit.encodings) for value in encodings) or len(encodings) > 1:
        allowed = f"as {b', '.join(limit.encodings).decode()} or uncompressed" if limit.encodings else "uncompressed"
        raise Problem(415, "unsupported_encoding", f"send the body {allowed}, without another Content-Encoding")
    lengths = headers.get(b"content-length", [])
    if any(_LENGTH.fullmatch(value) is None for value in lengths) or len(set(lengths)) > 1:
        raise Problem(400, "bad_length", "Content-Length must be a single whole number")
    if lengths and int(lengths[0]) > limit.most:  # refuse before reading any of it
        raise _too_large(limit)
    if method in ("POST", "PUT", "PATCH") and not lengths and b"transfer-encoding" not in headers:
        raise Problem(411, "length_required", "send Content-Length, or use chunked encoding")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit.most:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a body that must be a JSON object in UTF-8, without repeated keys, NaN or lone surrogates.

    Raises:
        Problem: 400 if it is anything else.

    """
    try:
        # Some editors and clients begin UTF-8 with a byte order mark, which RFC 8259 lets a reader ignore.
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
        if b"\\u" in body:  # fails for lone surrogates, which json.loads accepts where they are escaped
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Problem(400, "malformed", "the body must be one JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise Problem(400, "malformed", "the body must be a JSON object, such as {…}")
    return value


def _too_large(limit: BodyLimit) -> Problem:
    return Problem(413, "too_large", f"the body may have at most {limit.most} bytes")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated key")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


def client_gone(scope: Mapping[str, Any]) -> Callable[[], bool]:
    """Return a function that says whether the request's client has closed the connection."""
    found: Callable[[], bool] = scope.get("state", {}).get(CLIENT_GONE, lambda: False)
    return found


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, list[bytes]]:
    """Return the values of each request header by its lower-case name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def wrong_headers(headers: Sequence[tuple[bytes, bytes]], version: str) -> str | None:
    """Return what is wrong with headers that proxies and servers may read differently, or None.

    Two readers that disagree about where a request ends or whom it is for let one caller speak for another.
    """
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version != "1.0"):
        return "send exactly one Host header"
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return "the only transfer coding known here is chunked, given once"
    return None


def naming(scope: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the reply headers that identify the request, and those that let a web page read the reply."""
    named = [
        (b"x-request-id", scope["request_id"].encode()),
        (b"traceparent", scope["span"].traceparent.encode()),
    ]
    if scope["id_note"]:
        named.append((b"x-request-id-replaced", scope["id_note"].encode()))
    return [*named, *scope["shown"]]


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return an ASGI ``receive`` that yields the body already read, then the connection's further messages."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


async def _reply(problem: Problem, scope: Scope, send: Send) -> None:
    body = problem_body(problem.code, problem.message, scope["request_id"])
    headers = {"Content-Type": JSON, "Content-Length": str(len(body)), **problem.headers}
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class RateLimit:
    """A token bucket that refills at ``rate`` per second and holds one second's worth (at least one token)."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = self._most = max(1.0, rate)
        self._at = clock()

    def take(self) -> None:
        """Take one token for a request.

        Raises:
            Problem: 429 if the bucket is empty; Retry-After has the seconds until the next token.

        """
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) / self._rate)
            raise Problem(
                429, "over_rate", "too many requests; wait as long as Retry-After says", {"Retry-After": str(wait)}
            )
        self._tokens -= 1
