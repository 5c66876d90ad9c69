"""One text from request to durable trace: assign, answer, price, write down, and only then give back.

It knows arms, batches and traces, and nothing of HTTP but the ``Problem`` a request may end with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import msgspec

from miniobserve.ids import Span, fresh_request_id
from miniobserve.metrics import Metrics
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, Outcome, TraceWriter
from miniserve.arms import Arms
from miniserve.batcher import Answered, Batcher, ModelFailed, QueueFull
from miniserve.record import Ask, Copy, Keep, make_trace
from miniserve.replies import Problem, busy
from modelspine.workload import Answer, Model

DURABLE_SECONDS = 1.0
"""A trace that is not durable by then turns its reply into 503 and the server unready."""
ANSWER_SECONDS = 10.0
PROBE_SECONDS = 0.25

Emit = Callable[[Trace, Span], None]
"""Takes a durable trace on its way to a collector; never waits."""

_log = logging.getLogger("miniserve")
_T = TypeVar("_T")


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose trace is durable."""

    answer: Answer
    trace: Trace
    id_was_used: bool
    """True where the request's own id was taken and the trace has a fresh one."""
    copy: Copy | None = None
    """What the shadow is given once the reply is sent."""


class Service:
    """Answers texts; a server has one, and calls it from one event loop."""

    def __init__(
        self,
        arms: Arms,
        batcher: Batcher,
        writer: TraceWriter,
        metrics: Metrics,
        keep: Keep,
        emit: Emit | None = None,
    ) -> None:
        self.arms = arms
        self.batcher = batcher
        self.metrics = metrics
        self.draining = False
        self._writer = writer
        self._keep = keep
        self._emit = emit
        self._lost: str | None = None
        self._probing: asyncio.Task[None] | None = None

    def unready(self) -> str | None:
        """Why no request should be sent here now, or None."""
        return "the server is draining" if self.draining else self._unable()

    def crowded(self) -> Problem | None:
        """The refusal of a text that need not be read, because it could not wait; counted here."""
        if not self.batcher.full:
            return None
        problem = _overloaded()
        self.metrics.refuse(problem.status)
        return problem

    async def answer(self, ask: Ask) -> Done:
        """Answer one text; returns once the trace is durable.

        Raises:
            Problem: 503 over the queue, not durable, or the model does not answer; 500 where it failed.

        """
        try:
            return await self._attempt(ask, id_was_used=False)
        except Duplicate:
            # Without a learner the unit is the request id: a fresh id may be another arm's.
            fresh = msgspec.structs.replace(ask, request_id=fresh_request_id())
            return await self._attempt(fresh, id_was_used=True)

    async def feedback(self, request_id: str, outcome: Outcome) -> bool:
        """Keep what a learner said of an answer; False where no trace has that id."""
        return await self._durable(self._writer.feedback(request_id, outcome))

    async def _attempt(self, ask: Ask, *, id_was_used: bool) -> Done:
        if (reason := self._unable()) is not None:
            raise busy("not_ready", reason)
        served, model = self.arms.current.serve(ask.unit, sticky=ask.sticky)
        answered, error, problem = await self._answered(model, ask)
        answer = answered.answer if answered else None
        stages = {"queue": answered.queued, **answered.answer.stages} if answered else {}
        trace = make_trace(ask, served, answer, stages, error, self._keep, failed=problem.status)
        await self._durable(self._writer.submit(trace))
        self.metrics.observe(trace)
        if self._emit is not None:
            self._emit(trace, ask.span)
        if answer is None:
            raise problem
        arm = served.copy_to
        copy = None if arm is None else Copy(ask, ask.request_id, served.assignment, arm)
        return Done(answer=answer, trace=trace, id_was_used=id_was_used, copy=copy)

    async def _answered(self, model: Model, ask: Ask) -> tuple[Answered | None, str, Problem]:
        """What the model says, or None and why it failed; and the reply that has no answer."""
        problem = Problem(500, "model_failed", "the model failed on this text; the trace has the reason", traced=True)
        try:
            waiting = asyncio.wrap_future(self.batcher.submit(model, ask.text))
            return await asyncio.wait_for(waiting, ANSWER_SECONDS), "", problem
        except QueueFull as error:
            raise _overloaded() from error
        except TimeoutError:
            # It was assigned, so it has a trace: an arm that hangs must not look like one nobody was sent to.
            return None, "too late", busy("too_late", "the model did not answer in time", 5, traced=True)
        except ModelFailed as error:
            # What a model raises may quote the text, and goes no further than the text itself may.
            full = self._keep.policy.text == "full"
            reason = str(error)[:200] if full else type(error.__cause__ or error).__name__
            fields = {"request_id": ask.request_id, "reason": reason}
            _log.error("the model failed", exc_info=error if full else None, extra={"fields": fields})
            return None, reason, problem

    async def _durable(self, write: Future[_T]) -> _T:
        """Wait for a write, not for ever; one that is lost makes the server unready until one succeeds.

        A write that is under way when the wait ends may still be made: a trace nobody was answered with
        is no harm, an answer without a trace is.
        """
        try:
            return await asyncio.wait_for(asyncio.wrap_future(write), DURABLE_SECONDS)
        except TimeoutError as error:
            self._lose(f"not within {DURABLE_SECONDS:.0f} s")
            raise busy("not_durable", "the trace of this request could not be kept in time") from error
        except StorageError as error:
            self._lose(error.message)
            raise busy("not_durable", "the trace of this request could not be kept") from error

    def _unable(self) -> str | None:
        """Why no request can be answered here now, or None."""
        if self._lost is not None:
            return "traces cannot be kept now"
        if self.batcher.stuck(ANSWER_SECONDS):
            return "the model does not answer"
        return None

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            _log.error("traces are not durable", extra={"fields": {"reason": reason}})
            self._probing = asyncio.get_running_loop().create_task(self._probe())
        self._lost = reason

    async def _probe(self) -> None:
        """Ask the store until it takes a write again."""
        while True:
            try:
                await asyncio.wrap_future(self._writer.probe())
            except StorageError as error:
                self._lost = error.message
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self._lost = None
                _log.info("traces are durable again")
                return


def _overloaded() -> Problem:
    return busy("overloaded", "too many requests wait; try again in a second")
