"""Peers that not everyone should have to install: put into a folder of their own the first time the bench wants one.

``bench/peers.lock`` pins what they need beyond requirements.lock or in another version; a process of its own finds
them there first, and the project's packages behind them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "bench" / "peers.lock"
FOLDER = ROOT / ".spine" / "bench" / "peers"
MISSING = "not installed here"


def folder() -> Path | None:
    """Where the peers are, installed now where they were not; None, and why on stderr, where they cannot be."""
    stamp = FOLDER / ".lock"
    wanted = LOCK.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return FOLDER
    print(
        f"bench: installing {wanted.count('==')} packages of the peers into {FOLDER.relative_to(ROOT)}", file=sys.stderr
    )
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--no-deps", "--python", sys.executable, "--target", str(FOLDER)]
    if subprocess.run([*command, "--requirements", str(LOCK)], check=False).returncode:
        print("bench: the peers could not be installed; their lines say so, the others go on", file=sys.stderr)
        return None
    stamp.write_text(wanted, encoding="utf-8")
    return FOLDER


def environment() -> dict[str, str] | None:
    """The environment of a process that imports the peers before what the project has itself; None without them."""
    found = folder()
    return None if found is None else {**os.environ, "PYTHONPATH": str(found)}
