"""Runs the tutor's commands as separate processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_tutor(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minitutor", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "SPINE_QUIET": "1", **environment},
    )
