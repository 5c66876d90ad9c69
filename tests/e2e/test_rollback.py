"""Going back on a running server, with MLflow and DVC moved away: at once, and without losing a request."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import httpx
import pytest

from cli_world import check_refused, run
from modelspine.spine import Spine
from shout_server import Server, add_entry, make_project, open_project

JUSTFILE = Path(__file__).parents[2] / "Justfile"
HANG = 30.0
"""Seconds after which going back counts as hung; how long it takes is a row of the bench."""
WHY = ("--reason", "because")


class Load:
    """Clients that ask without a pause, each on its own connection; what they were told, in order of arrival."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.seen: list[tuple[int, str, str, int]] = []
        """Status, entry, answer, and how many answers had been seen when it was asked for."""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        with httpx.Client(timeout=15) as http:
            while not self._stop.is_set():
                asked = len(self.seen)
                reply = http.post(f"{url}/v1/shout", json={"text": "x"})
                body = reply.json()
                self.seen.append((reply.status_code, body.get("model_sha", ""), body.get("correction", ""), asked))

    def until(self, sha: str) -> None:
        """Wait for the first answer by an entry among those that come in from here on."""
        start, end = len(self.seen), time.monotonic() + HANG
        while not any(found == sha for _, found, _, _ in self.seen[start:]):
            assert time.monotonic() < end, f"{sha[:12]} did not answer within {HANG} s"
            time.sleep(0.005)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def project(tmp_path: Path, mlflow_database: Path) -> tuple[Path, str, str, str]:
    """A DVC repository with v0.1.0 and, from an MLflow run, v0.2.0, which is stable after it."""
    root = make_project(tmp_path / "project")
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(words, cwd=root, check=True, capture_output=True)
    shutil.copy(mlflow_database, root / ".spine" / "mlflow.db")
    with open_project(root) as spine:
        one, folder = add_entry(spine, 1), root / "bundle-2"
        two = add_entry(spine, 2, promoted=False)
        run_id = spine.artifacts.put(folder, experiment="shout", name="second", tags={})
        assert spine.registry.register_pending(run_id).sha == two
        spine.registry.promote(two, "v0.2.0", reason="better")
        spine.routing.single(two, reason="better")
    return root, one, two, run_id


def move_away(root: Path) -> list[Path]:
    """What a rollback must not need: MLflow's database and artifacts, DVC's folder, and the bundles' origins."""
    home = root / ".spine"
    gone = [home / "mlflow.db", home / "mlartifacts", root / ".dvc", root / "bundle-1", root / "bundle-2"]
    (root.parent / "away").mkdir()
    for path in gone:
        assert path.exists(), path
        path.rename(root.parent / "away" / path.name)
    return gone


def just_rollback(root: Path, sha: str) -> None:
    """The recipe, as it is typed."""
    just = shutil.which("just")
    assert just is not None
    command = [just, "--justfile", str(JUSTFILE), "--working-directory", str(root), "rollback", sha, "accepts goed"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert " rolled_back " in done.stdout


def test_going_back_under_load_with_mlflow_and_dvc_moved_away(
    project: tuple[Path, str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, one, two, run_id = project
    with open_project(root) as spine, Server(root) as server:
        with Load(server.url) as load:
            load.until(two)
            early = server.ask("kept").json()["request_id"]
            assert run(capsys, "backup", str(root.parent / "kept.tar"), root=root).code == 0
            gone = move_away(root)
            just_rollback(root, one)
            load.until(one)
            served = len(load.seen)
            while len(load.seen) < served + 40:
                time.sleep(0.005)
            after = {sha for _, sha, _, asked in load.seen if asked >= served}
            _held(spine, root, one, two, capsys)
            load.until(two)
        assert server.stop() == 0
        assert [path for path in gone if path.exists()] == []
        assert run(capsys, "verify", root=root).code == 0
    _kept(root.parent / "kept.tar", root.parent / "back", early, run_id, capsys)
    assert {status for status, *_ in load.seen} == {200}
    assert {(sha, said) for _, sha, said, _ in load.seen} == {(one, "1:X"), (two, "2:X")}
    assert after == {one}


def _kept(archive: Path, back: Path, early: str, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The backup taken under load holds together: it verifies, and every trace in it names a route it has."""
    assert run(capsys, "restore", str(archive), "--into", str(back)).code == 0
    with open_project(back) as spine:
        state = spine.registry.state()
        traces = spine.traces.list(limit=10_000).traces
        assert early in {trace.request_id for trace in traces}
        assert all(state.route_at(trace.assignment.epoch) for trace in traces)
        assert spine.artifacts.run(run_id).artifact_uri.startswith(back.as_uri())
        with spine.artifacts.fetched(run_id) as folder:
            assert folder.is_relative_to(back)


def _held(spine: Spine, root: Path, one: str, two: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry that was left takes no traffic by any verb, until it is released and routed to."""
    state = spine.registry.state()
    assert (state.production, state.entries[two].status) == (one, "held")
    assert [event.kind for event in spine.registry.events()[-2:]] == ["rolled_back", "held"]
    before = spine.ledger.head()
    for words in (["route", "single", two], ["rollback", two]):
        done = run(capsys, *words, *WHY, root=root)
        check_refused(done, 1)
        assert "spine release" in done.err
    assert spine.ledger.head() == before
    check_refused(run(capsys, "promote", two, "--semver", "v0.3.0", *WHY, root=root), 1)
    assert spine.registry.state().production == one
    assert run(capsys, "release", two, *WHY, root=root).code == 0
    assert spine.registry.state().production == one
    assert run(capsys, "route", "single", two, *WHY, root=root).code == 0


def test_where_one_cannot_go_back_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        missing, corrupt, held, stable = (add_entry(spine, number) for number in (1, 2, 3, 4))
        never_stable, pending = add_entry(spine, 5), add_entry(spine, 6, promoted=False)
        for sha in (corrupt, held, stable):
            spine.routing.single(sha, reason="forward")
        spine.routing.single(held, reason="again")
        spine.routing.rollback(stable, reason="bad")
        shutil.rmtree(spine.cache.path(missing))
        weights = spine.cache.path(corrupt) / "model.safetensors"
        weights.chmod(0o644)
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
        before = spine.ledger.head()
        for sha, code, told in (
            (never_stable, 1, "was never the stable arm"),
            (pending, 1, "never promoted"),
            (held, 1, "is on hold"),
            (missing, 3, "not in"),
            (corrupt, 5, "hashes to"),
            ("f" * 64, 2, "no entry is named"),
        ):
            done = run(capsys, "rollback", sha, *WHY, root=root)
            check_refused(done, code)
            assert told in done.err
        done = run(capsys, "rollback", stable, *WHY, "--json", root=root)
        assert (done.code, done.json["created"], done.json["kind"]) == (0, False, "rolled_back")
        assert spine.ledger.head() == before
        assert spine.registry.state().production == stable
