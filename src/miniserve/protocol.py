"""HTTP/1.1 on a socket, with a deadline on every wait for the client and a limit on all that is kept of it.

uvicorn keeps half-sent requests open without a time limit and accepts headers of any size. Here a request must be
complete within ``RECEIVE_SECONDS``, an idle connection and a client that does not read its reply get as long, and
headers have a size limit. A request refused for overload is answered here, before its body is read: under
overload most requests are refused, so refusing must be cheap. This module knows nothing of routes or bodies.
"""

from __future__ import annotations

from asyncio import Transport
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from miniserve.cors import NO_ORIGINS, Origins
from miniserve.crowd import Crowd
from miniserve.deadline import Deadline
from miniserve.entrance import Entrance
from miniserve.heads import MAX_HEADERS, error_reply, head_too_large, head_without_offer, not_http, path_of, wrong_head
from miniserve.limits import CLIENT_GONE
from miniserve.one_write import OneWrite
from miniserve.replies import Problem
from miniserve.waiting import MOST_WAITING, PacedReading, too_many_waiting

RECEIVE_SECONDS = 5.0
LINGER_SECONDS = 0.5
"""How long input on a refused connection is still read and discarded before closing. Closing with unread input
makes the kernel send a TCP reset, and the client could lose the error reply."""
LAST_CALL_SECONDS = 0.5
"""How long an idle connection stays open while the server drains: its next request may already be on its way."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits on time and header size."""

    def __init__(
        self, *args: Any, entrance: Entrance, crowd: Crowd | None = None, origins: Origins = NO_ORIGINS, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._entrance = entrance
        self._origins = origins
        self._crowd = crowd
        self._answering: RequestResponseCycle | None = None
        self._deadline = Deadline(self.loop, self._expired)
        self._turned_away = self._refused = self._unread = self._offered = self._draining = self._closing = False
        self._mid_message, self._in_headers, self._concerned = False, True, False
        self._fed = self._body_bytes = 0
        self._last_reply: Problem | None = None  # the error with which the connection ends once all else is answered

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the deadline, so that a silent connection is closed; close at once one that is too many."""
        if self._crowd is not None and not self._crowd.admits(len(self.connections)):
            self._turned_away = True
            transport.abort()
            return
        super().connection_made(transport)
        self.flow = PacedReading(transport, self.pipeline)
        self._write_deadline = Deadline(self.loop, transport.abort)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel both deadlines, and let the application know that nobody gets its reply."""
        if self._turned_away:
            return
        self._disconnect()
        self._deadline.cancel()
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
            self._refuse(head_too_large())

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
                method, version = self.parser.get_method(), self.parser.get_http_version()
                self._feed(head_without_offer(method, self.url, version, self.headers) + data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self.send_400_response(str(error))

    def send_400_response(self, msg: str) -> None:
        """Refuse input that is not HTTP; ``msg`` is the parser's message, if it has one."""
        self._refuse(not_http(msg))

    def on_message_begin(self) -> None:
        """Start the deadline of a new request."""
        super().on_message_begin()
        self._mid_message = self._in_headers = True
        self._offered = self._concerned = False
        self._fed = self._body_bytes = 0
        self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are read and dropped, since nothing here has a use for them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the headers and refuse under overload; the body shares the headers' deadline."""
        if self._refused or self.transport.is_closing():
            return  # this request came together with one that was the connection's last
        if self.parser.should_upgrade():
            self._offered = True
            return
        wrong = wrong_head(self.url, self.headers, self.parser.get_http_version())
        if len(self.pipeline) >= MOST_WAITING:
            wrong = too_many_waiting()
        if wrong is not None:
            self._refuse(wrong)
            return
        # With pipelining, a refusal now would overtake the reply to an earlier request, which is not answered yet.
        method = self.parser.get_method()
        self._concerned = not self._replying() and self._entrance.concerns(method, path_of(self.url))
        problem = self._entrance.refusal() if self._concerned else None
        if problem is not None:
            self._refuse_unread(problem)
            self._in_headers = False
            return
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # such a client does not know "100 Continue"
        super().on_headers_complete()
        self._in_headers = False
        cycle = self.cycle
        cycle.transport = OneWrite(cycle, self._close_when_read)  # type: ignore[assignment]  # the methods that a cycle calls
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
        self.expect_100_continue = False  # the client has begun to send the body, so it will not wait any more
        if not (self._unread or self._refused):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the deadline: the request is complete, and the client now waits for the server."""
        if self._offered or self._refused:
            return
        answered_early = self._answered_early()
        self._mid_message, self._in_headers, self._fed = False, True, 0
        if self._closing:
            self.transport.close()
        elif answered_early:
            self._unread = False
            self._arm(LAST_CALL_SECONDS if self._draining else RECEIVE_SECONDS)
        else:
            self._deadline.clear()
            if self._concerned:
                self._entrance.arrived()
            super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Handle the client's end of input; returns True to keep the connection open for a pending reply."""
        if self._mid_message and self._replying() and (self._in_headers or self.pipeline):
            self.send_400_response("")  # this request stays incomplete, but the earlier ones get their replies
        if self._last_reply is not None:
            return True
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
        answered = self._answering
        if answered is not None:
            answered.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()
        # Cancel the idle timer uvicorn has just started: the deadline below replaces it.
        self._unset_keepalive_if_required()
        if self._last_reply is not None and not self._replying():
            self._end(self._last_reply)
        elif answered is self.cycle and self._mid_message and not self._in_headers and self.expect_100_continue:
            # Replied before "100 Continue" was sent: the client may or may not send the body, so the next bytes
            # could be read neither as a body nor as a request.
            self.transport.close()
        elif not (self._mid_message or self._refused or self._replying()):
            self._arm()

    def pause_writing(self) -> None:
        """Start the deadline of a client that does not read its reply."""
        super().pause_writing()
        self._write_deadline.set(RECEIVE_SECONDS)

    def resume_writing(self) -> None:
        """Cancel that deadline: the client reads again."""
        self._write_deadline.clear()
        super().resume_writing()

    def _close_when_read(self) -> None:
        """Close the connection after a reply. A body that still comes is read and discarded, up to its deadline."""
        if self._mid_message and not (self.expect_100_continue or self._refused):
            self._closing = True
        else:
            self.transport.close()

    def _arm(self, seconds: float = RECEIVE_SECONDS) -> None:
        self._deadline.set(seconds)

    def _replying(self) -> bool:
        """Whether a request on this connection still awaits its reply."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _answered_early(self) -> bool:
        """Whether the request whose body still comes has its reply already."""
        return self._mid_message and not self._in_headers and (self._unread or self.cycle.response_complete)

    def _expired(self) -> None:
        """Handle a passed deadline: close an idle connection, refuse an incomplete request."""
        if self.transport.is_closing():
            return
        if not self._mid_message or self._answered_early():
            self.transport.close()
        elif self.pipeline or (self._in_headers and self._replying()):
            # Pipelined: a reply now would overtake that to an earlier request, until which little more is read.
            self._arm()
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
        """Read nothing more; reply with an error once earlier requests have their replies, and close the connection."""
        if self._refused or self.transport.is_closing():
            return
        if self._answered_early():
            self.transport.close()
            return
        self._refused = True
        self._deadline.clear()
        if not self._in_headers and self.pipeline:  # it waits behind other requests, which get their replies
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering  # type: ignore[assignment]
        elif not (self._in_headers and self._replying()):
            self._end(problem)
            return
        self._last_reply = problem

    def _end(self, problem: Problem) -> None:
        """Write an error without the application, unless a reply has begun, and close the connection."""
        answering = self._answering
        if answering is None or answering.response_complete or not answering.response_started:
            self._write(problem, "close")
        self._disconnect()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _disconnect(self) -> None:
        """Tell every request of this connection that its client is gone."""
        self.pipeline.clear()
        for cycle in (self._answering, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True  # makes uvicorn discard whatever the application still writes
                cycle.message_event.set()  # wakes the application if it is waiting for the body

    def _write(self, problem: Problem, connection: str) -> None:
        self.transport.write(error_reply(problem, self.headers or [], self._origins, connection))
