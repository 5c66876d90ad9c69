"""Bench group promotion: promotion and rollback, compared with moving an MLflow alias; backup, compared with tar.

Bundles have the tutor's size, so a promotion hashes as many bytes as it would there. Rollback on a running server is
measured in a copy of this clone with its entry in production (``./run demo --headless`` makes one).
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import served
from rows import Row, median, wall

from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine

SPINE = str(Path(sys.executable).with_name("spine"))
WEIGHTS = 3_500_000
"""Bytes of a bundle's weights, about the tutor's size."""
_LONGEST = 30.0
"""Seconds within which an entry must answer after the route has changed to it."""
KEPT = 256 * 2**20
"""Bytes of the folder that is backed up."""
REPORT = {
    "schema": "spine.eval/1",
    "eval_set": {"path": "eval.jsonl", "dvc_hash": "d" * 32, "sha256": "e" * 64, "n": 100},
    "decoding": {"method": "greedy"},
    "total": {"k": 99, "n": 100},
    "buckets": {"all": {"k": 99, "n": 100}},
    "false_accept": {"k": 1, "n": 100},
    "failed": [],
    "answers_sha256": "a" * 64,
    "views": {},
}
_ALIAS = """
import sys
from mlflow.tracking import MlflowClient
MlflowClient(tracking_uri=sys.argv[1]).set_registered_model_alias("bench", "production", sys.argv[2])
"""


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "project").mkdir()
        alias, url = _alias(root / "peer.db")
        yield from _verbs(root / "project", median(alias, runs=30))
        yield from _commands(root / "project", url)
        yield from _served(root / "served", url)
        yield from _kept(root / "kept")


def _alias(path: Path) -> tuple[Callable[[], None], str]:
    """Return a function that moves the alias of an MLflow model to the other one of its two versions."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from mlflow.tracking import MlflowClient

    url = f"sqlite:///{path}"
    client = MlflowClient(tracking_uri=url)
    client.create_registered_model("bench")
    for number in (1, 2):
        client.create_model_version("bench", f"file:///bench/{number}")
    turn = count()
    return lambda: client.set_registered_model_alias("bench", "production", str(next(turn) % 2 + 1)), url


