"""What clients may do with a connection: offer other protocols, send trailers, hold it, or go away."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from miniobserve.reader import TraceReader
from miniserve.crowd import Crowd, most_connections
from miniserve.protocol import MAX_HEADERS
from shout_server import Server, add_entry, make_project, open_project, post, read_until_closed

HEAD = b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"text": "hello"}'
SIZED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("wire") / "project")
    with open_project(made) as spine:
        add_entry(spine, 1, delay=0.15)
    return made


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with Server(root) as running:
        yield running


def exchange(server: Server, *pieces: bytes, pause: float = 0.05) -> bytes:
    """Send pieces one after another, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as link:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            try:
                link.sendall(piece)
            except OSError:
                break  # the server has closed already, and what it said can still be read
        return read_until_closed(link)


def statuses(reply: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]


OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n",
    b"connection: keep-alive, upgrade\r\nUPGRADE: websocket\r\n",
]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("body", [SIZED + b"\r\n" + BODY, CHUNKED + b"\r\n" + CHUNKS + b"0\r\n\r\n"])
@pytest.mark.parametrize("cut", [0, -len(BODY), -3])
def test_an_offer_to_speak_another_protocol_is_ignored_and_the_body_read(
    server: Server, offer: bytes, body: bytes, cut: int
) -> None:
    request = HEAD + offer + b"X-Request-ID: req-upgrade\r\n" + body
    following = post("again", Connection="close")
    pieces = [request + following] if not cut else [request[:cut], request[cut:] + following]
    reply = exchange(server, *pieces)
    assert statuses(reply) == [200, 200]
    assert b"1:HELLO" in reply


def test_connect_is_refused(server: Server) -> None:
    assert statuses(exchange(server, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n")) == [400]


def test_trailers_of_an_ordinary_size_change_nothing(server: Server) -> None:
    request = HEAD + CHUNKED + b"Connection: close\r\n\r\n" + CHUNKS + b"0\r\nX-Request-ID: req-trailer-1\r\n\r\n"
    reply = exchange(server, request)
    assert statuses(reply) == [200]
    assert b"req-trailer-1" not in reply, "a trailer is no header"


@pytest.mark.parametrize("trailer", [b"a:\r\n", b"a: " + b"b" * 997 + b"\r\n", b"b" * 1000])
def test_trailers_without_end_are_refused_as_headers_are(server: Server, trailer: bytes) -> None:
    start = HEAD + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n"
    some = trailer * (8192 // len(trailer) + 1)
    reply = exchange(server, start, *[some] * (4 + 3 * MAX_HEADERS // len(some)), pause=0.01)
    assert statuses(reply) == [431]


def test_chunks_of_one_byte_are_no_trailers(server: Server) -> None:
    body = json.dumps({"text": "x" * 400}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    request = HEAD + CHUNKED + b"Connection: close\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert statuses(exchange(server, *(request[at : at + 700] for at in range(0, len(request), 700)), pause=0.0)) == [
        200
    ]


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: x\r\nHost: y\r\n" + SIZED,
        b"Host: x\r\nHost: x\r\n" + SIZED,
        SIZED,
        b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Host: x\r\nTransfer-Encoding: identity\r\n",
        b"Host: x\r\nTransfer-Encoding: chunked\r\n" + SIZED,
    ],
)
def test_what_two_readers_may_read_differently_is_malformed(server: Server, headers: bytes) -> None:
    body = CHUNKS + b"0\r\n\r\n" if b"Transfer" in headers else BODY
    assert statuses(exchange(server, b"POST /v1/shout HTTP/1.1\r\n" + headers + b"\r\n" + body)) == [400]


def test_an_answer_that_nobody_got_is_told_apart(root: Path, server: Server) -> None:
    for number in range(3):
        link = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.sendall(post(f"gone {number}", **{"X-Request-ID": f"req-gone-{number}"}))
        time.sleep(0.05)
        link.close()
    assert server.ask("stayed", **{"X-Request-ID": "req-stayed-1"}).status_code == 200
    with closing(TraceReader.open(f"sqlite:///{root / '.spine' / 'traces.db'}")) as traces:
        assert [traces[f"req-gone-{number}"].status for number in range(3)] == [499, 499, 499]
        gone = traces["req-gone-0"]
        assert (gone.correction, gone.error) == ("1:GONE 0", "the client closed the connection before the answer")
        epoch = gone.assignment.epoch
        assert "req-gone-0" not in str(traces.evidence.units(epoch))
        answered = sum(unit.n for unit in traces.evidence.units(epoch))
        assert answered == sum(trace.status == 200 for trace in traces.list(limit=500).traces)
    assert 'spine_request_total{arm="stable",code="499"} 3.0' in server.get("/metrics").text


def test_connections_are_bounded_below_the_files_and_the_log_stays_small(root: Path) -> None:
    with Server(root, launcher="shout_few_files.py") as server:
        held: list[socket.socket] = []
        for _ in range(400):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", server.port))
            held.append(link)
        time.sleep(2)
        refused = sum(_closed(link) for link in held)
        assert refused >= 400 - 220
        for link in held:
            link.close()
        time.sleep(0.3)
        assert server.ask("again").status_code == 200
        log = server.log.read_text()
        assert "too many are open" in log
        assert "Traceback" not in log
        assert len(log.splitlines()) < 20


def _closed(link: socket.socket) -> bool:
    try:
        return link.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_refusals_are_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    crowd = Crowd(2, clock=lambda: now[0])
    assert [crowd.admits(n) for n in (0, 1, 2, 3)] == [True, True, False, False]
    now[0] = 1.5
    crowd.admits(2)
    assert [record.fields["refused"] for record in caplog.records] == [1, 2]  # type: ignore[attr-defined]


def test_the_bound_leaves_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    assert 700 < most_connections() < 900
    monkeypatch.setattr("resource.getrlimit", lambda _: (50, 4096))
    assert most_connections() == 1
