"""Bench group serving: serving over HTTP with durable traces, compared with peers that serve the same weights without.

Each server runs alone with the client in another process, and the peers' answers are compared with ours. The model is
the one in production in this clone (``./run demo --headless`` makes one), served from a copy of its state.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import load
import peers
import served
from engines import BATCH, PATH
from load import Load
from rows import Row

SENTENCES = ("Yesterday he goed to school.", "She play football every day.", "I have went home.", "You will eat lunch.")
CONNECTIONS = 16
RATE = 40.0
"""Requests per second of the open loop, less than a third of the slowest server's maximum."""
COMPARED = 100
PEERS = {
    "FastAPI, eager torch": ("fastapi", "eager"),
    f"LitServe, eager torch, batches of {BATCH}": ("litserve", "eager"),
    "FastAPI, our engine": ("fastapi", "own"),
    f"LitServe, our engine, batches of {BATCH}": ("litserve", "own"),
}
_PEER = """
import statistics, sys, time
from pathlib import Path
import mlflow
from minitutor.workload import Minitutor
folder, store, *sentences = sys.argv[1:]
model = Minitutor().load(Path(folder), None)
mlflow.set_tracking_uri(store)
mlflow.set_experiment("bench")
times = []
for number in range(44):
    text = sentences[number % len(sentences)]
    began = time.perf_counter()
    with mlflow.start_span(name="correct") as span:
        span.set_inputs({"sentence": text})
        span.set_outputs({"correction": model.answer([text])[0].output})
    times.append(time.perf_counter() - began)
print(statistics.median(times[4:]))
"""


class Served(NamedTuple):
    """The figures of one server."""

    answers: list[str]
    closed: Load
    opened: Load


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    if not served.has_a_model():
        yield Row("one correction over HTTP, trace durable", float("nan"), "ms", None, "make a model: ./run demo", None)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = served.copied(Path(folder))
        bundle = served.bundle(root)
        with served.spine(root) as address:
            one = load.closed(address, PATH, served.bodies(200), connections=1, seconds=5)
            ours = _measured(address)
        what = "one correction over HTTP, trace durable"
        traced = _with_mlflow(bundle, root / "peer.db")
        yield Row(f"{what}, p50", one.p50, "ms", 15, "the same engine, MLflow trace, no HTTP", traced)
        yield Row(f"{what}, p99", one.p99, "ms", None, "", None)
        for name, (kind, engine) in PEERS.items():
            environment = peers.environment() if kind == "litserve" else dict(os.environ)
            if environment is None:
                yield Row(_closed(), ours.closed.answered, "/s", None, f"{name}: {peers.MISSING}", None, "more")
                continue
            with served.peer(kind, engine, bundle, environment) as address:
                theirs = _measured(address)
            yield from _beside(ours, theirs, name)


def _closed() -> str:
    return f"corrections a second, {CONNECTIONS} connections"


def _measured(address: str) -> Served:
    bodies = served.bodies(200)
    answers = served.answers(address, bodies[:COMPARED])
    closed = load.closed(address, PATH, bodies, connections=CONNECTIONS, seconds=8)
    [opened] = load.opened(address, PATH, bodies, (RATE, 11))
    return Served(answers, closed, opened)


def _beside(ours: Served, theirs: Served, name: str) -> Iterator[Row]:
    """Yield the rows that compare three figures with one peer's."""
    equal = sum(own == other for own, other in zip(ours.answers, theirs.answers, strict=True))
    failed = sum(each.failed + each.shed for each in (theirs.closed, theirs.opened))
    said = f"{name}: {equal}/{COMPARED} answers equal" + (f", {failed} failed" if failed else "")
    yield Row(_closed(), ours.closed.answered, "/s", None, said, theirs.closed.answered, "more")
    for quantile in ("p50", "p99"):
        own, other = getattr(ours.opened, quantile), getattr(theirs.opened, quantile)
        yield Row(f"  open loop at {RATE:g} a second, {quantile}", own, "ms", None, name, other)


def _with_mlflow(bundle: Path, store: Path) -> float:
    """Return the milliseconds of one answer of the same engine, stored as an MLflow trace."""
    environment = {**os.environ, "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false", "MLFLOW_LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "-c", _PEER, str(bundle), f"sqlite:///{store}", *SENTENCES]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return 1000 * float(ran.stdout)