def _bundle(folder: Path, number: int) -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    save_file({"w": np.full(WEIGHTS // 4, number, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"number": number}))
    (folder / "eval_report.json").write_text(json.dumps(REPORT))
    return folder


def _verbs(root: Path, alias: float) -> Iterator[Row]:
    create_ledger(load(environ={"SPINE_ROOT": str(root)}), "dev")
    peer = "MLflow set_registered_model_alias"
    with open_spine(root) as spine:
        one, two = (spine.registry.register(_bundle(root / "made" / str(n), n)).sha for n in (1, 2))
        spine.registry.promote(one, "v0.1.0")
        spine.registry.promote(two, "v0.2.0")
        numbers = count(1)
        promoted = median(lambda: spine.registry.promote(two, f"v1.{next(numbers)}.0"), runs=30)
        yield Row("promote: hash 3.5 MB, append, in process", 1000 * promoted, "ms", None, peer, 1000 * alias)
        times = []
        for _ in range(30):
            _forward(spine, two)
            began = time.perf_counter()
            spine.routing.rollback(one, reason="bench")
            times.append(time.perf_counter() - began)
        back = 1000 * statistics.median(times)
        yield Row("rollback and hold: hash 3.5 MB, append, in process", back, "ms", None, peer, 1000 * alias)


def _forward(spine: Spine, sha: str) -> None:
    """Make an entry stable, releasing it first if it is held."""
    if spine.registry.state().entries[sha].held is not None:
        spine.registry.release(sha, reason="bench")
    spine.routing.single(sha, reason="bench")


def _commands(root: Path, url: str) -> Iterator[Row]:
    peer, alias = "python, set_registered_model_alias", wall([sys.executable, "-c", _ALIAS, url, "1"], runs=3)
    with open_spine(root) as spine:
        one, two = (e.sha for e in spine.registry.list())
        promoting, going = [], []
        for number in range(8):
            _forward(spine, two)
            words = [SPINE, "promote", two, "--semver", f"v2.{number}.0", "--reason", "bench"]
            promoting.append(_once(words, root))
            going.append(_once([SPINE, "rollback", one, "--reason", "bench"], root))
    yield Row("spine promote", 1000 * statistics.median(promoting), "ms", None, peer, 1000 * alias)
    yield Row("spine rollback", 1000 * statistics.median(going), "ms", None, peer, 1000 * alias)


def _once(words: list[str], root: Path) -> float:
    began = time.perf_counter()
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    return time.perf_counter() - began


def _served(root: Path, url: str) -> Iterator[Row]:
    """Measure from the start of `spine rollback` to the first answer of the restored entry, under constant requests."""
    what = "spine rollback → first answer of a running server"
    if not served.has_a_model():
        yield Row(what, float("nan"), "ms", 2000, "make a model: ./run demo", None)
        return
    one, two = _two_models(root)
    server = subprocess.Popen(
        [SPINE, "serve", "--port", "0"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        client = _Client(line[line.index("http://") + 7 :].split()[0])
        times = []
        with open_spine(root) as spine:
            for _ in range(5):
                _forward(spine, two)
                client.until(two)
                began = time.perf_counter()
                subprocess.run([SPINE, "rollback", one, "--reason", "bench"], cwd=root, check=True, capture_output=True)
                times.append(client.until(one) - began)
        client.stop()
        if client.failed:
            raise SystemExit(f"{client.failed} requests were not answered while the route moved")
    finally:
        server.terminate()
        server.wait(20)
    peer = "python, set_registered_model_alias; nothing serves"
    alias = wall([sys.executable, "-c", _ALIAS, url, "2"], runs=3)
    yield Row(what, 1000 * statistics.median(times), "ms", 2000, peer, 1000 * alias)


def _two_models(root: Path) -> tuple[str, str]:
    """Copy this clone's state and promote a second entry in the copy; returns (first, second)."""
    served.copied(root)
    with open_spine(root) as spine:
        one = spine.registry.resolve("production")
        folder = root / "second"
        shutil.copytree(spine.registry.verified(one), folder)
        for name, field, value in (("train_manifest.json", "parent_sha", one), ("eval_report.json", "entry_sha", None)):
            (folder / name).chmod(0o644)
            (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), field: value}))
        two = spine.registry.register(folder).sha
        spine.registry.promote(two, "v90.0.0")
    return one, two


class _Client:
    """Sends requests without a pause and records when each entry answered last."""

    def __init__(self, address: str) -> None:
        self.failed = 0
        self._said: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(address,))
        self._thread.start()

    def _ask(self, address: str) -> None:
        connection = http.client.HTTPConnection(address)
        while not self._stop.is_set():
            connection.request("POST", "/v1/grammar/correct", b'{"sentence": "Yesterday he goed to school."}',
                               {"content-type": "application/json"})  # fmt: skip
            reply = connection.getresponse()
            body = json.loads(reply.read())
            self.failed += reply.status != 200
            self._said[body.get("model_sha", "")] = time.perf_counter()
        connection.close()

    def until(self, sha: str) -> float:
        """Wait for an answer of an entry and return its time."""
        self._said.pop(sha, None)
        end = time.perf_counter() + _LONGEST
        while (at := self._said.get(sha)) is None:
            if time.perf_counter() > end:
                raise SystemExit(f"bench: {sha[:12]} did not answer within {_LONGEST:g} s")
            time.sleep(0.0005)
        return at

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def _kept(root: Path) -> Iterator[Row]:
    """Back up and restore a quarter of a gigabyte of bundles, and half as much of MLflow artifacts."""
    settings = load(environ={"SPINE_ROOT": str(root)})
    create_ledger(settings, "dev")
    half = KEPT // 2
    for folder in (settings.cache / ("a" * 64), settings.artifacts / "1" / "artifacts"):
        folder.mkdir(parents=True)
        for number in range(8):
            (folder / f"shard-{number}.safetensors").write_bytes(os.urandom(half // 8))
    mega = KEPT / 1e6
    out = [_once([SPINE, "backup", f"../out-{n}.tar"], root) for n in range(3)]
    peer = [_once(["tar", "cf", f"../peer-{n}.tar", ".spine"], root) for n in range(3)]
    yield Row(
        "spine backup, each file's SHA-256, fsync", mega / statistics.median(out), "MB/s", None,
        "tar cf", mega / statistics.median(peer), "more",
    )  # fmt: skip
    back = [_once([SPINE, "restore", "../out-0.tar", "--into", f"../back-{n}"], root) for n in range(3)]
    peers = []
    for number in range(3):
        (root.parent / f"peer-{number}").mkdir()
        peers.append(_once(["tar", "xf", "../peer-0.tar"], root.parent / f"peer-{number}"))
    yield Row(
        "spine restore, all digests compared", mega / statistics.median(back), "MB/s", None,
        "tar xf", mega / statistics.median(peers), "more",
    )  # fmt: skip
