"""A worker that is killed, stopped, leaks or crashes: its batch gets 503 with a trace, and the rest is answered.

The broken twin does not replace a worker that was lost; the same check must catch it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from miniobserve.reader import TraceReader
from modelspine.spine import Spine
from shout_server import Server, add_entry, make_project, open_project

BATCH = 4
CLIENTS = 4
PATIENCE = 20.0
Strike = Callable[[Server, int], None]
"""Does something to a server, one of whose workers is the given process."""


class Reply(NamedTuple):
    """What a learner got, and the entry that answered."""

    request_id: str
    status: int
    code: str
    output: str


class Learners:
    """Clients that ask again and again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.replies: list[Reply] = []
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask during the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _ask(self, client: int) -> None:
        number = 0
        with httpx.Client(timeout=PATIENCE) as http:
            while not self._stop.is_set():
                number += 1
                self.replies.append(asked(self._server, f"{client} {number}", http))


def asked(server: Server, text: str, http: httpx.Client | None = None) -> Reply:
    """Ask once; a client that gives up has the status 0."""
    try:
        reply = (http or server._http).post(f"{server.url}/v1/shout", json={"text": text}, timeout=PATIENCE)
    except httpx.HTTPError:
        return Reply("", 0, "", "")
    body = reply.json()
    error = body.get("error", {})
    return Reply(reply.headers["x-request-id"], reply.status_code, error.get("code", ""), body.get("correction", ""))


def kill(_server: Server, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def stop(_server: Server, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def says(text: str) -> Strike:
    def strike(server: Server, _pid: int) -> None:
        for _ in range(2):
            asked(server, text)

    return strike


STRIKES = {"kill": kill, "stop": stop, "leak": says("!leak"), "crash": says("!die"), "hang": says("!hang")}


class Found(NamedTuple):
    """What came of a strike."""

    fired: int
    """Workers that were lost."""
    wrong: list[str]


def struck(root: Path, strike: Strike, launcher: str = "shout_hasty.py") -> Found:
    """Strike a server with two workers while learners ask it."""
    make_project(root, worker_memory_mb="512")
    with open_project(root) as spine:
        add_entry(spine, 1)
    words = ("--workers", "2", "--batch", str(BATCH), "--queue", "64")
    with Server(root, *words, launcher=launcher) as server:
        before = workers(server, 2)
        learners = Learners(server)
        with learners.asking():
            time.sleep(0.2)
            strike(server, min(before))
            time.sleep(1.5)
        after = [asked(server, f"after {n}") for n in range(10)]
        complete = again(server, 3)
        ready = server.get("/readyz").status_code
        fired = server.log.read_text().count('"a worker process was lost"')
        server.stop()
    reader = TraceReader.open(f"sqlite:///{root / '.spine' / 'traces.db'}")
    statuses = {reply.request_id: getattr(reader.get(reply.request_id), "status", None) for reply in learners.replies}
    reader.close()
    failed = [reply for reply in learners.replies if reply.status != 200]
    wrong = {
        "a learner got no reply": any(reply.status == 0 for reply in failed),
        "a learner got something else than 503": any(reply.status not in (0, 503) for reply in failed),
        "more than the lost batches failed": len(failed) > BATCH * max(1, fired),
        "a reply has no trace": any(statuses[reply.request_id] != reply.status for reply in learners.replies),
        "not well again": ready != 200 or any(reply.status != 200 for reply in after) or not complete,
    }
    return Found(fired, [name for name, is_so in wrong.items() if is_so])


def again(server: Server, count: int) -> bool:
    """Whether the server has so many processes, with the spare, in a while."""
    deadline = time.monotonic() + PATIENCE / 2
    while sum(map(alive, children(server))) != count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def workers(server: Server, count: int) -> set[int]:
    """The processes that answer, as far as they can be found out in a while; short batches wake one alone."""
    found: set[int] = set()
    deadline = time.monotonic() + 3
    with httpx.Client(timeout=PATIENCE) as http:

        def one() -> None:
            reply = asked(server, "!pid", http)
            if reply.status == 200:
                found.add(int(reply.output.partition(":")[2]))

        while len(found) < count and time.monotonic() < deadline:
            several = [threading.Thread(target=one) for _ in range(4)]
            for thread in several:
                thread.start()
            for thread in several:
                thread.join()
    return found


@pytest.mark.parametrize("name", STRIKES)
def test_a_lost_worker_costs_its_batch_and_no_more(tmp_path: Path, name: str) -> None:
    found = struck(tmp_path / "project", STRIKES[name])
    assert found.fired >= 1, "no worker was lost: the test proved nothing"
    assert found.wrong == []


def test_the_check_catches_a_server_that_does_not_replace_a_worker(tmp_path: Path) -> None:
    found = struck(tmp_path / "project", kill, "shout_unreplaced.py")
    assert "not well again" in found.wrong


def test_a_rollback_takes_effect_while_every_worker_hangs(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        first, second = add_entry(spine, 1), add_entry(spine, 2)
        spine.routing.single(second, reason="for the test")
        with Server(root, "--workers", "1", launcher="shout_hasty.py") as server:
            until(lambda: asked(server, "x").output == "2:X")
            os.kill(spare(server), signal.SIGSTOP)
            hanging = threading.Thread(target=asked, args=(server, "!hang"))
            hanging.start()
            rolled_back(spine, first)
            until(lambda: asked(server, "x").output == "1:X")
            hanging.join()
            assert server.get("/readyz").json()["ready"] is True
            assert server.log.read_text().count("did not answer within") >= 1, "nothing hung"


def spare(server: Server) -> int:
    """The process that stands by."""
    (found,) = set(children(server)) - workers(server, 1)
    return found


def rolled_back(spine: Spine, sha: str) -> None:
    spine.routing.rollback(sha, reason="for the test")


def test_a_killed_server_takes_its_workers_with_it(tmp_path: Path) -> None:
    """Also one that hangs, and so does not notice that its socket is closed."""
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    with Server(root, "--workers", "2") as server:
        started = children(server)
        assert len(started) == 3, "two workers and a spare"
        threading.Thread(target=asked, args=(server, "!hang"), daemon=True).start()
        os.kill(started[1], signal.SIGSTOP)
        time.sleep(0.1)
        server.stop(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in started))


def children(server: Server) -> list[int]:
    """The processes that a server started, whichever of its threads did."""
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
