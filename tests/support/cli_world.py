"""A small project on which every CLI verb has something to print, and functions that run verbs on it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from bundles import write_bundle
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.cli import main
from modelspine.ledger.route import assign
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

SAID = "went to school"
REQUEST = "req-00000001"
V1 = [{"id": str(n), "text": f"row {n}"} for n in range(50)]
V2 = [*V1, {"id": "went", "text": "he WENT"}]
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[31m\u202egnp.exe\u200b\n[@click=app.quit]x[/]"
"""Sets the clipboard, colours, turns the reading direction, hides a character, breaks the line."""


class Done(NamedTuple):
    """The result of a command: exit code and output."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class World(NamedTuple):
    """A project with v0.1.0 (changes no text), v0.2.0 (correct), a pending child entry, and one request."""

    root: Path
    silent: str
    loud: str
    child: str


def track(root: Path, name: str, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Write a corpus and the .dvc file that names it, as ``dvc add`` does; returns its place in a manifest."""
    file = root / "data" / f"{name}.jsonl"
    file.parent.mkdir(exist_ok=True)
    raw = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file.write_bytes(raw)
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    file.with_name(f"{file.name}.dvc").write_text(
        f"outs:\n- md5: {md5}\n  size: {len(raw)}\n  hash: md5\n  path: {file.name}\n"
    )
    sha256 = hashlib.sha256(raw).hexdigest()
    return {"path": f"data/{name}.jsonl", "dvc_hash": md5, "sha256": sha256, "rows": len(rows)}


def leave_trace(root: Path, request_id: str, text: str, said: str, feedback: str | None = None, **more: Any) -> None:
    """Write a trace as a server would."""
    with open_spine(root, readonly=True) as spine:
        route = spine.registry.route()
        assert route is not None
        trace = Trace(
            request_id=request_id,
            trace_id="0" * 32,
            span_id="0" * 16,
            started_ns=time.time_ns(),
            entry_sha=route.stable.sha,
            intended_sha=route.stable.sha,
            semver=route.stable.semver,
            assignment=assign(route, "learner-1", sticky=True),
            input=text,
            output=said,
            accepted=said == text,
            features={"length": "3"},
        )
        writer = TraceWriter(spine.settings.traces)
    writer.submit(msgspec.structs.replace(trace, **more)).result(5)
    if feedback is not None:
        assert writer.feedback(request_id, feedback).result(5)  # type: ignore[arg-type]
    writer.close()


def make_world(root: Path) -> World:
    """Create the project."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "spine.toml").write_text('workload = "echo"\n')
    create_ledger(load(root, environ={}), "dev")
    with open_spine(root) as spine:
        one = write_bundle(root / "made" / "1", -1, k=80, corpora=[track(root, "v1", V1)])
        two = write_bundle(root / "made" / "2", 7, corpora=[track(root, "v2", V2)])
        silent, loud = (spine.registry.register(folder).sha for folder in (one, two))
        three = write_bundle(root / "made" / "3", 9, parent=silent, report=False)
        child = spine.registry.register(three).sha
        spine.registry.promote(silent, "v0.1.0", reason="the first")
        spine.registry.promote(loud, "v0.2.0", reason="better")
    leave_trace(root, REQUEST, SAID, SAID, "dismissed")
    return World(root, silent, loud, child)


def run(capsys: pytest.CaptureFixture[str], *words: str, root: Path | None = None) -> Done:
    """Run a command in this process."""
    capsys.readouterr()
    code = main([*words, *(["--root", str(root)] if root is not None else [])])
    return Done(code, *capsys.readouterr())


def check_refused(done: Done, code: int) -> None:
    """Check the form of a failure: exit code, nothing on stdout, two lines on stderr, no traceback."""
    assert done.code == code, done
    assert done.out == "", done
    assert "Traceback" not in done.err
    lines = done.err.rstrip("\n").split("\n")
    assert len(lines) == 2, done.err
    assert lines[0].startswith("spine: ")
    assert lines[1].startswith("  ")
    assert lines[1].strip()
