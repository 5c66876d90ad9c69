"""Clients that never finish: closed by a deadline, while others are served."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from shout_server import Server, add_entry, make_project, open_project, post, read_until_closed

WITHIN_SECONDS = 6.0
FULL = post("x")
HALF_BODY = FULL[:-5]
HALF_HEADER = b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nX-Slow: "


def drip(sock: socket.socket, data: bytes) -> None:
    for byte in data:
        try:
            sock.sendall(bytes([byte]))
        except OSError:
            return
        time.sleep(0.2)


KINDS: dict[str, Callable[[socket.socket], None]] = {
    "idle": lambda sock: None,
    "half a header": lambda sock: sock.sendall(HALF_HEADER),
    "half a body": lambda sock: sock.sendall(HALF_BODY),
    "half a chunk": lambda sock: sock.sendall(
        b"POST /v1/shout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"
    ),
    "five bytes a second": lambda sock: drip(sock, HALF_HEADER + b"y" * 100),
    "idle after a reply": lambda sock: sock.sendall(FULL),
    "half a second request": lambda sock: sock.sendall(FULL + HALF_HEADER),
}


def test_slow_connections_are_closed_and_good_ones_served_meanwhile(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    closed: list[tuple[str, float, bytes]] = []

    def hold(kind: str) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=12) as sock:
            began = time.monotonic()
            sender = threading.Thread(target=KINDS[kind], args=(sock,))
            sender.start()
            reply = read_until_closed(sock)
            closed.append((kind, time.monotonic() - began, reply))
            sock.close()
            sender.join()

    with Server(root) as server:
        threads = [threading.Thread(target=hold, args=(kind,)) for kind in KINDS for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        good = [server.ask() for _ in range(20)]
        for thread in threads:
            thread.join()
        assert server.ask().status_code == 200
    assert {reply.status_code for reply in good} == {200}
    assert len(closed) == 4 * len(KINDS)
    slow = [(kind, seconds) for kind, seconds, _ in closed if seconds > WITHIN_SECONDS]
    assert slow == []
    for kind, _, reply in closed:
        assert reply.startswith(b"HTTP/1.1 200") == (kind in ("idle after a reply", "half a second request")), kind
        assert (b" 408 " in reply and b'"code":"too_slow"' in reply) == (kind not in ("idle", "idle after a reply")), (
            kind
        )
