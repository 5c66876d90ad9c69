"""Answers one text: assigns an arm, runs the model, prices the request and stores its trace before returning.

It knows arms, batches and traces, and nothing of HTTP except the ``Problem`` a request may end with.
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
from miniobserve.traces import GONE, Trace
from miniobserve.writer import Duplicate, Outcome, TraceWriter
from miniserve.arms import Arms
from miniserve.batcher import Answered, Batcher, ModelFailed, Pending, QueueFull
from miniserve.record import Ask, Copy, Served, TracePolicy, make_trace
from miniserve.replies import Problem, busy
from miniserve.shadow import Shadow
from modelspine.errors import BadInput, Refused
from modelspine.workload import Answer, Model

DURABLE_SECONDS = 1.0
"""If a trace is not durable by then, the request gets 503 and the server reports itself unready."""
ANSWER_SECONDS = 10.0
PROBE_SECONDS = 0.25

Emit = Callable[[Trace, Span], None]
"""Sends a stored trace to a collector; must not block."""

_log = logging.getLogger("miniserve")
_T = TypeVar("_T")


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose trace is durable."""

    answer: Answer
    trace: Trace
    id_was_used: bool
    """True if the request's own id was already in use, so that the trace has a new one."""
    copy: Copy | None = None
    """For the shadow, once the reply has been sent."""


