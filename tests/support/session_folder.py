"""A folder made once per test session, whichever of the session's worker processes asks for it first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def session_folder(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """Return this session's folder of that name, filled by the first process that asks; the others wait for it.

    It stands in the session's temporary folder and ends with it, so it is never older than the sources under test.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # a worker's own folder is one level below the session's
    folder, finished = base / f"{name}-shared", base / f"{name}-shared.finished"
    with (base / f"{name}-shared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a process that failed or was killed left it half filled
            folder.mkdir()
            fill(folder)
            finished.touch()
    return folder
