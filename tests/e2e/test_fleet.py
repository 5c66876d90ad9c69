"""Servers on several machines: one PostgreSQL for ledger and traces, closed days and MLflow's artifacts in S3."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli_world import check_refused, run
from miniobserve.objects import open_objects
from mlflow_server import Server as Mlflow
from mlflow_server import serving
from modelspine.errors import Damaged
from modelspine.ledger.route import Guard, Ladder, Step
from modelspine.spine import Spine, open_spine
from modelspine_console.data.source import Source
from postgres import admin, end_backends, schema_of
from shout_server import HERE as SHOUT
from shout_server import Server, add_entry, make_project, open_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Capture = pytest.CaptureFixture[str]
LADDER = Ladder(
    steps=(Step(weight_bp=5000, min_seconds=1, min_samples=40),),
    at=0,
    auto=True,
    guard=Guard(window_seconds=1, margin_bp=2000, latency_pct=1_000_000),
)
HANG = 90.0
"""Seconds after which something counts as hung; a fetch imports MLflow, which a busy machine takes its time for."""


@pytest.fixture
def place(bucket: str) -> str:
    return f"s3://{bucket}/artifacts"


@pytest.fixture
def handing_out(place: str, tmp_path: Path, mlflow_database: Path) -> Iterator[Mlflow]:
    """An MLflow server with artifacts in S3, which it hands out itself."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    with serving(tmp_path, bucket=place) as server:
        yield server


