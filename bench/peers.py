"""Installs the optional peers of the bench into a separate folder the first time one is needed.

``bench/peers.lock`` pins what they need in addition to requirements.lock or in another version. A separate process
imports packages from that folder first, then from the project's environment.
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


@functools.cache  # a failed installation is not retried for every row
def folder() -> Path | None:
    """Install the peers if needed and return their folder; None, with the reason on stderr, if that fails."""
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
        print("bench: the peers could not be installed; their rows say so", file=sys.stderr)
        return None
    stamp.write_text(wanted, encoding="utf-8")
    return FOLDER


def environment() -> dict[str, str] | None:
    """Return the environment of a process that imports the peers' packages first; None without peers."""
    found = folder()
    return None if found is None else {**os.environ, "PYTHONPATH": str(found)}
