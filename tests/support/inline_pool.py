"""The workers' program in the test's own process, for tests of what stands around a pool of workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from miniserve.bundles import Bundles, folders
from miniserve.pending import ModelFailed, Pending, QueueFull, resolve
from miniserve.worker_program import values_of
from modelspine.errors import Unavailable
from modelspine.identity.stamps import loaded_as_hashed
from modelspine.model_process import Models, Texts
from modelspine.text import short


class InlinePool:
    """Loads and answers as a pool does, one text at a time, without a process."""

    def __init__(self, bundles: Bundles, workload: Any, batch: int = 4) -> None:
        self.models: dict[str, Any] = {}
        self.room = 1_000
        self.problem: str | None = None
        self.waiting = self.busy = 0
        self._bundles = bundles
        self._workload = workload
        self._batch = batch
        self._program = Models(lambda _frame: None, values_of)

    def load(self, sha: str) -> None:
        """Load an entry and answer one text and a batch with it."""

        def load() -> Any:
            model = self._workload.load(*folders(self._bundles, sha))
            for size in (1, self._batch):
                model.answer(["a"] * size)
            return model

        try:
            self.models[sha] = loaded_as_hashed(lambda: self._bundles.stamp(sha), load, short(sha))
        except RuntimeError as error:
            raise Unavailable(f"{short(sha)} cannot be loaded: {type(error).__name__}: {error}", "fix it") from error

    def keep(self, shas: Iterable[str]) -> None:
        """Drop every entry but these."""
        for sha in self.models.keys() - set(shas):
            del self.models[sha]

    def submit(self, sha: str, text: str) -> Pending:
        """Answer a text at the next turn of the loop."""
        if not self.room:
            raise QueueFull
        loop = asyncio.get_running_loop()
        pending = Pending(sha, text, loop.create_future())
        loop.call_soon(self._answer, pending)
        return pending

    def _answer(self, pending: Pending) -> None:
        record = values_of(self._workload)
        self._program._models = {sha: (self._workload, model, record) for sha, model in self.models.items()}
        began = time.monotonic()
        pending.take(began, 1)
        said = self._program._answer(Texts(pending.sha, [pending.text]))
        wall = time.monotonic() - began
        if said.kind:
            pending.fail(wall)
            pending.end(ModelFailed(said.error, said.kind))
        else:
            resolve([pending], said, wall)
