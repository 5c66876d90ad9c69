"""A folder with the files of a fresh clone, and functions that run commands in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from session_folder import session_folder

ROOT = Path(__file__).resolve().parents[2]


class Clone:
    """A checkout in a temporary folder."""

    def __init__(self, root: Path, **environ: str) -> None:
        self.root = root
        self.environment = {
            **os.environ, "HOME": str(root.parent), "SPINE_QUIET": "1", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(root.parent / "dvc-site"), **environ,
        }  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        program = (
            [sys.executable, "-m", "minitutor"]
            if words[0] == "minitutor"
            else [str(Path(sys.executable).with_name("spine"))]
        )
        done = subprocess.run(
            [*program, *words[1:]], cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


def make_clone(
    factory: pytest.TempPathFactory, root: Path, *more: str, mlflow: Path | None = None, **environ: str
) -> Clone:
    """Create a clone with the files the corpora and DVC need and those in ``more``, and the corpora made in it.

    ``mlflow`` is an empty store to begin with: MLflow takes seconds to make one.
    """
    shutil.copytree(corpora(factory) / "clone", root, dirs_exist_ok=True)
    for name in more:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    _commit(root, "--amend", "--quiet", "--no-edit")
    if mlflow is not None:
        shutil.copy(mlflow, root / ".spine" / "mlflow.db")
    return Clone(root, **environ)


def corpora(factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``clone`` in which the corpora were made, once a session, and what that printed."""
    return session_folder(factory, "corpora", _make_corpora)


def _make_corpora(folder: Path) -> None:
    root = folder / "clone"
    shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    pointers = [f"data/{file.name}" for file in (ROOT / "data").glob("*.dvc")]
    for name in (*pointers, "data/.gitignore", "data/corpus_manifest.json", ".gitignore", ".dvcignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    _commit(root, "-qm", "a clone")
    # A hash seed unlike this process's: the bytes must be those of the committed hashes under every one.
    printed = Clone(root, HOME=str(folder / "nobody"), PYTHONHASHSEED="1").run("minitutor", "corpus")
    (folder / "printed.txt").write_text(printed)
    shutil.rmtree(root / ".dvc" / "tmp", ignore_errors=True)


def _commit(root: Path, *words: str) -> None:
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "commit", *words], cwd=root, check=True)
