"""The server as a process: its contract on the wire, the route it follows, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from miniobserve.reader import TraceReader
from shout_server import HERE, Server, add_entry, make_project, open_project, post

MAX_BODY = 20 * 1024
"""As the setting ``max_body_kb`` of this project says."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = make_project(tmp_path_factory.mktemp("served") / "project", max_body_kb="20")
    with open_project(root) as spine:
        add_entry(spine, 1)
    with Server(root) as server:
        yield server


def head_and_error(reply: bytes) -> tuple[int, dict[str, str]]:
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def test_it_says_what_it_serves_and_where(served: Server) -> None:
    assert re.fullmatch(
        r"serving v0\.1\.0 [0-9a-f]{4}…  on http://127\.0\.0\.1:\d+  \(Ctrl-C finishes open requests and stops\)\n",
        served.line,
    )


def test_an_answer_comes_over_the_wire_with_its_names(served: Server) -> None:
    reply = served.ask("hello", X_Request_ID="wire.request-1")
    assert reply.status_code == 200
    assert reply.json()["correction"] == "1:HELLO"
    assert reply.headers["x-request-id"] == "wire.request-1"
    assert reply.headers["x-model-sha"] == reply.json()["model_sha"]
    assert "server" not in reply.headers
    again = served.ask("hello", X_Request_ID="wire.request-1")
    assert again.headers["x-request-id-replaced"] == "used"


def test_feedback_and_the_reading_routes(served: Server) -> None:
    request_id = served.ask().json()["request_id"]
    said = httpx.post(f"{served.url}/v1/feedback", json={"request_id": request_id, "outcome": "revised"})
    assert said.json() == {"request_id": request_id, "outcome": "revised", "status": "stored", "graded": None}
    for path in ("/healthz", "/readyz", "/metrics", "/v1/route", "/openapi.json", "/docs"):
        assert served.get(path).status_code == 200, path
    assert "spine_model_info" in served.get("/metrics").text


def request(*lines: str, body: bytes = b"", method: str = "POST", path: str = "/v1/shout") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01 this is TLS\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "malformed"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed"),
        (request("Content-Length: 2", "Content-Length: 3", body=b"{}"), 400, "malformed"),
        (request("Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, "malformed"),
        (request("Content-Length: -2", body=b"{}"), 400, "malformed"),
        (request("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"), 400, "malformed"),
        (request("Content-Length: 2", body=b"{]"), 400, "malformed"),
        (request("Content-Length: 2", body=b"{}"), 422, "bad_text"),
        (request(), 411, "length_required"),
        (request(f"Content-Length: {MAX_BODY + 1}"), 413, "too_large"),
        (request("Content-Length: 209715200", body=b"x" * 100_000), 413, "too_large"),
        (request(f"Content-Length: {MAX_BODY + 1}", "Expect: 100-continue"), 413, "too_large"),
        (request("Transfer-Encoding: chunked", body=b"1000\r\n" + b"x" * 4096 + b"\r\n") , 0, ""),
        (request("Content-Length: 2", "Content-Encoding: gzip", body=b"{}"), 415, "unsupported_encoding"),
        (request(f"X-Long: {'x' * 17_000}"), 431, "headers_too_large"),
        (request(f"X-Long: {'x' * 400_000}"), 431, "headers_too_large"),
        (request("Content-Length: 2", path="/" + "x" * 20_000, body=b"{}"), 431, "headers_too_large"),
        (request("Content-Length: 2", path="/v1/none", body=b"{}"), 404, "not_found"),
        (request(method="GET"), 405, "method_not_allowed"),
        (request("Content-Length: 2", method="BREW", body=b"{}"), 400, "malformed"),
        (request("Content-Length: 2", "X-Spine-Source: replay", body=b"{}"), 403, "replay_refused"),
    ],
)  # fmt: skip
def test_what_is_wrong_on_the_wire_is_named_in_json(served: Server, sent: bytes, status: int, code: str) -> None:
    if status == 0:
        sent, status, code = sent + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 40 + b"0\r\n\r\n", 413, "too_large"
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as sock:
        sock.sendall(sent)
        reply = b""
        while b"}}" not in reply:
            data = sock.recv(65536)
            assert data, reply
            reply += data
    got, error = head_and_error(reply)
    assert (got, error["code"]) == (status, code)
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", error["request_id"])
    assert f"x-request-id: {error['request_id']}".encode() in reply


