"""The demo: a small store with a simulated week, unpacked into a temporary folder for as long as a console shows it.

``bench/demo_store.py`` makes ``store.zip``. Its models have no weights and the runs, corpora and git history that it
names are not in it, so what a walk cannot check is shown as not checked. Nothing here knows a screen.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

from modelspine.settings import load
from modelspine.spine import Spine

END = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
"""When the simulated week ends: the time that the console shows when the demo is opened."""


@contextmanager
def demo() -> Iterator[Spine]:
    """The spine of the demo, read-only; its folder is removed afterwards. The environment's settings do not count."""
    with (
        tempfile.TemporaryDirectory(prefix="spine-demo-") as folder,
        as_file(files(__package__).joinpath("store.zip")) as packed,
    ):
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
        with Spine(load(environ={"SPINE_ROOT": str(Path(folder)), "SPINE_ACTOR": "demo"}), readonly=True) as spine:
            yield spine


class DemoClock:
    """The time of the demo: it begins at the end of the simulated week and goes on with the true time."""

    def __init__(self) -> None:
        self._opened = datetime.now(UTC)

    def __call__(self) -> datetime:
        """The simulated time now."""
        return END + (datetime.now(UTC) - self._opened)
