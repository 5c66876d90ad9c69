"""The texts that wait for a worker, and which of them make the next batch.

A batch holds texts for one model only. This module knows nothing of processes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from miniserve.pending import ModelFailed, Pending

_SUSPECTS = 256
"""The most texts that are remembered because a worker was lost with them."""


class TextQueue:
    """Texts in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._suspects: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def shas(self) -> set[str]:
        """The entries that they ask for."""
        return {pending.sha for pending in self._waiting}

    def add(self, pending: Pending) -> None:
        """Add a text at the end."""
        self._waiting.append(pending)

    def put_back(self, texts: Iterable[Pending]) -> None:
        """Add texts in front, in their order."""
        self._waiting.extendleft(reversed(list(texts)))

    def take(self, most: int, has: Callable[[str], bool], is_coming: Callable[[str], bool]) -> list[Pending]:
        """Take the oldest text that a worker can answer, and others for the same entry.

        Args:
            most: the most texts to take.
            has: whether the worker has an entry.
            is_coming: whether a worker has an entry or will have it; texts for another one fail.
        """
        batch: list[Pending] = []
        passed: list[Pending] = []
        while self._waiting and len(batch) < most:
            pending = self._waiting.popleft()
            if pending.future.done():  # its caller gave up
                continue
            if not (has(pending.sha) or is_coming(pending.sha)):
                pending.end(ModelFailed("its model is not loaded any more"))
                continue
            alone = bool(self._suspects) and hash(pending.text) in self._suspects
            if not has(pending.sha) or (batch and (alone or pending.sha != batch[0].sha)):
                passed.append(pending)
                continue
            batch.append(pending)
            if alone:
                break
        self.put_back(passed)
        return batch

    def suspect(self, pending: Pending) -> None:
        """Note that a worker was lost with a text: when it comes again it is taken alone, so that it costs no other."""
        self._suspects[hash(pending.text)] = None
        if len(self._suspects) > _SUSPECTS:
            self._suspects.popitem(last=False)

    def expire(self, before: float) -> None:
        """Fail the texts that came before a time (``time.monotonic()``)."""
        while self._waiting and self._waiting[0].expire(before):
            self._waiting.popleft()

    def fail(self, why: str) -> None:
        """Fail all texts."""
        while self._waiting:
            self._waiting.popleft().end(ModelFailed(why))
