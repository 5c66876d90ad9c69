"""What clients may do with a connection: offer other protocols, send trailers, hold it, or go away."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from miniobserve.reader import TraceReader
from miniserve.crowd import Crowd, most_connections
from miniserve.heads import MAX_HEADERS
from miniserve.limits import MAX_BODY
from miniserve.protocol import RECEIVE_SECONDS
from miniserve.waiting import MOST_WAITING
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


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_body_that_is_far_too_large_is_read_to_its_end_so_that_the_client_sees_why(
    server: Server, connection: bytes
) -> None:
    """Nothing is read of the reply before all is sent, as urllib does: a reset would lose it."""
    size = 20 << 20
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as link:
        link.sendall(HEAD + b"Connection: %b\r\nContent-Length: %d\r\n\r\n" % (connection, size))
        link.sendall(b"x" * size)
        if connection == b"keep-alive":
            link.shutdown(socket.SHUT_WR)
        assert statuses(read_until_closed(link)) == [413]


EXPECT = b"Expect: 100-continue\r\n"
LARGE = b"%x\r\n%b\r\n" % (MAX_BODY + 1, b"x" * (MAX_BODY + 1))


def test_a_body_in_chunks_that_is_too_large_keeps_its_reply_though_the_client_asked_before_sending_it(
    server: Server,
) -> None:
    """The client was told to go on, so it sends all of it before it reads: closing at once would reset the reply."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as link:
        link.sendall(HEAD + CHUNKED + EXPECT + b"Connection: close\r\n\r\n")
        assert statuses(link.recv(1024)) == [100]
        for _ in range(20):
            link.sendall(LARGE)
            time.sleep(0.02)
        link.sendall(b"0\r\n\r\n")
        assert statuses(read_until_closed(link)) == [413]


def test_a_reply_leaves_alone_a_later_request_whose_client_waits_to_send_its_body(server: Server) -> None:
    second = HEAD + EXPECT + b"Connection: close\r\n" + SIZED + b"\r\n"
    request = HEAD + SIZED + b"\r\n" + BODY
    for cut in (len(second), -len(SIZED)):
        assert statuses(exchange(server, request + second[:cut], second[cut:], BODY, pause=0.4)) == [200, 100, 200]


def test_a_client_of_http_1_0_is_not_sent_100_continue(server: Server) -> None:
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + EXPECT + SIZED
    assert statuses(exchange(server, head + b"\r\n", BODY)) == [200]


def test_a_connection_is_closed_when_it_stays_idle_after_a_body_that_was_refused_before_it_came(server: Server) -> None:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as link:
        link.sendall(head)
        assert statuses(link.recv(4096)) == [413]
        link.sendall(b"x" * (MAX_BODY + 1))
        link.sendall(HEAD + SIZED + b"\r\n" + BODY)
        assert statuses(link.recv(4096)) == [200], "the connection is kept"
        link.sendall(head)
        assert statuses(link.recv(4096)) == [413]
        link.sendall(b"x" * (MAX_BODY + 1))
        link.settimeout(3 * RECEIVE_SECONDS)
        assert link.recv(1) == b""


