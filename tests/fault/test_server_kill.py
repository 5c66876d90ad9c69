"""kill -9 of the server under load: every request that was answered has its trace."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import httpx

from miniobserve.reader import TraceReader
from shout_server import Server, add_entry, make_project, open_project

CLIENTS = 6


def kill_under_load(root: Path, launcher: str, cycles: int, seed: int) -> tuple[int, set[str], set[str]]:
    """Kill the server at random moments under load; kills, answered ids, and those of them without a trace."""
    rng = random.Random(seed)
    answered: set[str] = set()
    kills = 0
    with open_project(root) as spine:
        traces = spine.settings.traces
    for cycle in range(cycles):
        with Server(root, launcher=launcher) as server:
            threads = [
                threading.Thread(target=ask_until_gone, args=(server, f"c{cycle}-t{number}", answered))
                for number in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            before = len(answered)
            while len(answered) < before + 20:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.15)
            server.process.kill()
            kills += server.process.wait() == -signal.SIGKILL
            for thread in threads:
                thread.join()
    reader = TraceReader.open(traces)
    lost = {request_id for request_id in answered if reader.get(request_id) is None}
    reader.close()
    return kills, answered, lost


def ask_until_gone(server: Server, name: str, answered: set[str]) -> None:
    """Ask one request after another and note each id that was answered, until the server is gone."""
    with httpx.Client(timeout=10) as http:
        for number in range(1_000_000):
            try:
                reply = http.post(
                    f"{server.url}/v1/shout", json={"text": "x"}, headers={"X-Request-ID": f"{name}-{number:06}"}
                )
            except httpx.HTTPError:
                return
            if reply.status_code == 200:
                answered.add(reply.json()["request_id"])


def test_after_kill_9_every_answered_request_has_its_trace(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, delay=0.002)
    kills, answered, lost = kill_under_load(root, "shout_main.py", cycles=3, seed=1)
    assert kills == 3
    assert len(answered) > 60
    assert lost == set()


def test_the_harness_catches_a_writer_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1, delay=0.002)
    kills, answered, lost = kill_under_load(root, "shout_twin.py", cycles=2, seed=2)
    assert kills == 2
    assert len(answered) > 40
    assert lost
