"""HTTP/1.1 on a socket, with a deadline on every wait for the client and a limit on all that is kept of it.

uvicorn keeps half-sent requests open without a time limit and accepts headers of any size. Here a request must be
complete within ``RECEIVE_SECONDS``, an idle connection and a client that does not read its reply get as long, and
headers have a size limit. A request refused for overload is answered here, before its body is read: under
overload most requests are refused, so refusing must be cheap. This module knows nothing of routes or bodies.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from miniserve.crowd import Crowd
from miniserve.limits import CLIENT_GONE, headers_of, name_request, naming
from miniserve.replies import JSON, Problem, problem_body

RECEIVE_SECONDS = 5.0
LINGER_SECONDS = 0.5
"""How long input on a refused connection is still read and discarded before closing. Closing with unread input
makes the kernel send a TCP reset, and the client could lose the error reply."""
LAST_CALL_SECONDS = 0.5
"""How long an idle connection stays open while the server drains: its next request may already be on its way."""
MAX_HEADERS = 16 * 1024
"""Most bytes of request line and headers together."""

_OFFERS = frozenset((b"upgrade", b"http2-settings"))
"""Headers, and tokens of ``Connection``, that offer to speak another protocol."""

TurnAway = Callable[[bytes, bytes], Problem | None]
"""Given method and URL: the problem to reply with instead of reading the body, or None to accept the request."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits on time and header size."""

    def __init__(
        self, *args: Any, turn_away: TurnAway = lambda _method, _url: None, crowd: Crowd | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._turn_away = turn_away
        self._crowd = crowd
        self._turned_away = False
        self._unread = False
        self._answering: RequestResponseCycle | None = None
        self._deadline: TimerHandle | None = None
        self._write_deadline: TimerHandle | None = None
        self._mid_message = False
        self._in_headers = True
        self._fed = 0
        self._body_bytes = 0
        self._offered = False
        self._draining = False
        self._refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the deadline, so that a silent connection is closed; close at once one that is too many."""
        if self._crowd is not None and not self._crowd.admits(len(self.connections)):
            self._turned_away = True
            transport.abort()
            return
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel both deadlines."""
        if self._turned_away:
            return
        self._disarm()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse the connection if the headers grow too large."""
        if self._refused:
            return
        # Counted here because the parser buffers an unfinished header of any length before it reports one.
        self._fed += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        # Behind the headers, what is not body is chunk sizes, which cost up to 6 bytes a byte, and trailers.
        most = MAX_HEADERS if self._in_headers else 2 * MAX_HEADERS + 8 * self._body_bytes
        if self._fed > most:
            self._refuse_headers()

    def _feed(self, data: bytes) -> None:
        """Feed the parser; an offer to speak another protocol is ignored, as HTTP allows."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser stops behind the headers, as if the other protocol began there. So it reads them again
            # without the offer, and what follows as the request's body.
            if self._refused or self.parser.get_method() == b"CONNECT":
                self.send_400_response("")
            else:
                self._feed(self._head_without_offer() + data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _head_without_offer(self) -> bytes:
        """The request line and headers as they were sent, without those that offer another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                lines += [b"connection: %b" % token for token in tokens if token.lower() not in _OFFERS]
            elif name not in _OFFERS:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join((*lines, b"", b""))

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Refuse input that is not HTTP."""
        self._refuse(Problem(400, "malformed", "this is not an HTTP/1.1 request"))

    def on_message_begin(self) -> None:
        """Start the deadline of a new request."""
        super().on_message_begin()
        self._mid_message = self._in_headers = True
        self._offered = False
        self._fed = self._body_bytes = 0
        self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are read and dropped, since nothing here has a use for them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the headers and refuse under overload; the body shares the headers' deadline."""
        if self.parser.should_upgrade():
            self._offered = True
            return
        self._in_headers = False
        if (wrong := _wrong_headers(self.headers, self.parser.get_http_version())) is not None:
            self._refuse(Problem(400, "malformed", wrong))
            return
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADERS:
            self._refuse_headers()
            return
        # With pipelining, a refusal now would overtake the reply to an earlier request, which is not answered yet.
        problem = None if self._replying() else self._turn_away(self.parser.get_method(), self.url)
        if problem is not None:
            self._refuse_unread(problem)
            return
        super().on_headers_complete()
        cycle = self.cycle
        self.scope["state"][CLIENT_GONE] = lambda: cycle.disconnected
        if self._draining:
            cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # self.cycle is the newest request of the connection, which may still be queued behind this one.
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body; discard it if the request was refused unread."""
        self._body_bytes += len(body)
        if not (self._unread or self._refused):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the deadline: the request is complete, and the client now waits for the server."""
        if self._offered or self._refused:
            return
        self._mid_message = False
        self._in_headers = True
        self._fed = 0
        if self._unread:
            self._unread = False
            self._arm(LAST_CALL_SECONDS if self._draining else RECEIVE_SECONDS)
            return
        self._disarm()
        super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Handle the client's end of input; returns True to keep the connection open for a pending reply."""
        if self._mid_message or not self._replying():
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Begin to drain: close the connection once its current request has been answered."""
        self._draining = True
        if self._replying():
            self.cycle.keep_alive = False
        elif not self._mid_message:
            self._arm(LAST_CALL_SECONDS)

    def on_response_complete(self) -> None:
        """Start the deadline for the next request once the reply has been sent."""
        super().on_response_complete()
        # Cancel the idle timer uvicorn has just started: the deadline below replaces it.
        self._unset_keepalive_if_required()
        if self._mid_message and self.expect_100_continue:
            # Replied before "100 Continue" was sent: the client may or may not send the body, so the next bytes
            # could be read neither as a body nor as a request.
            self.transport.close()
        elif not self._mid_message and not self._replying():
            self._arm()

    def pause_writing(self) -> None:
        """Start the deadline of a client that does not read its reply."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(RECEIVE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel that deadline: the client reads again."""
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        super().resume_writing()

    def _refuse_headers(self) -> None:
        self._refuse(Problem(431, "headers_too_large", f"request line and headers exceed {MAX_HEADERS} bytes"))

    def _arm(self, seconds: float = RECEIVE_SECONDS) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _replying(self) -> bool:
        """Whether a request on this connection still awaits its reply."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _expired(self) -> None:
        """Handle a passed deadline: close an idle connection, refuse an incomplete request."""
        self._deadline = None
        if self.transport.is_closing():
            return
        if not self._mid_message or self._unread or (not self._in_headers and self.cycle.response_complete):
            self.transport.close()  # idle, or still sending a body whose request has been answered
        elif self._in_headers and self._replying():
            self._arm()  # pipelined: replying now would overtake the reply to an earlier request
        else:
            self._refuse(Problem(408, "too_slow", f"a request must be complete within {RECEIVE_SECONDS:.0f} seconds"))

    def _refuse_unread(self, problem: Problem) -> None:
        """Reply before the body is read and keep the connection where possible: reconnecting would cost more."""
        if self._draining or self.expect_100_continue or not self.parser.should_keep_alive():
            self._refuse(problem)
        elif not self._refused:
            self._unread = True
            self._write(problem, "keep-alive")

    def _refuse(self, problem: Problem) -> None:
        """Write an error without the application, unless a reply has begun, and close the connection."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._disarm()
        answering = self._answering
        if answering is None or answering.response_complete or not answering.response_started:
            self._write(problem, "close")
        self.pipeline.clear()
        for cycle in (answering, self.cycle):
            if cycle is not None:
                cycle.disconnected = True  # makes uvicorn discard whatever the application still writes
                cycle.message_event.set()  # wakes the application if it is waiting for the body
        self.transport.write_eof()
        self._deadline = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _write(self, problem: Problem, connection: str) -> None:
        scope: dict[str, Any] = {"headers": self.headers or []}
        name_request(scope, headers_of(scope))
        body = problem_body(problem.code, problem.message, scope["request_id"])
        named = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in naming(scope))
        more = "".join(f"{name.lower()}: {value}\r\n" for name, value in problem.headers.items())
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: {JSON}\r\n"
            f"content-length: {len(body)}\r\n{more}{named}connection: {connection}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


def _wrong_headers(headers: Sequence[tuple[bytes, bytes]], version: str) -> str | None:
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
