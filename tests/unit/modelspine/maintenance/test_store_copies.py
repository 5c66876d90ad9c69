"""A project moves from one machine's files to a PostgreSQL server by its backup, and back, with every row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli_world import REQUEST, check_refused, leave_trace, make_world, run
from miniobserve.pending import PENDING_SCHEMA
from miniobserve.sql.open import connect
from miniobserve.transfer import _TABLES
from miniobserve.writer import TraceWriter
from modelspine.spine import open_spine
from postgres import admin

Capture = pytest.CaptureFixture[str]
MANY = 2_100
"""More requests than one page."""


def rows(url: str, kind: str) -> dict[str, Any]:
    """Every row of a ledger or a trace store; what differs by driver, as bytes and numbers that are equal."""
    if kind == "ledger":
        tables = {"events": ("seq, event, hash, key", "seq"), "evidence": ("digest, body", "digest")}
    else:
        tables = {name: (", ".join(column for column, _ in columns), ", ".join(key)) for name, columns, key in _TABLES}
        tables["collected"] = ("trace_id, span_id, at_ns, span, length", "span_id")
        tables["touched"] = ("DISTINCT minute", "minute")
    with closing(connect(url, readonly=True)) as database:
        found = {
            name: database.read(f"SELECT {what} FROM {name} ORDER BY {key}") for name, (what, key) in tables.items()
        }
    plain: Callable[[Any], Any] = lambda value: value.encode() if isinstance(value, str) else value  # noqa: E731
    return {name: sorted([tuple(map(plain, row)) for row in each], key=repr) for name, each in found.items()}


def fill(root: Path) -> None:
    """Requests on several days, feedback, odd characters, and minutes that no sum counts yet."""
    with open_spine(root, readonly=True) as spine:
        trace = spine.traces[REQUEST]
    with closing(TraceWriter(f"sqlite:///{root}/.spine/traces.db")) as writer:
        last = [
            writer.submit(
                msgspec.structs.replace(
                    trace, request_id=f"many-{number:05}", started_ns=trace.started_ns - number * 10**11,
                    input=f"nul \\0 and “quotes” {number}", error="" if number % 9 else "it failed",
                )
            )
            for number in range(MANY)
        ]  # fmt: skip
        assert [each.result(30) for each in last] == [None] * MANY
        assert writer.feedback("many-00007", "accepted").result(30)
        assert writer.feedback("many-00007", "dismissed").result(30)
    with closing(connect(f"sqlite:///{root}/.spine/traces.db", create=True)) as database:
        database.script([*PENDING_SCHEMA, "INSERT INTO collected VALUES ('t', 's', 1, 'a span that waits', 17)"])


@pytest.mark.long
def test_a_project_of_files_becomes_one_on_postgresql_and_comes_back(
    tmp_path: Path, postgres_url: str, echo: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path / "files")
    fill(world.root)
    leave_trace(world.root, "tail", "x", "x")
    monkeypatch.chdir(world.root)
    assert run(capsys, "backup", "../files.tar.gz").code == 0
    server = tmp_path / "server"
    server.mkdir()
    (server / "spine.toml").write_text(
        f'workload = "echo"\nledger = "{postgres_url}"\ntraces = "{postgres_url}"\nmlflow = "http://127.0.0.1:9"\n'
    )
    done = run(capsys, "restore", "../files.tar.gz", "--json", root=server)
    assert (done.code, done.json["ok"]) == (0, True), done.err
    files = {kind: rows(f"sqlite:///{world.root}/.spine/{kind}.db", kind) for kind in ("ledger", "traces")}
    assert len(files["traces"]["requests"]) == MANY + 2
    assert len(files["traces"]["collected"]) == 1
    assert len(files["traces"]["feedback_history"]) >= 2
    assert files["traces"]["touched"] or files["traces"]["sums"]
    assert {kind: rows(postgres_url, kind) for kind in files} == files
    assert not list((server / ".spine").glob("*.db"))
    with open_spine(world.root, readonly=True) as before, open_spine(server) as after:
        assert after.ledger.head() == before.ledger.head()
        assert after.traces[REQUEST] == before.traces[REQUEST]
        assert after.traces["many-00007"] == before.traces["many-00007"]
        assert after.incident(REQUEST).answers[0].status == "verified"

    shutil.rmtree(server / ".spine")
    refused = run(capsys, "restore", "../files.tar.gz", root=server)
    check_refused(refused, 2)
    assert "a restore replaces nothing" in refused.err
    assert {kind: rows(postgres_url, kind) for kind in files} == files

    shutil.copytree(world.root / ".spine" / "cache", server / ".spine" / "cache")
    taken = run(capsys, "backup", "../server.tar", "--json", root=server)
    assert taken.code == 0
    assert any("MLflow's runs at http://127.0.0.1:9 are not included" in each for each in taken.json["warnings"])
    assert run(capsys, "restore", "../server.tar", "--into", str(tmp_path / "back")).code == 0
    assert {kind: rows(f"sqlite:///{tmp_path}/back/.spine/{kind}.db", kind) for kind in files} == files


def test_a_place_with_traces_alone_is_refused_before_anything_is_written(
    tmp_path: Path, postgres_url: str, echo: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path / "files")
    monkeypatch.chdir(world.root)
    assert run(capsys, "backup", "../files.tar").code == 0
    server = tmp_path / "server"
    server.mkdir()
    (server / "spine.toml").write_text(f'workload = "echo"\nledger = "{postgres_url}"\ntraces = "{postgres_url}"\n')
    with closing(TraceWriter(postgres_url)):
        pass
    admin(postgres_url, "INSERT INTO taken (request_id, day) VALUES ('x', 1)")
    refused = run(capsys, "restore", "../files.tar", root=server)
    check_refused(refused, 2)
    assert "the trace store has rows in taken already" in refused.err
    assert admin(postgres_url, "SELECT to_regclass('events') IS NULL") == [(True,)]
    assert not (server / ".spine").exists()
