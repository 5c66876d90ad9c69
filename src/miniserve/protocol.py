"""HTTP/1.1 on a socket, with a deadline on every wait for the client.

uvicorn keeps idle and half-sent requests open for ever and takes headers of any size. Here a request
must be complete ``RECEIVE_SECONDS`` after it began, a connection may idle as long, a reply must be
read as fast, and headers have a cap. What is turned away is answered here, before its body is read: under
overload that is most of what comes, and must cost next to nothing. It does not know what is asked.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from miniserve.limits import headers_of, name_request, naming
from miniserve.replies import JSON, Problem, problem_body

RECEIVE_SECONDS = 5.0
LINGER_SECONDS = 0.5
"""How long a refused connection is still read, and thrown away: closing on unread bytes would reset the
connection and the client would lose the reason."""
LAST_CALL_SECONDS = 0.5
"""How long an idle connection stays open while the server drains: its next request may be on the way."""
MAX_HEADERS = 16 * 1024
"""Bytes of request line and headers together."""

TurnAway = Callable[[bytes, bytes], Problem | None]
"""Why a request of this method and URL is not to be read, or None."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, bounded in time and size."""

    def __init__(self, *args: Any, turn_away: TurnAway = lambda _method, _url: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn_away = turn_away
        self._unread = False
        self._answering: RequestResponseCycle | None = None
        self._deadline: TimerHandle | None = None
        self._write_deadline: TimerHandle | None = None
        self._mid_message = False
        self._in_headers = True
        self._fed = 0
        self._draining = False
        self._refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that says nothing is closed."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._disarm()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which keeps an unfinished header however long it grows: so its input is counted."""
        if self._refused:
            return
        self._fed += len(data)
        super().data_received(data)
        if self._in_headers and self._fed > MAX_HEADERS:
            self._refuse_headers()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Answer what is not HTTP."""
        self._refuse(Problem(400, "malformed", "this is not an HTTP/1.1 request"))

    def on_message_begin(self) -> None:
        """A request begins: it has its own deadline from here."""
        super().on_message_begin()
        self._mid_message = self._in_headers = True
        self._fed = 0
        self._arm()

    def on_headers_complete(self) -> None:
        """The headers are complete; the body has what is left of the deadline."""
        self._in_headers = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADERS:
            self._refuse_headers()
            return
        # Behind a request that is still being answered the refusal would come out of turn.
        problem = None if self._replying() else self._turn_away(self.parser.get_method(), self.url)
        if problem is not None:
            self._refuse_unread(problem)
            return
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # ``cycle`` of a connection is its newest request, which may wait behind this one.
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """A part of the body: thrown away where the request was turned away."""
        if not self._unread:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; the wait is on our side now."""
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
        """The client sends no more; whether it may still read its reply."""
        if self._mid_message or not self._replying():
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """The server drains: what is under way is answered, then the connection closes."""
        self._draining = True
        if self._replying():
            self.cycle.keep_alive = False
        elif not self._mid_message:
            self._arm(LAST_CALL_SECONDS)

    def on_response_complete(self) -> None:
        """The reply is out: wait for the next request, but not for ever."""
        super().on_response_complete()
        # uvicorn's own timer for idle connections is ours.
        self._unset_keepalive_if_required()
        if self._mid_message and self.expect_100_continue:
            self.transport.close()  # nobody knows whether the body that was announced will come
        elif not self._mid_message and not self._replying():
            self._arm()

    def pause_writing(self) -> None:
        """The client does not read its reply."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(RECEIVE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        super().resume_writing()

    def _refuse_headers(self) -> None:
        self._refuse(Problem(431, "headers_too_large", f"request line and headers may have {MAX_HEADERS} bytes"))

    def _arm(self, seconds: float = RECEIVE_SECONDS) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _replying(self) -> bool:
        """Whether a complete request on this connection still waits for its reply."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _expired(self) -> None:
        """The client took too long."""
        self._deadline = None
        if self.transport.is_closing():
            return
        if not self._mid_message or self._unread or (not self._in_headers and self.cycle.response_complete):
            self.transport.close()  # idle, or the rest of a body that was refused
        elif self._in_headers and self._replying():
            self._arm()  # an earlier request of the connection is being answered
        else:
            self._refuse(Problem(408, "too_slow", f"a request must be complete within {RECEIVE_SECONDS:.0f} seconds"))

    def _refuse_unread(self, problem: Problem) -> None:
        """Answer before the body is read and keep the connection: connecting again would cost both sides more."""
        if self._draining or self.expect_100_continue or not self.parser.should_keep_alive():
            self._refuse(problem)
        elif not self._refused:
            self._unread = True
            self._write(problem, "keep-alive")

    def _refuse(self, problem: Problem) -> None:
        """Write an error past the application, unless a reply has begun, and close."""
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
                cycle.disconnected = True  # it writes no more
                cycle.message_event.set()
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
