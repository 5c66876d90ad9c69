"""Thousands of broken requests: no 5xx, always JSON with a request id, no control byte in a log.

``SPINE_FAULTS=long`` sends 20,000 instead of 6,000.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from shout_server import Server, add_entry, make_project, open_project, post, read_until_closed

RAW = MUTANTS = 10_000 if os.environ.get("SPINE_FAULTS") == "long" else 3000
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = make_project(tmp_path_factory.mktemp("fuzzed") / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    with Server(root, "--allow-replay") as running:
        yield running
        assert running.ask().status_code == 200, "it still answers"
        assert running.stop() == 0
    check_log(running.log)


def check_log(path: Path) -> None:
    log = path.read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", log)
    for line in log.splitlines():
        json.loads(line)
    assert b"Traceback" not in log


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The data with a few bytes flipped, inserted, removed, repeated or cut."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1) if out else 0
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 4))
        elif kind == 2:
            del out[at : at + rng.randint(1, 8)]
        elif kind == 3:
            out[at:at] = out[at : at + rng.randint(1, 40)]
        elif kind == 4:
            out[at:at] = rng.choice([b"\r\n", b"\r\n\r\n", b"\x00", b"\x1b[31m", b"%", b":", b"chunked", b"\xff\xfe"])
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


SEEDS = (
    post("hello", X_Request_ID="fuzz.request-1"),
    post("hello", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    post("hello", X_Spine_Source="replay", X_Spine_Time="2026-03-02T08:00:00Z"),
    post("x", path="/v1/feedback"),
    b'POST /v1/shout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"te\r\n9\r\nxt": "x"}\r\n0\r\n\r\n',
    b"GET /v1/route HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /readyz?a=b#c HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)


@pytest.mark.timeout(120 * RAW // 3000)
def test_raw_bytes_never_break_it(server: Server) -> None:
    rng = random.Random(20)
    statuses: Counter[int] = Counter()
    for _ in range(RAW):
        sent = mutated(rng, rng.choice(SEEDS)) if rng.random() < 0.95 else rng.randbytes(rng.randint(1, 300))
        with socket.create_connection(("127.0.0.1", server.port), timeout=8) as sock:
            try:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            reply = read_until_closed(sock)
        for head in re.split(rb"(?=HTTP/1\.1 \d{3} )", reply)[1:]:
            found = _HEAD.match(head)
            assert found
            status = int(found[1])
            statuses[status] += 1
            assert status < 500, (sent, reply)
            assert b"x-request-id: " in head, (sent, reply)
            headers, _, body = head.partition(b"\r\n\r\n")
            if status != 100 and body:
                assert b"application/json" in headers or b"text/" in headers
                assert b"application/json" not in headers or isinstance(json.loads(body), dict)
    assert statuses[200] > 50
    assert statuses[400] > 200
    assert len(statuses) >= 5, statuses


def hostile(rng: random.Random) -> object:
    return rng.choice(
        [
            "hello", "", " ", "x" * 501, "\x00\x1b]0;x\x07", "\u202egnirts", "\ud83d\ude00", "𝄞" * 500, None, True,
            0, -1, 1e308, 2**63, [], {}, ["a"], {"a": {}}, "fuzz.request-1", "accepted",
            "dismissed", "LEARNER", "a" * 128, "a" * 129,
        ]
    )  # fmt: skip


def mutant(rng: random.Random) -> bytes:
    """A body that is nearly one that is taken."""
    names = ["text", "learner_id", "request_id", "outcome", "Text", "text\x00", "", "__proto__"]
    body = {rng.choice(names): hostile(rng) for _ in range(rng.randint(0, 3))}
    if rng.random() < 0.4:
        body["text"] = hostile(rng)
    text = json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutated(rng, text) if rng.random() < 0.4 else text


@pytest.mark.timeout(120 * MUTANTS // 3000)
def test_json_mutants_never_break_it(server: Server) -> None:
    rng = random.Random(21)
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=8)
    for _ in range(MUTANTS):
        path = rng.choice(["/v1/shout", "/v1/shout", "/v1/shout", "/v1/feedback"])
        connection.request("POST", path, mutant(rng), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        said = json.loads(reply.read())
        statuses[reply.status] += 1
        assert reply.status < 500
        named = said["request_id"] if reply.status == 200 else said["error"]["request_id"]
        if path == "/v1/shout" or reply.status != 200:
            assert named == reply.headers["x-request-id"]
    connection.close()
    assert set(statuses) >= {200, 400, 422}
    assert min(statuses[status] for status in (200, 400, 422)) > 50, statuses
