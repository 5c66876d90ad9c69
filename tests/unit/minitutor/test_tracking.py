"""The corpora under DVC, in a fresh clone of what is committed."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clone import corpora, make_clone
from minitutor import tracking
from minitutor.cli import main

pytestmark = pytest.mark.slow

CORPORA = ("train_v1.jsonl", "train_v2.jsonl", "train_v3.jsonl", "eval.jsonl", "held_out.jsonl")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the committed files of the corpora, and the corpora made in it."""
    root = tmp_path_factory.mktemp("clone")
    make_clone(tmp_path_factory, root)
    return root


@pytest.fixture(scope="module")
def made() -> list[tracking.Made]:
    return tracking.make()


@pytest.fixture
def corpus_command(clone: Path, made: list[tracking.Made], monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Runs ``corpus`` in the clone and in this process, on corpora made once: making them takes three seconds."""
    monkeypatch.chdir(clone)
    monkeypatch.setenv("SPINE_QUIET", "1")
    monkeypatch.setattr(tracking, "make", lambda: made)
    return lambda: main(["corpus"])


def test_bytes_stand_in_tree_cache_and_remote_and_git_is_clean(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "added to DVC's cache" in (corpora(tmp_path_factory) / "printed.txt").read_text()
    for name in CORPORA:
        data = (clone / "data" / name).read_bytes()
        md5 = hashlib.md5(data).hexdigest()
        assert f"md5: {md5}" in (clone / f"data/{name}.dvc").read_text()
        for place in (".dvc/cache", ".spine/dvc-remote"):
            assert (clone / place / "files/md5" / md5[:2] / md5[2:]).read_bytes() == data
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    assert not (corpora(tmp_path_factory) / "nobody").exists()


def test_a_second_time_nothing_is_left_to_do(
    clone: Path, corpus_command: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in clone.glob("data/*")}
    assert corpus_command() == 0
    assert "already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in clone.glob("data/*")} == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own, of the libraries it uses
def test_a_damaged_cache_file_is_replaced(clone: Path, corpus_command: Callable[[], int]) -> None:
    pointer = (clone / "data/eval.jsonl.dvc").read_text()
    md5 = pointer.split("md5: ")[1][:32]
    cached = clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    assert corpus_command() == 0
    assert hashlib.md5(cached.read_bytes()).hexdigest() == md5


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("data/train_v1.jsonl.dvc", "md5: ", "md5: 0", 2),
        ("data/eval.jsonl.dvc", None, None, 5),
        ("data/corpus_manifest.json", '"rows": 3000', '"rows": 3001', 5),
    ],
)
def test_a_hash_that_differs_fails(
    clone: Path, corpus_command: Callable[[], int], capsys: pytest.CaptureFixture[str],
    name: str, old: str | None, new: str | None, code: int,
) -> None:  # fmt: skip
    path = clone / name
    kept = path.read_text()
    if old is None:
        digest = kept.split("md5: ")[1][:32]
        old, new = digest, digest[::-1]
    try:
        path.write_text(kept.replace(old, str(new), 1))
        found = corpus_command()
    finally:
        path.write_text(kept)
    said = capsys.readouterr().err
    assert found == code
    assert len(said.strip().splitlines()) == 2
    assert Path(name).name.removesuffix(".dvc") in said
