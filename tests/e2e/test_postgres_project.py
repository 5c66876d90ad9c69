"""A project on PostgreSQL at the command line; several servers on one are in ``test_fleet``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelspine.cli import main
from postgres import admin
from shout_server import add_entry, make_project, open_project


@pytest.fixture
def root(tmp_path: Path, postgres_url: str) -> Path:
    """A project on PostgreSQL with two promoted entries; the first one answers."""
    root = make_project(tmp_path / "project", ledger=postgres_url, traces=postgres_url)
    with open_project(root) as spine:
        for number in (1, 2):
            add_entry(spine, number)
    return root


def spine_says(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> str:
    capsys.readouterr()
    code = main(["--root", str(root), *words])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


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
