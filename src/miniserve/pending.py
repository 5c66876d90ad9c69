"""A text that waits for its answer, and what it pays for it.

The seconds a batch kept its worker busy are divided among its texts, whether they were answered or not, so that no
second is charged twice. This module does not know how a batch is answered.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from miniobserve.cost import OTHER, QUEUE, divided
from modelspine.answer_check import wrong_amount
from modelspine.model_process import Said
from modelspine.workload import Answer


class QueueFull(Exception):
    """The queue is at its limit, or the pool is closed."""


class ModelFailed(Exception):
    """The model raised an exception, did not return one answer per text, or returned an unusable one."""

    def __init__(self, message: str, kind: str = "ModelFailed") -> None:
        super().__init__(message)
        self.kind = kind
        """The class of the model's exception, which quotes no text."""


class WorkerLost(ModelFailed):
    """The process that had the text hung, crashed or was killed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "WorkerLost")


class TooLate(ModelFailed):
    """There was no answer within the time that a text may take."""

    def __init__(self) -> None:
        super().__init__("too late", "TooLate")


class Answered(NamedTuple):
    """An answer, and its text's seconds in each stage: in the queue, and its share of the worker's busy seconds."""

    answer: Answer
    stages: dict[str, float]
    graded: bool | None
    """Whether the workload holds it to be right; None if the workload cannot tell."""
    values: Mapping[str, Any] = MappingProxyType({})
    """What drift is measured on; ``Trace.values``."""
    values_by: str = ""
    """Which code made them."""


class Pending:
    """The answer that a text waits for, and the worker's seconds that it has used so far."""

    def __init__(self, sha: str, text: str, future: Future[Answered]) -> None:
        self.sha = sha
        self.text = text
        self.future = future
        self.since = time.monotonic()
        self.began: float | None = None
        """When its first batch began (``time.monotonic()``)."""
        self._batch: tuple[float, int] | None = None
        self._failed = 0.0
        self._left: float | None = None

    def take(self, began: float, texts: int) -> None:
        """Note that a batch of so many texts with this one has begun."""
        self.began = began if self.began is None else self.began
        self._batch = (began, texts)

    def fail(self, share: float) -> None:
        """Add the share of a batch that gave no answer to this text."""
        self._failed += share
        self._batch = None

    def answer(self, answered: Answered) -> None:
        """Resolve it with an answer and its share of its batch."""
        if self.future.done():
            return
        spent = {QUEUE: self._queued(time.monotonic()), **answered.stages}
        if self._failed:
            spent[OTHER] = spent.get(OTHER, 0.0) + self._failed
        self.future.set_result(answered._replace(stages=spent))

    def end(self, why: Exception) -> None:
        """Resolve it without an answer."""
        if not self.future.done():
            self.future.set_exception(why)

    def expire(self, before: float) -> bool:
        """Give it up if it came before a time (``time.monotonic()``); returns whether it did."""
        if self.since >= before:
            return False
        self.end(TooLate())
        return True

    def stages(self) -> dict[str, float]:
        """The seconds used without an answer until now."""
        return self._used(time.monotonic())

    def give_up(self) -> dict[str, float]:
        """Return the seconds used until now, for a caller who no longer waits: it pays for no more than these."""
        now = time.monotonic()
        self._left = self._running(now)
        return self._used(now)

    def settle(self) -> float | None:
        """End its part in the batch; return what a caller who gave up pays of it, or None if one still waits."""
        self._batch = None
        return self._left

    def _used(self, now: float) -> dict[str, float]:
        return {QUEUE: self._queued(now), OTHER: self._failed + self._running(now)}

    def _running(self, now: float) -> float:
        return 0.0 if self._batch is None else (now - self._batch[0]) / self._batch[1]

    def _queued(self, now: float) -> float:
        return (now if self.began is None else self.began) - self.since


def resolve(batch: Sequence[Pending], said: Said, wall: float) -> None:
    """Give each text its answer and its share of the batch; a text with an unusable answer fails alone.

    Args:
        batch: the texts.
        said: an answer for each, or what is wrong with it.
        wall: seconds from sending the batch until the answers were here. The process reports how long it was busy,
            and is believed up to that.
    """
    # Checked here again: the process runs foreign code, and a negative second would become a negative price. The types
    # are those of ``Said``.
    flaws = [
        wrong or ("it is no answer" if answer is None else wrong_amount(answer))
        for answer, wrong in zip(said.answers, said.flaws, strict=True)
    ]
    busy = said.seconds if 0 <= said.seconds <= wall else wall
    reported = [
        {} if wrong or answer is None else answer.stages for answer, wrong in zip(said.answers, flaws, strict=True)
    ]
    left = [pending.settle() for pending in batch]
    shares = _without(divided(reported, busy), left, busy)
    given = zip(said.answers, flaws, said.graded, said.values, strict=True)
    for pending, share, (answer, wrong, graded, values) in zip(batch, shares, given, strict=True):
        if wrong or answer is None:
            pending.fail(sum(share.values()))
            pending.end(ModelFailed(f"the model's answer is unusable: {wrong}"))
        else:
            pending.answer(Answered(answer, share, graded, *values))


def _without(shares: list[dict[str, float]], left: Sequence[float | None], busy: float) -> list[dict[str, float]]:
    """The shares of a batch, so that they and what was paid by callers who gave up are no more than its busy seconds.

    A caller who gave up has paid an equal part, which may be more than the share its text turns out to have.
    """
    waiting = sum(sum(share.values()) for share, paid in zip(shares, left, strict=True) if paid is None)
    rest = max(0.0, busy - sum(paid for paid in left if paid is not None))
    if waiting <= rest:
        return shares
    return [{stage: seconds * rest / waiting for stage, seconds in share.items()} for share in shares]