def test_a_chunked_body_under_the_cap_is_answered(served: Server) -> None:
    sent = request(
        "Transfer-Encoding: chunked", "Connection: close", body=b'4\r\n{"te\r\nb\r\nxt": "hey"}\r\n0\r\n\r\n'
    )
    assert b'"correction":"1:HEY"' in served.raw(sent)


def test_a_refused_body_does_not_cost_the_connection_its_next_request(served: Server) -> None:
    large = request(f"Content-Length: {MAX_BODY * 2}", body=b"x" * MAX_BODY * 2)
    reply = served.raw(large + post("next", Connection="close"))
    assert reply.count(b"HTTP/1.1 413") == 1
    assert b'"correction":"1:NEXT"' in reply


def test_a_client_that_sends_no_more_still_reads_its_reply(served: Server) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as sock:
        sock.sendall(post("half closed"))
        sock.shutdown(socket.SHUT_WR)
        reply = b""
        while data := sock.recv(65536):
            reply += data
    assert b'"correction":"1:HALF CLOSED"' in reply


def test_garbage_behind_pipelined_requests_ends_the_connection_after_their_answers(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, delay=0.3)
    with Server(root) as server:
        reply = server.raw(post("first") + post("second") + b"\x00garbage\r\n\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", reply) == [b"200", b"200", b"400"], "what is right has its answer"
        assert server.ask().status_code == 200
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


def test_pipelined_requests_are_answered_in_order(served: Server) -> None:
    reply = served.raw(b"".join(post(f"number {n}") for n in range(9)) + post("last", Connection="close"))
    said = re.findall(rb'"correction":"1:([^"]+)"', reply)
    assert said == [f"NUMBER {n}".encode() for n in range(9)] + [b"LAST"]


def test_many_clients_at_once_get_their_own_answers(served: Server) -> None:
    def client(number: int) -> list[str]:
        with httpx.Client(timeout=15) as http:
            texts = [f"client {number} text {n}" for n in range(20)]
            replies = [http.post(f"{served.url}/v1/shout", json={"text": text}).json() for text in texts]
        return [text for text, reply in zip(texts, replies, strict=True) if reply["correction"] != f"1:{text.upper()}"]

    with ThreadPoolExecutor(16) as pool:
        assert [wrong for wrongs in pool.map(client, range(16)) for wrong in wrongs] == []


def test_a_running_server_follows_the_route_and_never_mixes(tmp_path: Path) -> None:
    """Twelve moves under load, one of them to a bundle with a flipped bit, which never serves."""
    root = make_project(tmp_path / "project")
    seen: list[tuple[int, str, str]] = []
    with open_project(root) as spine:
        shas = {add_entry(spine, number): number for number in (1, 2, 3)}
        by_number = {number: sha for sha, number in shas.items()}
        with Server(root) as server:
            stop = threading.Event()

            def load() -> None:
                with httpx.Client(timeout=15) as http:
                    while not stop.is_set():
                        reply = http.post(f"{server.url}/v1/shout", json={"text": "x"})
                        body = reply.json()
                        seen.append((reply.status_code, body.get("model_sha", ""), body.get("correction", "")))

            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()

            def until(number: int) -> None:
                end = time.monotonic() + 10
                while server.ask().json()["model_sha"] != by_number[number]:
                    assert time.monotonic() < end
                    time.sleep(0.02)

            for number in (2, 1, 2, 1):
                spine.routing.single(by_number[number], reason="back and forth")
                until(number)
            weights = spine.settings.cache / by_number[3] / "model.safetensors"
            spine.routing.single(by_number[3], reason="damaged after this is decided")
            until(3)
            spine.routing.single(by_number[1], reason="away")
            until(1)
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.chmod(0o644)
            weights.write_bytes(bytes(data))
            before = len(seen)
            move_unverified(spine, by_number[3])
            end = time.monotonic() + 10
            while server.get("/readyz").json()["route_problem"] is None:
                assert time.monotonic() < end
                time.sleep(0.05)
            time.sleep(0.3)
            damaged = seen[before + 8 :]
            assert server.get("/readyz").status_code == 503, "others should be asked"
            assert server.ask().json()["model_sha"] == by_number[1]
            trace = TraceReader.open(spine.settings.traces)[server.ask().json()["request_id"]]
            spine.routing.single(by_number[2], reason="the way out")
            until(2)
            assert server.get("/readyz").json()["route_problem"] is None
            stop.set()
            for thread in threads:
                thread.join()
            assert server.stop() == 0
    assert {status for status, _, _ in seen} == {200}
    assert {sha for _, sha, _ in seen} == set(shas)
    assert all(correction == f"{shas[sha]}:X" for _, sha, correction in seen)
    assert damaged
    assert by_number[3] not in {sha for _, sha, _ in damaged}
    assert (trace.entry_sha, trace.intended_sha) == (by_number[1], by_number[3])


