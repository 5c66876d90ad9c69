"""``spine demo``: a bundled store that is current, small, marked as a demo, and gone afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelspine.cli.verbs import parse
from modelspine.errors import BadInput
from modelspine.spine import Spine
from modelspine_console import demo as bundled
from modelspine_console.command import run
from modelspine_console.demo import END, DemoClock, demo
from terminal import SPINE, Terminal

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "console" / "modelspine_console" / "demo" / "store.zip"
INCIDENT = "Yesterday he goed to school."


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    """Starts a console in an empty folder, with a temporary folder of its own."""
    opened: list[Terminal] = []
    (tmp_path / "tmp").mkdir()

    def start(*words: str, **environ: str) -> Terminal:
        opened.append(Terminal(*words, root=tmp_path, TMPDIR=str(tmp_path / "tmp"), **environ))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def content(store: Path, folder: Path) -> dict[str, Any]:
    """What a store says: its files, and its tables row by row. The bytes of a database depend on SQLite's version."""
    with zipfile.ZipFile(store) as packed:
        packed.extractall(folder)
        names = sorted(packed.namelist())
    found: dict[str, Any] = {}
    for name in names:
        if not name.endswith(".db"):
            found[name] = (folder / name).read_bytes()
            continue
        with sqlite3.connect(folder / name) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found |= {f"{name}/{table}": sorted(map(_row, db.execute(f"SELECT * FROM {table}"))) for table in tables}
            if name.endswith("traces.db"):  # a store gives itself a random name
                found[f"{name}/store"] = len(found[f"{name}/store"])
        db.close()
    return found


def _row(values: tuple[Any, ...]) -> str:
    """A row as text; the last digits of a sum depend on the order in which requests were grouped."""
    return repr([round(value, 9) if isinstance(value, float) else value for value in values])


@pytest.mark.long
@pytest.mark.slow
def test_the_bundled_store_is_what_the_script_makes_now(tmp_path: Path) -> None:
    made = tmp_path / "store.zip"
    command = [sys.executable, str(ROOT / "bench" / "demo_store.py"), "--out", str(made)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "USER": "somebody", "TZ": "Asia/Tokyo"})
    now, kept = content(made, tmp_path / "now"), content(STORE, tmp_path / "kept")
    assert now.keys() == kept.keys()
    different = [name for name in now if now[name] != kept[name]]
    assert not different, f"make the store again: python bench/demo_store.py ({different} differ)"


def test_the_store_is_small_and_names_nothing_of_the_machine_that_made_it(tmp_path: Path) -> None:
    assert STORE.stat().st_size < 2_000_000
    text = repr(content(STORE, tmp_path))
    for word in (tempfile.gettempdir() + "/", str(Path.home()) + "/", str(ROOT)):
        assert word not in text


def test_every_screen_has_something_to_show() -> None:
    with demo() as settings, Spine(settings, readonly=True) as spine:
        assert {entry.status for entry in spine.registry.list()} == {"promoted", "pending", "tombstoned"}
        kinds = {event.kind for event in spine.registry.events()}
        assert {
            "opened",
            "registered",
            "gated",
            "promoted",
            "denied",
            "routed",
            "tombstoned",
            "drift_reported",
        } <= kinds
        route = spine.registry.route()
        assert route is not None
        assert route.strategy == "canary"
        found = spine.traces.list(limit=5_000).traces
        assert {trace.assignment.arm for trace in found} == {"stable", "canary"}
        assert {trace.feedback for trace in found} > {"accepted", "dismissed", "revised"}
        assert {trace.source for trace in found} == {"replay"}
        assert max(trace.started_ns for trace in found) < END.timestamp() * 1e9


def test_the_walk_says_what_was_checked_and_what_was_not() -> None:
    with demo() as settings, Spine(settings, readonly=True) as spine:
        (trace,) = spine.traces.list(text=INCIDENT, outcome="dismissed").traces
        walk = json.loads(_json(spine, trace.request_id))
    status = {answer["n"]: answer["status"] for answer in walk["answers"]}
    assert status == {1: "not_checked", 2: "verified", 3: "verified", 4: "verified", 5: "recorded", 6: "verified",
                      7: "recorded", 8: "not_checked"}  # fmt: skip
    said = {answer["n"]: answer["answer"] for answer in walk["answers"]}
    assert "the bundle of" in said[1]
    assert "is not in" in said[1]
    assert said[4].startswith("0 of ")


def _json(spine: Any, request_id: str) -> str:
    done = subprocess.run(
        [SPINE, "--json", "--root", str(spine.settings.root), "incident", request_id], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_folder_is_removed_and_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_LEDGER", "postgresql://nobody@127.0.0.1:1/none")
    with demo() as settings:
        root = settings.root
        assert (root / ".spine" / "ledger.db").is_file()
        assert settings.ledger.startswith(f"sqlite:///{root}")
    assert not root.exists()


def test_its_time_begins_at_the_end_of_the_week_and_goes_on() -> None:
    clock = DemoClock()
    first = clock()
    assert 0 <= (first - END).total_seconds() < 60
    time.sleep(0.01)
    assert clock() > first


@pytest.mark.parametrize("words", [("--demo",), ("--demo", "--screen", "traffic")])
def test_it_opens_without_a_project_and_is_marked(terminal: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    console = terminal(*words)
    console.until("DEMO")
    console.until("v0.3.0")
    assert [path.name[:11] for path in (tmp_path / "tmp").iterdir()] == ["spine-demo-"]
    console.press(":rw\r")
    console.until("opened read-only")
    console.press("\x03")
    assert console.ended() == 0
    assert not list((tmp_path / "tmp").iterdir())


def test_a_signal_removes_it_too(terminal: Any, tmp_path: Path) -> None:
    console = terminal("--demo")
    console.until("v0.3.0")
    console.process.send_signal(signal.SIGTERM)
    assert console.ended() == 143
    assert not list((tmp_path / "tmp").iterdir())


def test_both_commands_are_the_same_and_neither_changes_anything() -> None:
    assert parse(["demo"]).run is parse(["console", "--demo"]).run is run
    assert (parse(["demo"]).demo, parse(["console"]).demo) == (True, False)
    with pytest.raises(BadInput, match="read-only"):
        run(parse(["console", "--demo", "--write"]), None)  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        parse(["demo", "--write"])
    assert bundled.__doc__


def test_it_is_served_to_a_browser(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    environ = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    environ.pop("SPINE_ROOT", None)
    with subprocess.Popen(
        [SPINE, "demo", "--web", "--port", "0"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert re.search(r"http://127\.0\.0\.1:\d+/\?token=\S{40,}", server.stdout.readline())
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
