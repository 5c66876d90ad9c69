"""The demo: a small store with a simulated week, unpacked into a temporary folder for as long as a console shows it.

``bench/demo_store.py`` makes ``store.zip``. It has a ledger, traces, drift reports and two corpora. Its models have no
weights, and there are no runs, so a walk shows what needs those as missing. Nothing here knows a screen.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files

from modelspine.settings import Settings, load

END = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
"""When the simulated week ends: the time that the console shows when the demo is opened."""


@contextmanager
def demo() -> Iterator[Settings]:
    """The settings of the unpacked demo; its folder is removed afterwards. The environment's settings do not count."""
    with (
        tempfile.TemporaryDirectory(prefix="spine-demo-") as folder,
        as_file(files(__package__).joinpath("store.zip")) as packed,
    ):
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
        with contextlib.suppress(OSError):  # corpora are looked up in a repository; without git they show as missing
            subprocess.run(["git", "init", "--quiet", folder], check=False, capture_output=True)
        yield load(environ={"SPINE_ROOT": folder, "SPINE_ACTOR": "demo", "SPINE_WORKLOAD": "minitutor"})


class DemoClock:
    """The time of the demo: it begins at the end of the simulated week and goes on with the true time."""

    def __init__(self) -> None:
        self._opened = datetime.now(UTC)

    def __call__(self) -> datetime:
        """The simulated time now."""
        return END + (datetime.now(UTC) - self._opened)
