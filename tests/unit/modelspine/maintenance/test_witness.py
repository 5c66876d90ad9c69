"""A witness file without a line, or without one that its git history has, is never sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli_world import run
from modelspine.spine import Spine

Capture = pytest.CaptureFixture[str]
KEEP = ("--keep",)
_AS = ("-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *_AS, *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Witness the ledger")


@pytest.fixture
def witness(spine: Spine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """A witness with two committed lines."""
    monkeypatch.chdir(spine.settings.root)
    folder = tmp_path / "witness"
    folder.mkdir()
    git(folder, "init", "-q")
    for text in ("one", "two"):
        spine.registry.note(text)
        assert run(capsys, "verify", "--witness", str(folder / "ledger.txt"), "--keep").code == 0
        commit(folder)
    return folder / "ledger.txt"


def said(capsys: Capture, witness: Path, *more: str) -> tuple[int, str]:
    done = run(capsys, "verify", "--json", "--witness", str(witness), *more)
    check = next(check for check in done.json["checks"] if check["name"] == "checkpoints")
    unseen = [f"not checked: {what}" for what in check["not_checked"]]
    return done.code, " ".join([*check["problems"], *check["notes"], *unseen])


def test_a_witness_that_only_grew_is_sound(witness: Path, capsys: Capture) -> None:
    assert said(capsys, witness) == (0, "")
    assert said(capsys, witness, "--keep") == (0, "")
    assert len(witness.read_text().split()) == 2


@pytest.mark.parametrize(
    ("content", "committed", "keep"),
    [
        ("", True, ()),
        ("", True, KEEP),
        ("", False, KEEP),
        ("\n\n", True, ()),
        ("first", True, KEEP),
        ("first", False, ()),
        ("last", True, ()),
        ("other", True, ()),
        ("gone", True, ()),
        ("gone", True, KEEP),
        ("gone", False, KEEP),
    ],
)
def test_lines_that_were_removed_are_missed(
    content: str, committed: bool, keep: tuple[str, ...], witness: Path, capsys: Capture
) -> None:
    lines = witness.read_text().split()
    if content == "gone":
        witness.unlink()
    else:
        witness.write_text(
            {"first": lines[0], "last": lines[1], "other": f"{lines[0]}\n2:{'a' * 64}"}.get(content, content)
        )
    if committed:
        commit(witness.parent)
    if content == "gone" and not keep:
        assert run(capsys, "verify", "--witness", str(witness)).code == 2
        return
    code, text = said(capsys, witness, *keep)
    assert code == 5
    assert "rewritten" in text or "emptied" in text


def test_a_merge_that_drops_a_line_is_missed(witness: Path, capsys: Capture) -> None:
    git(witness.parent, "checkout", "-qb", "side")
    (witness.parent / "other").write_text("x")
    commit(witness.parent)
    git(witness.parent, "checkout", "-q", "-")
    git(witness.parent, "merge", "-q", "--no-commit", "--no-ff", "side")
    witness.write_text(witness.read_text().split()[1] + "\n")
    commit(witness.parent)
    code, text = said(capsys, witness)
    assert (code, "1 of the lines" in text) == (5, True)


def test_an_empty_witness_is_a_beginning_only_where_git_shows_that_it_never_had_a_line(
    witness: Path, tmp_path: Path, capsys: Capture
) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    (fresh / "ledger.txt").touch()
    commit(fresh)
    code, text = said(capsys, fresh / "ledger.txt")
    assert (code, "no checkpoint is recorded yet" in text) == (0, True)
    witness.write_text("")
    commit(witness.parent)
    git(tmp_path, "clone", "-q", "--depth", "1", witness.parent.as_uri(), "shallow")
    code, text = said(capsys, tmp_path / "shallow" / "ledger.txt")
    assert (code, "empty" in text, "not checked" in text) == (5, True, True)


def test_a_witness_outside_git_is_compared_and_its_history_is_not_checked(
    witness: Path, tmp_path: Path, capsys: Capture
) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text(witness.read_text())
    code, text = said(capsys, plain)
    assert (code, "not checked" in text) == (0, True)
    plain.write_text("")
    assert said(capsys, plain)[0] == 5
