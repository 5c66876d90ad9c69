"""One correction on an idle server, its trace durable, beside the same answer kept as an MLflow trace.

It serves the entry that is in production in this clone (``./run demo --headless`` makes one), from a copy of
its state, so the clone's own traces are not touched.
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
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Row

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ("Yesterday he goed to school.", "She play football every day.", "I have went home.", "You will eat lunch.")
REQUESTS = 400
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


def rows() -> Iterator[Row]:
    """Rows of this group."""
    if not (ROOT / ".spine" / "ledger.db").is_file():
        yield Row("one correction over HTTP, trace durable", float("nan"), "ms", None, "make a model: ./run demo", None)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(
            ROOT / ".spine", root / ".spine", ignore=shutil.ignore_patterns("traces.db*", "mlflow.db*", "bench")
        )
        times = _served(root)
        sha = json.loads(_spine(root, "route", "show", "--json"))["arms"][0]["sha"]
        environment = {**os.environ, "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false", "MLFLOW_LOGGING_LEVEL": "ERROR"}
        store = f"sqlite:///{root / 'peer.db'}"
        command = [sys.executable, "-c", _PEER, str(root / ".spine" / "cache" / sha), store, *SENTENCES]
        peer = 1000 * float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    yield Row(
        "one correction over HTTP, trace durable, p50", p50, "ms", 15, "the same engine, MLflow trace, no HTTP", peer
    )
    yield Row("one correction over HTTP, trace durable, p99", p99, "ms", None, "", None)


def _spine(root: Path, *words: str) -> str:
    command = [str(Path(sys.executable).with_name("spine")), *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def _served(root: Path) -> list[float]:
    """Milliseconds of each request, one at a time on one connection."""
    spine = str(Path(sys.executable).with_name("spine"))
    server = subprocess.Popen(
        [spine, "serve", "--port", "0"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = line[line.index("http://") + 7 :].split()[0]
        connection = http.client.HTTPConnection(address)
        times = [_ask(connection, SENTENCES[number % len(SENTENCES)]) for number in range(REQUESTS + 40)]
        connection.close()
        return times[40:]
    finally:
        server.terminate()
        server.wait(20)


def _ask(connection: http.client.HTTPConnection, sentence: str) -> float:
    body = json.dumps({"sentence": sentence})
    began = time.perf_counter()
    connection.request("POST", "/v1/grammar/correct", body, {"content-type": "application/json"})
    reply = connection.getresponse()
    reply.read()
    if reply.status != 200:
        raise SystemExit(f"the server answered {reply.status}")
    return 1000 * (time.perf_counter() - began)
