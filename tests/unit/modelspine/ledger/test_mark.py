"""The high-water mark: a chain that lost its tail is whole, and the mark beside it shows what is gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bundles import write_bundle
from cli_world import run
from modelspine.ledger.mark import NAME, read_mark
from modelspine.ledger.store import Head
from modelspine.spine import Spine, open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def kept(spine: Spine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of four events; returns its home."""
    monkeypatch.chdir(spine.settings.root)
    spine.registry.register(write_bundle(tmp_path / "1", 1))
    for text in ("one", "two"):
        spine.registry.note(text)
    return spine.settings.home


def found(capsys: Capture) -> tuple[int, list[str], list[str]]:
    done = run(capsys, "verify", "--json")
    check = next(check for check in done.json["checks"] if check["name"] == "mark")
    return done.code, check["problems"], check["not_checked"]


def head(home: Path) -> Head:
    with open_spine(home.parent, readonly=True) as spine:
        return spine.ledger.head()


def cut(home: Path, keep: Path) -> None:
    """Put an earlier copy of the database in the place of the ledger."""
    for file in home.glob("ledger.db*"):
        file.unlink()
    shutil.copy(keep, home / "ledger.db")


def test_the_mark_follows_each_append_and_a_lost_tail_is_found(kept: Path, tmp_path: Path, capsys: Capture) -> None:
    assert read_mark(kept / NAME) == head(kept)
    with open_spine(kept.parent) as spine:
        spine.ledger._db.read("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(kept / "ledger.db", tmp_path / "early.db")
        spine.registry.note("three")
    newest = head(kept)
    assert read_mark(kept / NAME) == newest
    assert found(capsys) == (0, [], [])
    cut(kept, tmp_path / "early.db")
    code, problems, _ = found(capsys)
    assert code == 5
    assert f"#{newest.seq} is not in the ledger" in problems[0]
    with open_spine(kept.parent) as spine:  # later events must not hide that one is gone
        for text in ("four", "five"):
            spine.registry.note(text)
    assert read_mark(kept / NAME) == newest
    code, problems, _ = found(capsys)
    assert code == 5
    assert "the chain was rewritten" in problems[0]


def test_no_mark_is_not_checked_and_one_behind_is_normal(kept: Path, capsys: Capture) -> None:
    old = (kept / NAME).read_bytes()
    with open_spine(kept.parent) as spine:
        spine.registry.note("three")
    (kept / NAME).write_bytes(old)
    assert found(capsys) == (0, [], [])
    (kept / NAME).unlink()
    code, problems, unseen = found(capsys)
    assert (code, problems, len(unseen)) == (0, [], 1)


@pytest.mark.parametrize("raw", [b"", b"5", b"0:" + b"a" * 64 + b"\n", b"\xff" * 500, b"4:zz\n"])
def test_a_mark_that_is_none_is_named_blocks_nothing_and_is_not_replaced(
    raw: bytes, kept: Path, capsys: Capture
) -> None:
    (kept / NAME).write_bytes(raw)
    with open_spine(kept.parent) as spine:
        spine.registry.note("three")
    assert (kept / NAME).read_bytes() == raw
    code, problems, _ = found(capsys)
    assert code == 5
    assert "is not SEQ:HASH" in problems[0]


def test_a_pipe_in_the_place_of_the_mark_blocks_nothing(kept: Path, capsys: Capture) -> None:
    (kept / NAME).unlink()
    os.mkfifo(kept / NAME)
    with open_spine(kept.parent) as spine:
        assert spine.registry.note("three").created
    code, problems, _ = found(capsys)
    assert code == 5
    assert "is not SEQ:HASH" in problems[0]


def test_every_command_says_that_the_tail_is_lost(kept: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copy(kept / "ledger.db", tmp_path / "keep.db")
    assert run(capsys, "note", "this will be gone").code == 0
    assert "which this machine saw" not in run(capsys, "history").err
    cut(kept, tmp_path / "keep.db")
    for words in (("history",), ("note", "one more")):
        assert f"does not hold event #{read_mark(kept / NAME).seq}:" in run(capsys, *words).err  # type: ignore[union-attr]


def test_a_mark_that_cannot_be_written_blocks_nothing(kept: Path) -> None:
    (kept / NAME).unlink()
    (kept / NAME).mkdir()
    with open_spine(kept.parent) as spine:
        assert spine.registry.note("three").created


def test_a_restore_begins_a_new_mark(kept: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, "backup", str(tmp_path / "b.tar")).code == 0
    early = head(kept)
    assert run(capsys, "note", "after the backup").code == 0
    assert read_mark(kept / NAME) != early
    assert run(capsys, "restore", str(tmp_path / "b.tar"), "--into", str(tmp_path / "new")).code == 0
    assert read_mark(tmp_path / "new" / ".spine" / NAME) == early
