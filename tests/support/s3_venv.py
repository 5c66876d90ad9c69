"""Installs the S3 server of the tests into a venv of its own: it needs other versions of what the project uses.

``./run`` calls it, so it takes nothing but the standard library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(sys.prefix) / "s3"
LOCK = Path(__file__).parents[1] / "s3.lock"


def main() -> int:
    """Make the venv anew from the lock; returns the exit code of the installation."""
    venv.create(FOLDER, clear=True, symlinks=True)
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    return subprocess.call([*uv, "-r", LOCK], env={**os.environ, "VIRTUAL_ENV": str(FOLDER)})


if __name__ == "__main__":
    sys.exit(main())