@pytest.fixture
def pointing(place: str, tmp_path: Path, mlflow_database: Path) -> Iterator[Mlflow]:
    """An MLflow server with artifacts in S3, where its clients fetch them."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    with serving(tmp_path, bucket=place, hands_out=False) as server:
        yield server


def another_machine(root: Path, folder: Path, mlflow: str) -> Path:
    """A project with the same ledger and an empty disk."""
    folder.mkdir()
    lines = {"workload": "shout", "mlflow": mlflow, "ledger": f"sqlite:///{root}/.spine/ledger.db"}
    (folder / "spine.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in lines.items()))
    return folder


def registered(root: Path, number: int, capsys: Capture) -> str:
    """Register a folder, and promote it as v0.NUMBER.0; returns its SHA."""
    with open_spine(root) as spine:
        sha = add_entry(spine, number, promoted=False)
        done = run(capsys, "register", str(root / f"bundle-{number}"), "--json", root=root).json
        assert (done["sha"], done["created"]) == (sha, True), "it completes an entry that named no place"
        entry = spine.registry.get(sha).entry
        assert entry.source == done["logged"] == f"runs:/{entry.run_id}/bundle"
        again = run(capsys, "register", str(root / f"bundle-{number}"), "--json", root=root).json
        assert (again["created"], again["logged"]) == (False, ""), "one run is enough"
        spine.registry.promote(sha, f"v0.{number}.0", reason="for the test")
    return sha


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + HANG
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


class Fleet:
    """Two machines with disks of their own, one PostgreSQL, one bucket, and a balancer in front of both servers."""

    def __init__(self, roots: tuple[Path, Path], servers: tuple[Server, Server]) -> None:
        self.roots = roots
        self.servers = servers
        self._turn = itertools.cycle(servers)
        self.statuses: set[int] = set()
        """What clients behind the balancer were told."""

    def ask(self, text: str = "hello", learner: str | None = None, **headers: str) -> dict[str, Any]:
        """Send a request to the next server, and to the one after it where that answers that it is not ready."""
        body = {"text": text} if learner is None else {"text": text, "learner_id": learner}
        for _ in self.servers:
            reply = httpx.post(f"{next(self._turn).url}/v1/shout", json=body, headers=headers, timeout=15)
            if reply.status_code != 503:
                break
        self.statuses.add(reply.status_code)
        return dict(reply.json())

    def add(self, spine: Spine, number: int) -> str:
        """Promote an entry whose bundle is on both machines; fetching it is told by the first one."""
        sha = add_entry(spine, number)
        shutil.copytree(self.roots[0] / ".spine" / "cache" / sha, self.roots[1] / ".spine" / "cache" / sha)
        return sha

    def follow(self, sha: str) -> None:
        """Wait until both answer with an entry."""
        until(lambda: {server.ask().json().get("model_sha") for server in self.servers} == {sha})

    @contextmanager
    def learners(self) -> Iterator[None]:
        """Learners who ask through the balancer until the block ends."""
        stop = threading.Event()

        def work() -> None:
            for number in itertools.count():
                if stop.is_set():
                    return
                self.ask("x", f"learner-{number % 200}")

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            try:
                yield
            finally:
                stop.set()
            working.result(HANG)


@pytest.fixture
def fleet(
    pointing: Mlflow, bucket: str, postgres_url: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """One machine has registered v0.1.0; the other one has nothing but its settings when its server starts."""
    monkeypatch.syspath_prepend(str(SHOUT))
    shared = {"ledger": postgres_url, "traces": postgres_url, "parquet": f"s3://{bucket}/days", "mlflow": pointing.url}
    one, two = make_project(tmp_path / "one", **shared), tmp_path / "two"
    registered(one, 1, capsys)
    two.mkdir()
    shutil.copy(one / "spine.toml", two / "spine.toml")
    (one / ".dvc").mkdir()
    (one / ".dvc" / "config").write_text(f"[core]\n remote = far\n['remote \"far\"']\n url = {tmp_path}/dvc\n")
    (tmp_path / "dvc").mkdir()
    with Server(one) as first, Server(two, "--allow-replay") as second:
        yield Fleet((one, two), (first, second))


def checks(server: Server) -> float:
    """How often a server judged a canary."""
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("spine_canary_checks_total{"))


def test_a_fleet_on_postgresql_and_a_bucket(fleet: Fleet, pointing: Mlflow, postgres_url: str, capsys: Capture) -> None:
    """Both serve, one judges, either closes a day that the other one walks, and going back needs no other machine."""
    one, two = fleet.roots
    with open_project(one) as spine:
        source = Source(spine)
        before, first = source.pulse(), spine.registry.state().production
        assert first is not None
        fleet.follow(first)
        cache = two / ".spine" / "cache"
        assert [path.name for path in cache.iterdir() if (path / "config.json").exists()] == [first]
        assert list((two / ".spine" / "tmp").iterdir()) == []
        assert source.pulse() == before

        judged_once(fleet, spine, fleet.add(spine, 93), first)
        closed_by_one_and_walked_by_the_other(fleet, capsys)
        assert end_backends(schema_of(postgres_url)) >= 8, "each server holds a ledger, two stores and a watch"
        second = fleet.add(spine, 2)
        spine.routing.single(second, reason="better")
        fleet.follow(second)
        assert source.pulse().env == "dev"
        back_without_mlflow_dvc_and_a_disk(fleet, pointing, first, second, capsys)
    assert fleet.statuses == {200}
    assert "all sound" in run(capsys, "verify", root=one).out
    assert not [*one.rglob("*.db"), *two.rglob("*.db")], "nothing that matters is on a machine alone"


def judged_once(fleet: Fleet, spine: Spine, bad: str, good: str) -> None:
    """A canary that fails is aborted by one event, and only one replica reads the traces for it."""
    spine.routing.canary(bad, reason="try it", ladder=LADDER)
    with fleet.learners():
        until(lambda: spine.registry.state().route.strategy != "canary")  # type: ignore[union-attr]
    moved = [event for event in spine.registry.events() if str(event.body.get("key", "")).startswith("canary-")]
    assert len(moved) == 1
    fleet.follow(good)
    looked = sorted(checks(server) for server in fleet.servers)
    assert looked[0] == 0 < looked[1], looked


def closed_by_one_and_walked_by_the_other(fleet: Fleet, capsys: Capture) -> None:
    """One machine moves yesterday into the bucket while the other serves, and the other walks an incident of it."""
    one, two = fleet.roots
    yesterday = datetime.now(UTC) - timedelta(days=1)
    told = {"X-Spine-Source": "replay", "X-Spine-Time": yesterday.isoformat()}
    asked = [str(fleet.servers[1].ask("walk me", **told).json()["request_id"]) for _ in range(3)]
    with fleet.learners():
        closed = run(capsys, "traces", "export", "--day", f"{yesterday:%Y-%m-%d}", "--prune", root=one)
    assert closed.code == 0, closed.err
    with open_project(two) as spine:
        assert spine.traces[asked[0]].input == "walk me"
        assert "walk me" not in str(admin(spine.settings.ledger, "SELECT text FROM requests"))
        walk = spine.incident(asked[0])
    assert [answer.status for answer in walk.answers[:1]] == ["verified"]
    assert json.loads(run(capsys, "traces", "show", asked[1], "--json", root=one).out)["sentence"] == "walk me"


def back_without_mlflow_dvc_and_a_disk(fleet: Fleet, mlflow: Mlflow, to: str, held: str, capsys: Capture) -> None:
    """Going back needs the ledger and the bytes on one machine; a replica without them leaves the balancer."""
    one, two = fleet.roots
    mlflow.down = True
    shutil.rmtree(one.parent / "dvc")
    shutil.rmtree(two / ".spine" / "cache")
    assert run(capsys, "rollback", "v0.1.0", "--reason", "worse", root=one).code == 0
    began = time.monotonic()
    until(lambda: fleet.ask()["model_sha"] == to)
    until(lambda: fleet.servers[1].get("/readyz").status_code == 503)
    print(f"gone back after {time.monotonic() - began:.2f} s")
    assert {fleet.ask()["model_sha"] for _ in range(4)} == {to}
    refused = fleet.servers[1].ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready"), f"{held} is on hold"
    mlflow.down = False
    fleet.follow(to)
    assert [server.stop() for server in fleet.servers] == [0, 0]


def test_bytes_that_were_changed_in_the_bucket_are_not_used_and_a_dead_server_loses_nothing(
    handing_out: Mlflow, place: str, tmp_path: Path, capsys: Capture
) -> None:
    mlflow = handing_out
    root = make_project(tmp_path / "one", mlflow=mlflow.url)
    sha = registered(root, 1, capsys)
    store = open_objects(place)
    (key,) = (found.key for found in store.list() if found.key.endswith("model.safetensors"))
    intact = store.get(key)
    store.put(key, intact[:-1] + bytes([intact[-1] ^ 1]), replace=True)
    other = another_machine(root, tmp_path / "other", mlflow.url)
    with open_spine(other) as spine:
        with pytest.raises(Damaged, match="the files hash to"):
            spine.registry.verified(sha)
        assert [path for path in spine.settings.cache.rglob("*") if path.is_file()] == []
        store.put(key, intact, replace=True)
        assert spine.registry.verified(sha).name == sha

    mlflow.down = True
    with open_spine(root) as spine:
        shutil.copytree(root / "bundle-1", root / "bundle-2")
        (root / "bundle-2" / "config.json").write_text('{"number": 2}')
        refused = run(capsys, "register", str(root / "bundle-2"), root=root)
        check_refused(refused, 3)
        assert "nothing was registered" in refused.err
        assert "--local" in refused.err
        assert len(spine.registry.list()) == 1
        assert run(capsys, "register", str(root / "bundle-2"), "--local", root=root).code == 0
        assert len(spine.registry.list()) == 2