class Service:
    """Answers texts; each server has one and calls it from one event loop."""

    def __init__(
        self,
        arms: Arms,
        batcher: Batcher,
        writer: TraceWriter,
        metrics: Metrics,
        policy: TracePolicy,
        emit: Emit | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self.arms = arms
        self.batcher = batcher
        self.metrics = metrics
        self.draining = False
        self._writer = writer
        self._policy = policy
        self._emit = emit
        self._shadow = shadow
        self._write_error: str | None = None
        self._probing: asyncio.Task[None] | None = None

    def unready(self) -> str | None:
        """Return why no request should be sent to this server now, or None if it is ready."""
        return "the server is draining" if self.draining else self._unable()

    def crowded(self) -> Problem | None:
        """Return the refusal, already counted, of a request that arrives while the queue is full; else None."""
        if not self.batcher.full:
            return None
        problem = _overloaded()
        self.metrics.refuse(problem.status)
        return problem

    async def answer(self, ask: Ask) -> Done:
        """Answer one text; returns once its trace is durable.

        Raises:
            Problem: 503 if the queue is full, the model is too slow or the trace is not durable; 500 if the
                model failed; 403 or 409 if a tester may not have the arm they chose.

        """
        try:
            return await self._attempt(ask, id_was_used=False)
        except Duplicate as used:
            # Answer it again, because without a learner the request id is the unit of randomisation: the new id
            # may belong to another arm. A retry stays with the unit of its first attempt, so that it counts once.
            first = used.request_id if used.is_retry else None
            fresh = msgspec.structs.replace(ask, request_id=fresh_request_id(), retry_of=first)
            return await self._attempt(fresh, id_was_used=True)

    async def feedback(self, request_id: str, outcome: Outcome) -> bool:
        """Store a learner's feedback on an answer; returns False if no trace has that id."""
        known = await self._durable(self._writer.feedback(request_id, outcome), "the feedback on this request")
        if known:
            self.metrics.said(outcome)
        return known

    async def _attempt(self, ask: Ask, *, id_was_used: bool) -> Done:
        if (reason := self._unable()) is not None:
            raise busy("not_ready", reason)
        served, model = await self._served(ask)
        answer, stages, error, problem = await self._answered(model, served, ask)
        trace = make_trace(ask, served, answer, stages, error, self._policy, failed=problem.status)
        await self._durable(self._writer.submit(trace), "the trace of this request")
        self.metrics.observe(trace)
        if self._emit is not None:
            self._emit(trace, ask.span)
        if answer is None:
            raise problem
        arm = served.copy_to
        # Pairs of answers are evidence, and an answer that nobody got is none.
        copy = None if arm is None or trace.status == GONE else Copy(ask, served.assignment, arm)
        return Done(answer=answer, trace=trace, id_was_used=id_was_used, copy=copy)

    async def _served(self, ask: Ask) -> tuple[Served, Model | None]:
        """Assign the request to an arm; a tester's choice is checked against the ledger as it is now."""
        serving = self.arms.current
        try:
            served, model = serving.serve(ask.unit, sticky=ask.sticky, tester=ask.tester)
            if ask.tester is not None and served.sha != serving.route.stable.sha:
                # In a thread, because it may read the ledger. A shadow may be pending or on hold; its entry then
                # answers nobody, whatever token they have.
                await asyncio.to_thread(self.arms.may_answer, served.sha, served.semver)
        except BadInput as error:
            raise Problem(409, "no_such_arm", f"{error.message}; {error.hint}") from error
        except Refused as error:
            raise Problem(403, "arm_refused", f"this arm answers nobody: {error.message}") from error
        return served, model

    def _submit(self, model: Model | None, served: Served, ask: Ask) -> Future[Answered]:
        """Queue the text for a model of this process, or without one for the shadow's process."""
        if model is not None:
            return self.batcher.submit(model, ask.text)
        reply: Future[Answered] = Future()
        arm = self.arms.current.route.shadow
        if self._shadow is None or arm is None or arm.sha != served.sha:
            reply.set_exception(ModelFailed("the shadow arm is not running"))
        else:
            self._shadow.offer(Copy(ask, served.assignment, arm, reply))
        return reply

    async def _answered(
        self, model: Model | None, served: Served, ask: Ask
    ) -> tuple[Answer | None, dict[str, float], str, Problem]:
        """Return the model's answer, or None; the seconds it used; the reason it failed, and the reply in that case."""
        problem = Problem(500, "model_failed", "the model failed on this text; the trace has the reason", traced=True)
        try:
            pending = self._submit(model, served, ask)
        except QueueFull as error:
            raise _overloaded() from error
        try:
            answered = await asyncio.wait_for(asyncio.wrap_future(pending), ANSWER_SECONDS)
            return answered.answer, answered.stages, "", problem
        except QueueFull as error:  # the shadow's queue, which refuses by the future
            raise _overloaded() from error
        except TimeoutError:
            # The request was assigned to an arm, so it gets a trace all the same: without it a canary that hangs
            # would look like one without traffic, and would not be aborted for its failures.
            # It pays for the seconds that it kept the worker busy until now.
            return (
                None,
                _used(pending),
                "too late",
                busy("too_late", "the model did not answer in time", 5, traced=True),
            )
        except ModelFailed as error:
            # A model's error message may quote the learner's text, so it is stored only where the text may be.
            full = self._policy.redaction.text == "full"
            reason = str(error)[:200] if full else type(error.__cause__ or error).__name__
            fields = {"request_id": ask.request_id, "reason": reason}
            _log.error("the model failed", exc_info=error if full else None, extra={"fields": fields})
            return None, _used(pending), reason, problem

    async def _durable(self, write: Future[_T], what: str) -> _T:
        """Wait for a write up to ``DURABLE_SECONDS``; after a failure the server is unready until a write succeeds.

        The reply to a failure names ``what`` could not be stored. A write may still succeed after the timeout. Such a
        trace without a reply does no harm, whereas a reply without a trace would break the promise that every answer
        can be investigated.
        """
        try:
            return await asyncio.wait_for(asyncio.wrap_future(write), DURABLE_SECONDS)
        except TimeoutError as error:
            self._writes_failed(f"no commit within {DURABLE_SECONDS:.0f} s")
            raise busy("not_durable", f"{what} could not be stored in time") from error
        except StorageError as error:
            self._writes_failed(error.message)
            raise busy("not_durable", f"{what} could not be stored") from error

    def _unable(self) -> str | None:
        """Return why no request can be answered now, or None."""
        if self.arms.replaced is not None:
            return self.arms.replaced
        if self._write_error is not None:
            return "traces cannot be stored now"
        if self.batcher.stuck(ANSWER_SECONDS):
            return "the model does not answer"
        return None

    def _writes_failed(self, reason: str) -> None:
        if self._write_error is None:
            _log.error("traces are not durable", extra={"fields": {"reason": reason}})
            self._probing = asyncio.get_running_loop().create_task(self._probe())
        self._write_error = reason

    async def _probe(self) -> None:
        """Retry a write until the store accepts one again."""
        while True:
            try:
                await asyncio.wrap_future(self._writer.probe())
            except StorageError as error:
                self._write_error = error.message
            except Exception as error:  # noqa: BLE001 -- the task must survive until a probe succeeds
                # No new probe starts while the last write error is set: if this one ended here, the server would
                # stay unready until a restart.
                reason = f"{type(error).__name__}: {error}"
                if reason != self._write_error:  # once and not four times a second
                    _log.exception("the probe of the trace store failed", extra={"fields": {"reason": reason}})
                self._write_error = reason
            else:
                self._write_error = None
                _log.info("traces are durable again")
                return
            await asyncio.sleep(PROBE_SECONDS)


def _overloaded() -> Problem:
    return busy("overloaded", "too many requests are waiting; try again in a second")


def _used(pending: Future[Answered]) -> dict[str, float]:
    """The worker's seconds that a text without an answer has used; the shadow's process has no worker here."""
    return pending.give_up() if isinstance(pending, Pending) else {}
