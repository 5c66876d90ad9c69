"""What a manifest says of the code a model was trained with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from minitutor.pins import code_version


def test_a_drift_report_is_no_change_of_code_and_a_source_is(tmp_path: Path) -> None:
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "drift_reports").mkdir()
    (tmp_path / "drift_reports" / "2026-11-16.json").write_text("{}")
    assert code_version(tmp_path)["dirty"] is False
    (tmp_path / "train.py").write_text("")
    assert code_version(tmp_path)["dirty"] is True


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "below").mkdir(parents=True)
    (root / "file").write_text("content")
    (root / "below" / "größe").write_text("x")
    (root / "link").symlink_to("file")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    return root


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda root: (root / "file").write_text("other"),
    "edited below": lambda root: (root / "below" / "größe").write_text("y"),
    "removed": lambda root: (root / "file").unlink(),
    "executable": lambda root: (root / "file").chmod(0o755),
    "another link": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("below")),
    "new": lambda root: (root / "new").write_text(""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_a_file_is_one(name: str, checkout: Path) -> None:
    assert code_version(checkout)["dirty"] is False
    CHANGES[name](checkout)
    assert code_version(checkout)["dirty"] is True
    for word in ("--assume-unchanged", "--skip-worktree"):
        subprocess.run(["git", "update-index", word, "file"], cwd=checkout, check=False, capture_output=True)
    assert code_version(checkout)["dirty"] is True


def test_no_program_is_run_and_no_other_repository_answers(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, trap = checkout.parent / "was-run", checkout.parent / "trap"
    trap.write_text(f"#!/bin/sh\necho x >> {mark}\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "filter.trap.clean"):
        subprocess.run(["git", "config", name, str(trap)], cwd=checkout, check=True)
    (checkout / ".git" / "info" / "attributes").write_text("* filter=trap\n")
    (checkout / "file").write_text("other")
    said = code_version(checkout)
    assert not mark.exists()
    subprocess.run(["git", "status"], cwd=checkout, check=False, capture_output=True)
    assert mark.exists(), "the traps are live"
    other = checkout.parent / "other"
    subprocess.run(["git", "clone", "-q", str(checkout), str(other)], check=True)
    subprocess.run(["git", "commit", "-qm", "y", "--allow-empty"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert code_version(checkout) == said
    assert said["dirty"] is True
