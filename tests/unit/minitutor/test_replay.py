"""The learners' traffic, against a server that speaks the contract."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from minitutor import replay


class Recorder(ThreadingHTTPServer):
    """Accepts every sentence as right and keeps what it was told."""

    daemon_threads = True
    said: list[tuple[str, dict[str, Any], str | None]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request_id = self.headers.get("X-Request-ID")
        self.server.said.append((self.path, body, request_id))
        status = 503 if body.get("sentence", "").startswith("I ") else 200
        data = json.dumps({"request_id": f"{request_id}-kept", "is_correct": True}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setenv("SPINE_QUIET", "1")
    recorder = Recorder(("127.0.0.1", 0), Handler)
    recorder.said = []
    thread = threading.Thread(target=recorder.serve_forever)
    thread.start()
    yield recorder
    recorder.shutdown()
    thread.join()
    recorder.server_close()


def test_traffic_is_sent_and_the_false_accept_dismissed(server: Recorder) -> None:
    done = replay.replay(f"http://127.0.0.1:{server.server_port}", 120, 7)
    asked = [(body, request_id) for path, body, request_id in server.said if path == replay.PATH]
    told = {body["request_id"]: body["outcome"] for path, body, _ in server.said if path == "/v1/feedback"}
    assert done["sent"] == len(asked) == 120
    assert done["errors"] == sum(body["sentence"].startswith("I ") for body, _ in asked) > 0
    goed = next(request_id for body, request_id in asked if body["sentence"] == replay.INCIDENT)
    assert done["incident"] == f"{goed}-kept"
    assert told[done["incident"]] == "dismissed"
    assert Counter(told.values())["dismissed"] == 1
    assert len(told) > 5


def test_the_traffic_follows_from_the_seed() -> None:
    assert replay.asks(400, 7) == replay.asks(400, 7)
    assert replay.asks(400, 7) != replay.asks(400, 8)
    asks = replay.asks(400, 7)
    assert len({ask.request_id for ask in asks}) == 400
    assert sum(ask.sentence == replay.INCIDENT for ask in asks) == 1
    heavy = Counter(ask.learner for ask in asks).most_common(4)
    assert sum(n for _, n in heavy) > 400 * 0.2
