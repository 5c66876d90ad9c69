"""The trace store fails under a running server: no reply without its trace, unready, and well again after."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from miniobserve.reader import TraceReader
from shout_server import Server, add_entry, make_project, open_project


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("stored") / "project")
    with open_project(made) as spine:
        add_entry(spine, 1)
    return made


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with Server(root) as running:
        yield running


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def ready(server: Server) -> bool:
    return server.get("/readyz").status_code == 200


def test_a_locked_store_turns_replies_into_503_until_it_is_free(root: Path, server: Server) -> None:
    until(lambda: ready(server))
    holder = sqlite3.connect(root / ".spine" / "traces.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda n: server.ask(X_Request_ID=f"locked.{n:04}"), range(4)))
    assert {reply.status_code for reply in replies} == {503}
    assert {reply.json()["error"]["code"] for reply in replies} <= {"not_durable", "not_ready"}
    assert all(reply.headers["retry-after"] for reply in replies)
    assert not ready(server)
    refused = server.ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    assert server.get("/healthz").status_code == 200
    holder.execute("ROLLBACK")
    holder.close()
    until(lambda: ready(server))
    assert server.ask(X_Request_ID="after.lock").status_code == 200
    assert TraceReader.open(f"sqlite:///{root / '.spine' / 'traces.db'}").get("after.lock") is not None


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process's files")
def test_a_full_disk_turns_replies_into_503_until_there_is_room(root: Path, server: Server) -> None:
    until(lambda: ready(server))
    resource.prlimit(
        server.process.pid, resource.RLIMIT_FSIZE, ((root / ".spine" / "traces.db-wal").stat().st_size, -1)
    )
    replies = []
    for number in range(200):
        replies.append(server.ask("x" * 500, X_Request_ID=f"full.{number:04}"))
        if replies[-1].status_code != 200:
            break
    assert replies[-1].status_code == 503
    assert replies[-1].json()["error"]["code"] == "not_durable"
    assert not ready(server)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (-1, -1))
    until(lambda: ready(server))
    assert server.ask(X_Request_ID="after.full").status_code == 200
    reader = TraceReader.open(f"sqlite:///{root / '.spine' / 'traces.db'}")
    assert reader.get("after.full") is not None
    for reply in replies[:-1]:
        assert reader.get(reply.json()["request_id"]) is not None


def test_a_store_deleted_under_the_server_is_noticed(tmp_path: Path) -> None:
    made = make_project(tmp_path / "project")
    with open_project(made) as spine:
        add_entry(spine, 1)
    with Server(made) as server:
        assert server.ask().status_code == 200
        for path in (made / ".spine").glob("traces.db*"):
            path.unlink()
        assert server.ask().status_code == 503
        assert not ready(server)
        assert server.stop() == 0
    assert not (made / ".spine" / "traces.db").exists(), "never silently made anew"
