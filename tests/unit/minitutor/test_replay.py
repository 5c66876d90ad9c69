"""The learners' traffic, against a server that speaks the contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from minitutor import replay
from minitutor.learners import Traffic, asks
from minitutor.problems import BadInput

GOED = "Yesterday he goed to school."


class Recorder(ThreadingHTTPServer):
    """Accepts every sentence as right and keeps what it was told."""

    daemon_threads = True
    said: list[tuple[str, dict[str, Any], Any]]
    refuses_replay = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def asked(self) -> list[tuple[dict[str, Any], Any]]:
        return [(body, headers) for path, body, headers in self.said if path == replay.PATH]

    @property
    def told(self) -> dict[str, str]:
        return {body["request_id"]: body["outcome"] for path, body, _ in self.said if path == "/v1/feedback"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request_id = self.headers.get("X-Request-ID")
        self.server.said.append((self.path, body, self.headers))
        status = 503 if body.get("sentence", "").startswith("I ") else 200
        answer: dict[str, Any] = {"request_id": f"{request_id}-kept", "is_correct": True}
        if self.server.refuses_replay:
            status, answer = 403, {"error": {"code": "replay_refused", "message": "no"}}
        data = json.dumps(answer).encode()
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


def test_traffic_is_sent_and_wrong_sentences_that_pass_are_dismissed(server: Recorder) -> None:
    sent = asks(Traffic(n=120, seed=7, asking=GOED))
    done = replay.replay(server.url, sent)
    assert done["sent"] == len(server.asked) == 120
    failed = {ask.request_id for ask in sent if ask.sentence.startswith("I ")}
    assert done["errors"] == len(failed) > 0
    wrong = [ask for ask in sent if ask.sentence != ask.correction and ask.request_id not in failed]
    assert done["passed"] == len(wrong) > 30
    dismissed = {request for request, outcome in server.told.items() if outcome == "dismissed"}
    assert dismissed == {f"{ask.request_id}-kept" for ask in wrong if ask.says}
    goed = next(ask for ask in sent if ask.sentence == GOED)
    assert f"{goed.request_id}-kept" in dismissed
    assert done["incident"] in dismissed
    assert done["feedback"]["accepted"] > 3
    assert all("X-Spine-Source" not in headers for _, headers in server.asked), "live traffic is not replayed"


def test_a_replayed_day_says_so_with_its_simulated_times(server: Recorder) -> None:
    sent = asks(Traffic(n=60, seed=7, day=date(2026, 11, 16)))
    replay.replay(server.url, sent)
    assert {headers["X-Spine-Source"] for _, headers in server.asked} == {"replay"}
    assert {headers["X-Request-ID"]: headers["X-Spine-Time"] for _, headers in server.asked} == {
        ask.request_id: ask.at for ask in sent
    }


def test_an_interrupted_replay_has_sent_its_beginning(server: Recorder) -> None:
    sent = asks(Traffic(n=80, seed=7, day=date(2026, 11, 16)))
    shared = replay._Shared(sent)
    assert [next(shared) for _ in range(30)] == sent[:30]
    replay.replay(server.url, list(shared))
    assert {headers["X-Request-ID"] for _, headers in server.asked} == {ask.request_id for ask in sent[30:]}


def test_a_server_that_takes_no_replay_is_said(server: Recorder) -> None:
    server.refuses_replay = True
    with pytest.raises(BadInput, match="does not accept replayed traffic"):
        replay.replay(server.url, asks(Traffic(n=20, seed=7, day=date(2026, 11, 16))))