NO_REQUEST = [
    (b"nonsense\r\n\r\n", 400),
    (b"POST /v1/shout HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),  # without a host
    (HEAD + CHUNKED + b"\r\nzz\r\n", 400),
    (HEAD + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n" + b"a: b\r\n" * 10_000, 431),
    (HEAD + b"X-Long: " + b"x" * MAX_HEADERS, 431),
]


@pytest.mark.parametrize(("wrong", "status"), NO_REQUEST)
def test_an_error_does_not_take_the_place_of_the_reply_to_an_earlier_request(
    server: Server, wrong: bytes, status: int
) -> None:
    request = HEAD + SIZED + b"\r\n" + BODY
    for earlier in (1, 2):
        reply = exchange(server, request * earlier + wrong[:8], wrong[8:], pause=0.02)
        assert statuses(reply) == [200] * earlier + [status]


GET = b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n"
REQUESTS = [
    (HEAD + SIZED + b"\r\n" + BODY, 200),
    (HEAD + EXPECT + SIZED + b"\r\n" + BODY, 200),
    (HEAD + CHUNKED + b"\r\n" + CHUNKS + b"0\r\nX-Trailer: x\r\n\r\n", 200),
    (HEAD + OFFERS[0] + SIZED + b"\r\n" + BODY, 200),
    (HEAD + b"Content-Length: 1\r\n\r\n{", 400),
    (HEAD + b"Content-Length: %d\r\n\r\n" % (2 * MAX_BODY) + b"x" * 2 * MAX_BODY, 413),
    (HEAD + CHUNKED + b"\r\n" + LARGE * 2 + b"0\r\n\r\n", 413),
    (HEAD + b"Content-Encoding: br\r\n" + SIZED + b"\r\n" + BODY, 415),
    (b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (GET % (b"/nowhere", b""), 404),
]
LAST = [(GET % (b"/healthz", b"Connection: close\r\n"), 200), *NO_REQUEST[:3]]


@pytest.mark.parametrize("seed", range(16))
def test_each_request_of_a_connection_gets_its_reply_in_its_turn(server: Server, seed: int) -> None:
    random = Random(seed)
    chosen = [*random.choices(REQUESTS, k=random.randint(1, 5)), random.choice(LAST)]
    sent = b"".join(request for request, _ in chosen)
    cuts = sorted(random.sample(range(len(sent)), 4))
    pieces = [sent[start:end] for start, end in pairwise([0, *cuts, len(sent)])]
    reply = exchange(server, *pieces, pause=random.choice([0.0, 0.01, 0.1]))
    assert [status for status in statuses(reply) if status != 100] == [status for _, status in chosen]


def test_what_is_wrong_with_a_body_that_was_refused_already_gets_no_second_reply(server: Server) -> None:
    reply = exchange(server, HEAD + CHUNKED + b"\r\n" + LARGE, b"zz\r\n", pause=0.3)
    assert statuses(reply) == [413]


def test_requests_in_the_same_packet_behind_one_that_was_refused_are_not_begun(root: Path) -> None:
    hostless = b"POST /v1/shout HTTP/1.1\r\n" + SIZED + b"\r\n" + BODY
    with Server(root) as server:
        assert statuses(exchange(server, hostless + 2 * (HEAD + SIZED + b"\r\n" + BODY))) == [400]
        assert server.stop() == 0
        assert "task" not in server.log.read_text(), "the server had to cancel a request that waited for its body"


@pytest.mark.parametrize("rest", [b"", b"nonsense\r\n\r\n", HEAD[:30], HEAD + SIZED + b"\r\n" + BODY[:3]])
def test_a_client_that_sends_nothing_more_gets_every_reply(server: Server, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as link:
        link.sendall(2 * (HEAD + SIZED + b"\r\n" + BODY) + rest)
        time.sleep(0.05)
        link.shutdown(socket.SHUT_WR)
        assert statuses(read_until_closed(link)) == [200, 200, *[400] * bool(rest)]


@pytest.mark.parametrize("offer", [b"", OFFERS[1]])
def test_requests_without_end_behind_one_that_is_answered_are_refused(server: Server, offer: bytes) -> None:
    """Each that waits takes memory, and one packet holds thousands of them."""
    sent = HEAD + SIZED + b"\r\n" + BODY + 2_000 * (GET % (b"/healthz", offer))
    reply = exchange(server, sent)
    assert statuses(reply) == [200] * (1 + MOST_WAITING) + [503]
    assert b"retry-after: 1\r\n" in reply


def test_a_body_that_the_server_leaves_unread_behind_other_requests_is_not_too_slow(server: Server) -> None:
    earlier = HEAD + SIZED + b"\r\n" + BODY
    slow = int(1.1 * RECEIVE_SECONDS / 0.15)
    last = HEAD + b"Connection: close\r\n" + SIZED + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=3 * RECEIVE_SECONDS) as link:
        link.sendall(slow * earlier)
        time.sleep(0.1)
        link.sendall(last)
        time.sleep(0.1)
        link.sendall(BODY)
        assert statuses(read_until_closed(link)) == [200] * (slow + 1)


def test_connect_is_refused(server: Server) -> None:
    assert statuses(exchange(server, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n")) == [400]


@pytest.mark.parametrize("address", ["/v1/shout?text=müller", "/müller", "/v1/shout\x01", "/v1/shout?a#ü"])
def test_a_character_that_has_to_be_encoded_is_named_as_the_reason(server: Server, address: str) -> None:
    reply = exchange(server, f"GET {address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert statuses(reply) == [400]
    assert b"a character of the address has to be percent-encoded" in reply
    assert b"not an HTTP/1.1 request" in exchange(server, b"GET / FTP/1.1\r\n\r\n")


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
        assert (gone.output, gone.error) == ("1:GONE 0", "the client closed the connection before the answer")
        epoch = gone.assignment.epoch
        assert "req-gone-0" not in str(traces.evidence.units(epoch))
        answered = sum(unit.n for unit in traces.evidence.units(epoch))
        assert answered == sum(trace.status == 200 for trace in traces.list(limit=500).traces)
    assert 'spine_request_total{arm="stable",code="499"} 3.0' in server.get("/metrics").text


def test_an_answer_that_nobody_got_is_told_apart_when_another_request_waits_behind_it(
    root: Path, server: Server
) -> None:
    link = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.sendall(post("first", **{"X-Request-ID": "req-gone-first"}) + post("second"))
    time.sleep(0.05)
    link.close()
    assert server.ask("stayed").status_code == 200
    with closing(TraceReader.open(f"sqlite:///{root / '.spine' / 'traces.db'}")) as traces:
        assert traces["req-gone-first"].status == 499


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