def move_unverified(spine: object, sha: str) -> None:
    """Route to an entry past the registry, which would have refused its bytes."""
    from modelspine.ledger.store import Draft
    from modelspine.spine import Spine

    assert isinstance(spine, Spine)
    arm = {"name": "stable", "sha": sha, "semver": "v0.3.0", "weight_bp": 10_000}
    body = {"sha": sha, "strategy": "single", "arms": [arm], "reason": "behind the registry's back"}
    spine.ledger.append([Draft(kind="routed", body=body)], expected=None)


def gauge(text: str, name: str) -> float:
    """A sample's value; 0 where it is not there."""
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_is_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, delay=0.25)
        with Server(root, "--batch", "4") as server, ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(server.ask, f"text {n}") for n in range(12)]
            end = time.monotonic() + 10
            while True:
                text = server.get("/metrics").text
                waiting, answering = gauge(text, "spine_queue_depth"), gauge(text, "spine_kv_cache_slots_used")
                if waiting + answering + gauge(text, 'spine_request_total{arm="stable",code="200"}') == 12:
                    break
                assert time.monotonic() < end, text
            assert waiting + answering > 0, "nothing was in flight"
            assert server.stop(number) == 0
            replies = [future.result() for future in asked]
            with pytest.raises(httpx.ConnectError):
                server.ask()
        reader = TraceReader.open(spine.settings.traces)
        assert [reply.status_code for reply in replies] == [200] * 12
        assert all(reader.get(reply.json()["request_id"]) for reply in replies)


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, delay=0.5)
    with Server(root, "--batch", "1") as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask)
        end = time.monotonic() + 10
        while "spine_kv_cache_slots_used 1.0" not in server.get("/metrics").text:
            assert time.monotonic() < end
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert server.process.poll() is None, "the first signal waits for what is in flight"
        assert server.stop(signal.SIGTERM) == 130
        with pytest.raises(httpx.HTTPError):
            asked.result()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--port", "0"], 2, "promote"),
        (["--port", "70000"], 2, "port"),
        (["--port", "0", "--host", "203.0.113.7"], 3, "listen"),
        (["--port", "0", "--queue", "0"], 2, "--queue"),
        (["--port", "0", "--rate", "-1"], 2, "--rate"),
    ],
)
def test_what_keeps_it_from_serving_is_two_lines_and_a_code(
    tmp_path: Path, options: list[str], code: int, words: str
) -> None:
    root = make_project(tmp_path / "project")
    ended = run_serve(root, *options)
    assert ended.returncode == code
    assert len(ended.stderr.splitlines()) == 2, ended.stderr
    assert words in ended.stderr
    assert ended.stdout == ""


def test_a_port_in_use_and_a_damaged_bundle_are_named(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        sha = add_entry(spine, 1)
        weights = spine.settings.cache / sha / "model.safetensors"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_serve(root, "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 3
    assert "in use" in ended.stderr
    assert "--port 0" in ended.stderr
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    ended = run_serve(root, "--port", "0")
    assert ended.returncode == 5
    assert "Traceback" not in ended.stderr


def run_serve(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    import os

    env = {**os.environ, "PYTHONPATH": str(HERE)}
    arguments = [sys.executable, str(HERE / "shout_main.py"), "serve", *options]
    return subprocess.run(arguments, cwd=root, env=env, capture_output=True, text=True, timeout=30)


def test_the_command_is_cheap_until_it_runs() -> None:
    code = "import sys, miniserve.command; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"starlette", "uvicorn", "httptools", "prometheus_client", "numpy", "minitutor", "asyncio"}
