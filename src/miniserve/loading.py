"""Loads an entry's verified bundle into worker processes.

The bytes are hashed first, and loaded again if the files changed meanwhile. This module does not decide which entries
a worker needs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from miniserve.bundles import Bundles, folders
from miniserve.worker import Worker
from modelspine.errors import Unavailable
from modelspine.identity.stamps import loaded_as_hashed
from modelspine.model_process import Load
from modelspine.text import short, visible

LOAD_SECONDS = 120.0
"""A model that takes longer to load is given up, and its worker replaced."""
_GRACE = 1.0
"""Seconds that a worker has at least to load what another one has loaded."""
_UNFIT = "fix the workload or the bundle, route to another entry, or raise the setting worker_memory_mb"


class Loading:
    """How the entries of one server are loaded."""

    def __init__(self, workload: str, bundles: Bundles, warm: int, loop: asyncio.AbstractEventLoop) -> None:
        """Load with a workload, and run each model once with one text and with ``warm`` texts."""
        self._workload = workload
        self._bundles = bundles
        self._warm = warm
        self._loop = loop

    def load(self, sha: str, into: Callable[[Load], Coroutine[Any, Any, None]]) -> None:
        """Verify an entry and load it ``into`` workers on the event loop; call it in another thread.

        Raises:
            SpineError: its bytes do not verify, or the workload failed to load it or to answer with it.
        """

        def once() -> None:
            folder, parent = folders(self._bundles, sha)
            load = Load(sha, self._workload, str(folder), None if parent is None else str(parent), self._warm)
            asyncio.run_coroutine_threadsafe(into(load), self._loop).result()

        loaded_as_hashed(lambda: self._bundles.stamp(sha), once, short(sha))


async def load_into(workers: Sequence[Worker], load: Load) -> None:
    """Load an entry into each of some workers; those that are lost meanwhile, or far slower than another, are replaced.

    Raises:
        Unavailable: one of them could not load it, or all were lost.
    """
    began = time.monotonic()
    tasks = [asyncio.create_task(worker.load(load)) for worker in workers]
    _, late = await asyncio.wait(tasks, timeout=LOAD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if late:
        # One that is stopped must not keep a route from taking effect.
        _, late = await asyncio.wait(late, timeout=max(_GRACE, 2 * (time.monotonic() - began)))
    for worker, task in zip(workers, tasks, strict=True):
        if task in late:
            worker.end("it did not load a model in time")
    errors = await asyncio.gather(*tasks)
    if all(errors) or any(error and not worker.ended for error, worker in zip(errors, workers, strict=True)):
        error = next(error for error in errors if error)
        raise Unavailable(f"{short(load.key)} cannot be loaded: {visible(error, 300)}", _UNFIT)
