"""Finds the parent of a variant: a bundle directory, or an entry that ``spine`` finds by a REF.

A parent is a full FP32 bundle with its training manifest. ``spine`` is used through its command line. This module does
not know what is made from a parent.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from minitutor import bundles
from minitutor.problems import BadInput, Damaged, Unavailable
from minitutor.weights import FULL


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A parent's folder and SHA, and the content of its ``train_manifest.json`` and ``config.json``."""

    folder: Path
    sha: str
    manifest: dict[str, Any]

    @property
    def run_id(self) -> str | None:
        """The MLflow run of its training."""
        run_id = self.manifest.get("mlflow_run_id")
        return run_id if isinstance(run_id, str) else None

    @property
    def corpora(self) -> list[dict[str, Any]]:
        """The corpora it was trained on."""
        return list(self.manifest.get("corpora") or ())

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.sha[:12]


def find(ref: str) -> Parent:
    """Find a parent by its directory or REF.

    Raises:
        BadInput: there is no such bundle, or it is itself a variant.
        Damaged: the cached bytes do not match the SHA.
        Unavailable: the ``spine`` command is not installed.

    """
    folder, expected = (Path(ref), None) if Path(ref).is_dir() else _of_entry(ref)
    try:
        manifest = msgspec.json.decode((folder / "train_manifest.json").read_bytes(), type=dict[str, Any])
        variant = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, Any]).get("variant", FULL)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{folder} is not a trained bundle: {error}", "give the directory of one, or a REF") from error
    if variant != FULL:
        raise BadInput(f"{ref} is itself a variant ({variant})", "give the FP32 bundle it was made from")
    sha = bundles.entry_sha(folder)
    if sha is None:
        raise Unavailable(
            f"`spine sha {folder}` printed no SHA", "run it to see why; the variant's manifest needs its parent's SHA"
        )
    if expected is not None and sha != expected:
        raise Damaged(f"{folder} has the SHA {sha[:12]}, not {expected[:12]}", "`spine verify`, then register it again")
    return Parent(folder=folder, sha=sha, manifest=manifest)


def _of_entry(ref: str) -> tuple[Path, str]:
    """Return the cached folder of an entry, and its SHA."""
    sha = str(_spine("show", ref)["sha"])
    cache = Path(str(_spine("info")["settings"]["cache"]["value"]))
    return cache / sha, sha


def _spine(*words: str) -> dict[str, Any]:
    program = Path(sys.executable).with_name("spine")
    if not program.exists():
        raise Unavailable("the spine command is not installed here", "give the parent's directory")
    done = subprocess.run([str(program), *words, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"{words[-1]!r} is neither a directory nor an entry that `spine show` finds",
            "give the parent's directory, its SHA or its semver",
        )
    return msgspec.json.decode(done.stdout, type=dict[str, Any])
