"""Four times what the server can do, in an open loop: it sheds the rest at once, and is well again after.

How long an admitted request waits is counted in answers that came in the meantime, not in seconds, so that a
busy machine changes nothing. The seconds are lines of ``just bench overload``.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from miniobserve.reader import TraceReader
from shout_server import Server, add_entry, make_project, open_project, post

ROOT = Path(__file__).parents[2]
QUEUE, BATCH = 8, 4
SHARE = 0.01
"""Seconds of work a text: a hundred a second is what a server of one worker can do."""
OVER, SECONDS = 400.0, 1.5


class Overload(NamedTuple):
    """What came of one run."""

    asked: int
    answered: int
    shed: int
    unsaid: int
    """Shed, and not told when to come back."""
    failed: int
    behind: int
    """The most answers that were given between a request and its own."""
    kept: int
    """Traces in the store."""
    after: list[int]
    """Statuses of requests that came once the rest was answered."""

    def wrong(self) -> list[str]:
        """What a server with a bound does not do."""
        found = {
            "nothing was shed": not self.shed,
            "requests failed": self.failed > 0,
            "shed without a time to wait": self.unsaid > 0,
            "admitted requests waited behind more than may wait": self.behind > 3 * (QUEUE + BATCH),
            "answers without a trace": self.kept != self.answered + len(self.after),
            "not well again": set(self.after) != {200},
        }
        return [name for name, is_so in found.items() if is_so]


def overloaded(root: Path, load: Any, launcher: str = "shout_main.py") -> Overload:
    """Run one overload on a server of the project."""
    options = ("--queue", str(QUEUE), "--batch", str(BATCH), "--workers", "1")
    with Server(root, *options, launcher=launcher) as server:
        run = load.Run(f"127.0.0.1:{server.port}", "/v1/shout", [json.dumps({"text": "hello"})])
        asyncio.run(run.opened([(OVER, SECONDS)]))
        after = [server.ask().status_code for _ in range(10)]
        assert server.stop() == 0
    answered = sorted((reply for reply in run.replies if reply.status == 200), key=lambda reply: reply.ended)
    shed = [reply for reply in run.replies if reply.status == 503]
    with open_project(root) as spine:
        reader = TraceReader.open(spine.settings.traces)
        kept = reader.list().matched
        reader.close()
    return Overload(
        asked=len(run.replies),
        answered=len(answered),
        shed=len(shed),
        unsaid=sum(not reply.said for reply in shed),
        failed=len(run.replies) - len(answered) - len(shed),
        behind=max(sum(other.ended > reply.sent for other in answered[:at]) for at, reply in enumerate(answered)),
        kept=kept,
        after=after,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, share=SHARE)
    return root


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import load

    return load


def test_four_times_the_capacity_is_shed_and_passes(project: Path, load: Any) -> None:
    found = overloaded(project, load)
    assert found.wrong() == []
    assert found.asked > 0.8 * OVER * SECONDS
    assert found.answered > QUEUE + BATCH
    assert found.shed > found.answered


def test_the_harness_catches_a_queue_without_a_bound(project: Path, load: Any) -> None:
    found = overloaded(project, load, "shout_unbounded.py")
    assert {"nothing was shed", "admitted requests waited behind more than may wait"} <= set(found.wrong()), found


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = make_project(tmp_path_factory.mktemp("full") / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    with Server(root, launcher="shout_full.py", SPINE_CORS_ORIGINS="https://app.example") as server:
        yield server


def parts(reply: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Status, headers and JSON of each reply in what a connection gave."""
    found = []
    while reply:
        head, _, rest = reply.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        found.append((int(first.split()[1]), headers, json.loads(rest[:length])))
        reply = rest[length:]
    return found


def test_what_is_turned_away_is_named_as_any_reply(full: Server) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traceparent = f"00-{trace_id}-b7ad6b7169203331-01"
    sent = post(
        "x", X_Request_ID="crowd.0001", traceparent=traceparent, Connection="close", Origin="https://app.example"
    )
    [(status, headers, body)] = parts(full.raw(sent))
    assert (status, body["error"]["code"], body["error"]["request_id"]) == (503, "overloaded", "crowd.0001")
    assert (headers["x-request-id"], headers["retry-after"]) == ("crowd.0001", "1")
    assert headers["traceparent"].split("-")[1] == trace_id
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert 'code="503"' in full.get("/metrics").text


def test_the_connection_is_kept_and_the_body_thrown_away(full: Server) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    chunked = b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n"
    replies = parts(full.raw(post("x") + chunked + post("y", path="/v1/shout?a=b") + health))
    assert [status for status, _, _ in replies] == [503, 503, 503, 200]
    assert [headers["connection"] for _, headers, _ in replies] == ["keep-alive", "keep-alive", "keep-alive", "close"]
    announced = post("x", Expect="100-continue")
    [(status, headers, _)] = parts(full.raw(announced))
    assert (status, headers["connection"]) == (503, "close")


@pytest.mark.parametrize("url", ["/v1/shout?a=b", "/v1/%73hout", "http://x/v1/shout"])
def test_every_way_to_write_the_path_is_turned_away_before_its_body_is_read(full: Server, url: str) -> None:
    head = f"POST {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
    assert [status for status, _, _ in parts(full.raw(head.encode(), seconds=2))] == [503]


def test_a_body_that_never_ends_is_not_read_for_ever(full: Server) -> None:
    with socket.create_connection(("127.0.0.1", full.port), timeout=20) as sock:
        sock.sendall(b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        received = b""
        while data := sock.recv(65536):
            received += data
    [(status, _, _)] = parts(received)
    assert status == 503
    assert full.get("/healthz").status_code == 200
