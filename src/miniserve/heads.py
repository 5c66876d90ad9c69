"""Heads of HTTP messages, read and written by hand where the application is not asked.

It knows nothing of sockets or of when these are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools

from miniserve.cors import Origins
from miniserve.limits import headers_of, name_request, naming, wrong_headers
from miniserve.replies import JSON, Problem, problem_body

Headers = Sequence[tuple[bytes, bytes]]

MAX_HEADERS = 16 * 1024
"""Most bytes of request line and headers together."""
_OFFERS = frozenset((b"upgrade", b"http2-settings"))
"""Headers, and tokens of ``Connection``, that offer to speak another protocol."""


def path_of(url: bytes) -> str:
    """Return the path that a request is for, as the application sees it: without host and query, and decoded.

    Raises:
        ValueError: the URL has no such path.
        httptools.HttpParserInvalidURLError: it is none.
    """
    path = httptools.parse_url(url).path
    if path is None:
        raise ValueError("no path")
    return unquote(path.decode("ascii"))


def wrong_head(url: bytes, headers: Headers, version: str) -> Problem | None:
    """Return why a request with this head is refused, or None."""
    if (wrong := wrong_headers(headers, version)) is not None:
        return Problem(400, "malformed", wrong)
    if len(url) + sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
        return head_too_large()
    return None


def not_http(reason: str) -> Problem:
    """Return the refusal of input that the parser of HTTP cannot read; ``reason`` is its message."""
    # Its words for a character of the path, the query or the fragment that may not stand there, such as `ü`.
    if reason.startswith("Invalid char in url "):
        why = "a character of the address has to be percent-encoded in UTF-8, such as %C3%BC for ü"
        return Problem(400, "malformed", why)
    return Problem(400, "malformed", "this is not an HTTP/1.1 request")


def head_too_large() -> Problem:
    """Return the refusal of a head, or of trailers, that are larger than ``MAX_HEADERS``."""
    return Problem(431, "headers_too_large", f"request line and headers exceed {MAX_HEADERS} bytes")


def head_without_offer(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Return the request line and headers as they were sent, without those that offer another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            lines += [b"connection: %b" % token for token in tokens if token.lower() not in _OFFERS]
        elif name not in _OFFERS:
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join((*lines, b"", b""))


def error_reply(problem: Problem, headers: Headers, origins: Origins, connection: str) -> bytes:
    """Return a whole reply with an error, named as the application names its replies to a request with these headers.

    ``connection`` is ``close`` or ``keep-alive``.
    """
    scope: dict[str, Any] = {"headers": headers}
    name_request(scope, headers_of(scope), origins)
    body = problem_body(problem.code, problem.message, scope["request_id"])
    named = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in naming(scope))
    more = "".join(f"{name.lower()}: {value}\r\n" for name, value in problem.headers.items())
    head = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: {JSON}\r\n"
        f"content-length: {len(body)}\r\n{more}{named}connection: {connection}\r\n\r\n"
    )
    return head.encode() + body
