"""Two servers, a command line and a console on one PostgreSQL: one ledger, one route, one trace store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelspine.cli import main
from modelspine.spine import open_spine
from modelspine_console.data.source import Source
from postgres import admin, end_backends, schema_of
from shout_server import Server, add_entry, make_project, open_project


@pytest.fixture
def root(tmp_path: Path, postgres_url: str) -> Path:
    """A project on PostgreSQL with two promoted entries; the first one answers."""
    root = make_project(tmp_path / "project", ledger=postgres_url, traces=postgres_url)
    with open_project(root) as spine:
        for number in (1, 2):
            add_entry(spine, number)
    return root


@pytest.fixture
def servers(root: Path) -> Iterator[list[Server]]:
    with Server(root) as one, Server(root) as other:
        yield [one, other]


def spine_says(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> str:
    capsys.readouterr()
    code = main(["--root", str(root), *words])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def answers(server: Server) -> str:
    reply = server.ask("hello")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["semver"])


def test_two_servers_and_a_command_line_follow_one_route(
    root: Path, servers: list[Server], postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_spine(root, readonly=True) as read_only:
        source = Source(read_only)
        before = source.pulse()
        assert [answers(server) for server in servers] == ["v0.1.0", "v0.1.0"]

        spine_says(capsys, root, "route", "single", "v0.2.0", "--reason", "forward")
        moved = time.monotonic()
        while {answers(server) for server in servers} != {"v0.2.0"}:
            assert time.monotonic() < moved + 20, [server.log.read_text() for server in servers]
        print(f"both follow after {time.monotonic() - moved:.2f} s")
        after = source.pulse()
        assert (after.seq, after.env) == (before.seq + 1, "dev")
        assert read_only.traces.list(limit=1).matched is not None

        ended = end_backends(schema_of(postgres_url))
        assert ended >= 5, "two servers hold a ledger and two stores each"
        assert [answers(server) for server in servers] == ["v0.2.0", "v0.2.0"]
        assert source.pulse() == after

        spine_says(capsys, root, "rollback", "v0.1.0", "--reason", "back")
        moved = time.monotonic()
        while {answers(server) for server in servers} != {"v0.1.0"}:
            assert time.monotonic() < moved + 20, [server.log.read_text() for server in servers]

    asked = servers[1].ask("walk me").json()["request_id"]
    assert json.loads(spine_says(capsys, root, "traces", "show", asked, "--json"))["sentence"] == "walk me"
    assert "all sound" in spine_says(capsys, root, "verify")
    assert "PostgreSQL" not in spine_says(capsys, root, "history")
    assert not (root / ".spine" / "ledger.db").exists()


def test_every_reading_verb_answers_and_a_changed_row_is_told(
    root: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("list",), ("show", "v0.1.0"), ("route", "show"), ("history",), ("lineage", "v0.2.0"), ("info",)):
        assert spine_says(capsys, root, *words, "--json")
    admin(postgres_url, "UPDATE events SET hash = repeat('0', 64) WHERE seq = 2")
    assert main(["--root", str(root), "verify"]) == 5
    assert "event #2 hashes to" in capsys.readouterr().out
    assert main(["--root", str(root), "list"]) == 5


def test_init_makes_a_ledger_on_postgresql_and_hides_a_password(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres_url.replace("root@", "root:hush@", 1)
    (tmp_path / "spine.toml").write_text(f'ledger = "{url}"\ntraces = "{url}&password=hush"\n')
    assert main(["--root", str(tmp_path), "list"]) == 3
    assert "spine init" in capsys.readouterr().err
    assert json.loads(spine_says(capsys, tmp_path, "info", "--json"))["stores"]["ledger"]["state"] == "missing"
    for words in (("init",), ("init",), ("info",), ("info", "--json"), ("init", "--json")):
        assert "hush" not in spine_says(capsys, tmp_path, *words)
