"""Peers that not everyone should have to install: put into a folder of their own the first time the bench wants one.

``bench/peers.lock`` pins what they need beyond requirements.lock or in another version; a process of its own finds
them there first, and the project's packages behind them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "bench" / "peers.lock"
FOLDER = ROOT / ".spine" / "bench" / "peers"
MISSING = "not installed here"


@functools.cache  # what cannot be installed is not tried again
def folder() -> Path | None:
    """Where the peers are, installed now where they were not; None, and why on stderr, where they cannot be."""
    stamp = FOLDER / ".lock"
    wanted = LOCK.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    print(f"bench: installing {wanted.count('==')} packages of the peers, once, into {stamp.parent}", file=sys.stderr)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-qq",
        "install",
        "--no-deps",
        "--target",
        FOLDER,
    ]
    if subprocess.run([*pip, "--requirement", LOCK], stdout=sys.stderr, check=False).returncode:
        print("bench: the peers could not be installed; their lines say so, the others go on", file=sys.stderr)
        return None
    stamp.write_text(wanted, encoding="utf-8")
    return FOLDER


def environment() -> dict[str, str] | None:
    """The environment of a process that imports the peers before what the project has itself; None without them."""
    found = folder()
    return None if found is None else {**os.environ, "PYTHONPATH": str(found)}
