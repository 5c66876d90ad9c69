"""Servers for the bench, each a process on a free port: ``spine serve`` on a copy of the clone's state, and peers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engines import PATH

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
"""The project that `./run demo` makes."""
SPINE = str(Path(sys.executable).with_name("spine"))
START_SECONDS = 90.0


def has_a_model() -> bool:
    """Whether the demo has an entry in production; ``./run demo --headless`` makes one."""
    return (DEMO / ".spine" / "ledger.db").is_file()


def copied(folder: Path) -> Path:
    """Copy the demo's state, without traces and runs, so that the original is not changed.

    All traffic goes to a model that needs no parent, because the peers load a single bundle.
    """
    ignored = shutil.ignore_patterns("traces.db*", "mlflow.db*", "mlartifacts", "bench", "dvc*")
    shutil.copytree(DEMO / ".spine", folder / ".spine", ignore=ignored)
    entry = _told(folder, "show", "production")
    while entry["parent_sha"]:
        entry = _told(folder, "show", entry["parent_sha"])
    if not entry["production"]:
        _told(folder, "route", "single", entry["sha"], "--reason", "a model without a parent")
    return folder


def bundle(root: Path) -> Path:
    """Return the bundle folder of the entry in production."""
    return root / ".spine" / "cache" / str(_told(root, "route", "show")["arms"][0]["sha"])


def _told(root: Path, *words: str) -> Any:
    """Run ``spine`` with ``--json`` and return its decoded output."""
    command = [SPINE, *words, "--json"]
    return json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


def bodies(count: int) -> list[str]:
    """Return ``count`` request bodies with sentences spread over the eval set."""
    from minitutor import corpus

    rows = corpus.rows(corpus.EVAL)
    return [json.dumps({"sentence": row.text}) for row in rows[:: len(rows) // count][:count]]


def answers(address: str, bodies: Sequence[str]) -> list[str]:
    """Send each body in turn and return the corrections."""
    connection = http.client.HTTPConnection(address, timeout=30)
    found = []
    for body in bodies:
        connection.request("POST", PATH, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        said = reply.read()
        if reply.status != 200:
            raise SystemExit(f"bench: the server answered {reply.status}: {said[:200]!r}")
        found.append(str(json.loads(said)["correction"]))
    connection.close()
    return found


@contextlib.contextmanager
def spine(root: Path, *options: str) -> Iterator[str]:
    """Run ``spine serve`` in a project and yield its address."""
    command = [SPINE, "serve", "--port", "0", *options]
    with _ended(
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        if not line:
            raise SystemExit("bench: `spine serve` did not start; run it to see why")
        yield line[line.index("http://") + 7 :].split()[0]


@contextlib.contextmanager
def peer(kind: str, engine: str, bundle: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a peer and yield its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name(f"peer_{kind}.py")
    command = [sys.executable, str(script), engine, str(bundle), str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, env=environment, process_group=0, **quiet)  # type: ignore[call-overload]
    with _ended(running, with_children=True):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                answers(f"127.0.0.1:{port}", bodies(1))
                break
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end or running.poll() is not None:
                    raise SystemExit(f"bench: {kind} did not start: {' '.join(command)}") from None
                time.sleep(0.2)
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str], *, with_children: bool = False) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if with_children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
