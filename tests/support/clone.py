"""A folder with the files of a fresh clone, and functions that run commands in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def make_clone(root: Path, *more: str, **environ: str) -> Clone:
    """Create a clone with the files the corpora and DVC need and those in ``more``, and generate the corpora."""
    shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    pointers = [f"data/{file.name}" for file in (ROOT / "data").glob("*.dvc")]
    for name in (*pointers, "data/.gitignore", "data/corpus_manifest.json", ".gitignore", ".dvcignore", *more):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "a clone"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    made = Clone(root, **environ)
    made.run("minitutor", "corpus")
    return made
