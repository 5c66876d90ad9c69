"""Answers one text: assigns an arm, runs the model, prices the request and stores its trace before returning.

It knows arms, batches and traces, and nothing of HTTP except the ``Problem`` a request may end with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from miniobserve.ids import Span, fresh_request_id
from miniobserve.metrics import Metrics
from miniobserve.saying import Saying, Stored
from miniobserve.traces import GONE, Trace
from miniobserve.writer import Duplicate, TraceWriter
from miniserve.arms import Arms
from miniserve.durable import Durable
from miniserve.pending import Answered, ModelFailed, Pending, QueueFull, TooLate, WorkerLost
from miniserve.pool import Pool
from miniserve.record import Ask, Copy, Served, TracePolicy, make_trace
from miniserve.replies import Problem, busy
from miniserve.shadow import Shadow
from modelspine.errors import BadInput, Refused
from modelspine.workload import Answer

Emit = Callable[[Trace, Span], None]
"""Sends a stored trace to a collector; must not block."""

_log = logging.getLogger("miniserve")


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose trace is durable."""

    answer: Answer
    trace: Trace
    id_was_used: bool
    """True if the request's own id was already in use, so that the trace has a new one."""
    copy: Copy | None = None
    """For the shadow, once the reply has been sent."""


class Service(Durable):
    """Answers texts; each server has one and calls it from one event loop."""

    def __init__(
        self,
        arms: Arms,
        pool: Pool,
        writer: TraceWriter,
        metrics: Metrics,
        policy: TracePolicy,
        emit: Emit | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self.arms = arms
        self.pool = pool
        self.metrics = metrics
        self.draining = False
        super().__init__(writer)
        self._policy = policy
        self._emit = emit
        self._shadow = shadow
        self._coming = 0
        """Requests that arrived completely in this turn of the event loop. Their texts are queued in the next turn."""

    def unready(self) -> str | None:
        """Return why no request should be sent to this server now, or None if it is ready."""
        return "the server is draining" if self.draining else self._unable() or self.arms.behind.unready

    def crowded(self) -> Problem | None:
        """Return the refusal, already counted, of a request that finds no place in the queue; else None.

        One turn of the loop reads many requests before the text of the first is queued, so those count as well.
        """
        if self._coming < self.pool.room:
            return None
        problem = _overloaded()
        self.metrics.refuse(problem.status)
        return problem

    def arrived(self) -> None:
        """Count a request that has arrived completely. A request with an incomplete body takes no place in the queue.

        Its content has not been parsed yet, so a request that is refused later, such as for invalid JSON, counts too.
        """
        if not self._coming:
            asyncio.get_running_loop().call_soon(self._have_come)
        self._coming += 1

    def _have_come(self) -> None:
        self._coming = 0

    async def answer(self, ask: Ask) -> Done:
        """Answer one text; returns once its trace is durable.

        Raises:
            Problem: 503 if the queue is full, the model is too slow, its process was lost or the trace is not durable;
                500 if the model failed; 403 or 409 if a tester may not have the arm they chose.

        """
        try:
            return await self._attempt(ask, id_was_used=False)
        except Duplicate as used:
            # Answer it again, because without a learner the request id is the unit of randomisation: the new id
            # may belong to another arm. A retry stays with the unit of its first attempt, so that it counts once.
            first = used.request_id if used.is_retry else None
            fresh = msgspec.structs.replace(ask, request_id=fresh_request_id(), retry_of=first)
            return await self._attempt(fresh, id_was_used=True)

    async def say(self, sayings: Sequence[Saying]) -> list[Stored]:
        """Store what is said of some answers; returns what became of each once all of them are durable."""
        done = await self._durable(partial(self._writer.say, sayings), "the feedback on this request")
        for saying, stored in zip(sayings, done, strict=True):
            if stored.status in ("stored", "corrected"):
                self.metrics.said(saying.outcome, labelled=saying.label is not None)
        return done

    async def _attempt(self, ask: Ask, *, id_was_used: bool) -> Done:
        if (reason := self._unable()) is not None:
            raise busy("not_ready", reason)
        served = await self._served(ask)
        pending = self._submit(served, ask)
        answered: Answered | None = None
        problem: Problem | None = None
        error = ""
        try:
            answered = await pending.future
        except ModelFailed as failed:
            problem, error = self._problem(failed, ask)
        # A request without an answer pays for the seconds that it kept a worker busy until now.
        stages = pending.give_up() if answered is None else answered.stages
        status = 200 if problem is None else problem.status
        trace = make_trace(ask, served, answered, stages, error, self._policy, failed=status)
        await self._durable(partial(self._writer.submit, trace), "the trace of this request")
        self.metrics.observe(trace)
        if self._emit is not None:
            self._emit(trace, ask.span)
        if answered is None:
            assert problem is not None
            raise problem
        arm = served.copy_to
        # Pairs of answers are evidence, and an answer that nobody got is none.
        copy = None if arm is None or trace.status == GONE else Copy(ask, served.assignment, arm)
        return Done(answer=answered.answer, trace=trace, id_was_used=id_was_used, copy=copy)

    async def _served(self, ask: Ask) -> Served:
        """Assign the request to an arm; a tester's choice is checked against the ledger as it is now."""
        serving = self.arms.current
        try:
            served = serving.serve(ask.unit, sticky=ask.sticky, tester=ask.tester)
            if ask.tester is not None and served.sha != serving.route.stable.sha:
                # In a thread, because it may read the ledger. A shadow may be pending or on hold; its entry then
                # answers nobody, whatever token they have.
                await asyncio.to_thread(self.arms.may_answer, served.sha, served.semver)
        except BadInput as error:
            raise Problem(409, "no_such_arm", f"{error.message}; {error.hint}") from error
        except Refused as error:
            raise Problem(403, "arm_refused", f"this arm answers nobody: {error.message}") from error
        if (reason := self.arms.behind.refusal(served.sha)) is not None:
            raise busy("not_ready", reason)
        return served

    def _submit(self, served: Served, ask: Ask) -> Pending:
        """Queue the text for the workers, or for the shadow's if a tester chose that arm."""
        try:
            if not served.by_shadow:
                return self.pool.submit(served.sha, ask.text)
            if self._shadow is None:
                raise ModelFailed("the shadow arm is not running")
            return self._shadow.submit(served.sha, ask.text)
        except QueueFull as error:
            raise _overloaded() from error
        except ModelFailed as error:
            ended = Pending(served.sha, ask.text, asyncio.get_running_loop().create_future())
            ended.end(error)
            return ended

    def _problem(self, failed: ModelFailed, ask: Ask) -> tuple[Problem, str]:
        """The reply to a request without an answer, and the reason that its trace keeps.

        The request was assigned to an arm, so it gets a trace all the same: without it a canary that hangs would look
        like one without traffic, and would not be aborted for its failures.
        """
        if isinstance(failed, TooLate):
            return busy("too_late", "the model did not answer in time", 5, traced=True), "too late"
        # A model's error message may quote the learner's text, so it is stored only where the text may be.
        full = self._policy.redaction.text == "full" or isinstance(failed, WorkerLost)
        reason = str(failed)[:200] if full else failed.kind
        _log.error("the model failed", extra={"fields": {"request_id": ask.request_id, "reason": reason}})
        if isinstance(failed, WorkerLost):
            return busy("worker_lost", "the process that had this text was lost; try again", traced=True), reason
        said = "the model failed on this text; the trace has the reason"
        return Problem(500, "model_failed", said, traced=True), reason

    def _unable(self) -> str | None:
        """Return why no request can be answered now, or None."""
        if self.arms.replaced is not None:
            return self.arms.replaced
        if self.write_error is not None:
            return "traces cannot be stored now"
        return self.pool.problem


def _overloaded() -> Problem:
    return busy("overloaded", "too many requests are waiting; try again in a second")
