"""Writes a bundle directory: tensors, config, tokenizer, and files such as the manifest and the eval report.

The directory appears complete or not at all. This module does not know how a model was trained.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from minitutor.problems import BadInput


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a folder that is renamed to ``target`` after the block, or deleted if the block raises."""
    if target.exists():
        raise BadInput(f"{target} already exists", "choose another directory with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        for file in folder.iterdir():
            _sync(file)
        folder.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_model(folder: Path, config: Any, tensors: Mapping[str, Any], tokenizer: str | None) -> None:
    """Write the files that determine a bundle's SHA; equal content gives equal bytes."""
    from safetensors.numpy import save_file

    # Sorted names and no metadata, so that the file does not depend on when or where it was written.
    save_file({name: tensors[name] for name in sorted(tensors)}, str(folder / "model.safetensors"))
    write_json(folder / "config.json", msgspec.to_builtins(config))
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")


def entry_sha(folder: Path) -> str | None:
    """Return the canonical SHA of a bundle from ``spine sha``; None if that command is not installed."""
    program = Path(sys.executable).with_name("spine")
    if not program.exists():
        return None
    done = subprocess.run([str(program), "sha", str(folder)], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def write_json(path: Path, value: Any) -> None:
    """Write a value as ``json_bytes``."""
    path.write_bytes(json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Encode as JSON with sorted keys, an indent of two spaces and a final newline."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
