"""``modelspine.request``: a request that your own Python code answers, recorded like one that ``spine serve`` answers.

    with modelspine.request(text, unit=customer_id) as r:
        label, score = models[r.entry.sha].predict(text)
        r.output(label, score=score, features={"lang": "de"})

The entry is the one that the route gives the unit. The trace is durable once the block has ended; ``async with`` waits
without blocking the event loop. Each process opens the project once. It needs no server, and knows no web framework.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from miniobserve.ids import fresh_request_id, is_request_id
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate
from modelspine.errors import BadInput, SpineError
from modelspine.kept_files.keeper import KEEP_SECONDS, Keeping
from modelspine.process_recorder import ProcessRecorder, process_recorder
from modelspine.recording.assigning import assigned, route_in_force, unit_of
from modelspine.recording.block_failures import STORE_SECONDS, failure, unavailable
from modelspine.recording.current_span import current_span
from modelspine.recording.placing import Told
from modelspine.recording.plain_values import plain
from modelspine.recording.recorder import Heard
from modelspine.recording.saying import NOTHING_SAID, Said, said
from modelspine.times import trace_ns

_log = logging.getLogger("modelspine")


class Entry(NamedTuple):
    """The entry that is to answer a request."""

    sha: str
    semver: str
    arm: str
    epoch: int


class request:  # noqa: N801 -- it is used like a function: ``with request(text) as r``
    """One request, as one block. The trace is stored when the block ends, also where it ends by an exception."""

    def __init__(
        self,
        asked: Any,
        *,
        unit: str | None = None,
        request_id: str | None = None,
        at: datetime | None = None,
        features: Mapping[str, Any] | None = None,
        root: Path | str | None = None,
    ) -> None:
        """Describe the request; nothing is opened before the block begins.

        Args:
            asked: the text, or an object of the columns that ``[workload]`` names; a row of a table counts as one.
                Bytes and files (a ``Path``) are recorded as ``{"sha256": …, "bytes": n}``; the setting ``files`` says
                where the bytes are kept.
            unit: the id of the user, customer or device; without one, each request is its own unit.
            request_id: your own id, 8 to 64 of ``A-Z a-z 0-9 . _ -``; by default a new one. The same request and answer
                told again under it change nothing; another one is stored under a new id.
            at: when the request began, with a time zone; by default now.
            features: columns or features that are known apart from the input.
            root: the project's folder; by default that of the working directory, or ``SPINE_ROOT``.

        Raises:
            BadInput: an id or time is not valid.
        """
        if request_id is not None and not is_request_id(request_id):
            raise BadInput("a request id has 8 to 64 letters, digits, dots, dashes or underscores", "give no id for a "
                           "new one")  # fmt: skip
        self.id = request_id or fresh_request_id()
        """The id for feedback and ``spine incident``; another one if yours is in use, so read it after the block."""
        self.unit = None if unit is None else unit_of(unit)
        self._asked = asked
        self._at_ns = None if at is None else trace_ns(at)
        self._features = features
        self._root = root
        self._said: Said | None = None
        self._submitted: Trace | None = None
        self._recorder: ProcessRecorder | None = None
        self._keeping = Keeping(None)
        self._unkept: tuple[str, ...] | None = None
        self._entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """The entry that the route gives this unit.

        Raises:
            BadInput: the block has not begun.
        """
        if self._entry is None:
            raise BadInput("the entry is known within the block", "write `with modelspine.request(…) as r:`")
        return self._entry

    def output(
        self,
        answer: Any,
        *,
        features: Mapping[str, Any] | None = None,
        tokens: tuple[int, int] | None = None,
        entry: str | Entry | None = None,
        accepted: bool | None = None,
        **fields: Any,
    ) -> None:
        """Tell the answer; a second call replaces the first.

        Numbers and arrays of other libraries are read as plain ones. Nothing is raised: what cannot be kept is left
        out, and the trace's field ``unread`` names it.

        Args:
            answer: the label, text or number, or an object of the columns that ``[workload]`` names.
            features: features that became known meanwhile.
            tokens: how many were read and written, for the price.
            entry: the SHA, semver or model name that answered, if it was not ``r.entry``, which does too.
            accepted: whether the answer lets the input pass, for a workload that is no table.
            fields: what else belongs to the answer, such as ``score=0.9``; numbers are measured for drift, as is a
                list of up to 4,096 of them called ``embedding``.
        """
        hold = self._recorder is not None and self._recorder.keeps_files
        self._said = said(
            answer, features=features, tokens=tokens, entry=entry, accepted=accepted, fields=fields, hold=hold
        )

    def _begin(self) -> None:
        if self._entry is not None:
            raise BadInput("this request has had its block", "make a new `modelspine.request(…)` for each request")
        self._recorder = process_recorder(self._root)
        self._keeping, hold = self._recorder.keeping(), self._recorder.keeps_files
        # Now, because the block may change them, or delete their files.
        self._input, self._given = plain(self._asked, "input", hold=hold), plain(self._features, "features", hold=hold)
        self._keeping.begin((*self._input.held, *self._given.held))
        self._perf, self._ns = time.perf_counter(), time.time_ns()
        self._seen = self._recorder.now()
        found = assigned(route_in_force(self._seen[0]), self.unit or self.id)
        self._entry = Entry(found.entry_sha, found.semver, found.arm, found.epoch)

    def _heard(self, error: BaseException | None, retry_of: str | None) -> Heard:
        said = self._said or NOTHING_SAID
        failed, why = (200, "") if error is None else failure(error)
        if error is None and self._said is None:
            failed, why = 500, "the block ended without an output"
        span, entry, features = current_span(), self.entry, self._given
        given: dict[str, Any] = features.value if isinstance(features.value, dict) else {}
        return Heard(
            request_id=self.id,
            trace_id=span.trace_id,
            span_id=span.span_id,
            started_ns=self._ns if self._at_ns is None else self._at_ns,
            seconds=time.perf_counter() - self._perf,
            models=(said.entry or entry.sha,),
            request=self._input.value,
            answer=said.answer,
            unit=self.unit,
            told=Told(entry.arm, entry.epoch, by_request=self.unit is None),
            features={**given, **said.features},
            fields=said.fields,
            tokens=said.tokens,
            status=failed,
            error=why,
            accepted=said.accepted,
            retry_of=retry_of,
            unread=(*self._input.unkept, *features.unkept, *(self._unkept or ()), *features.lost, *said.lost),
            lost=self._input.lost,
            lost_answer=said.lost_answer,
        )

    def _made(
        self, error: BaseException | None, retry_of: str | None = None, *, without: BaseException | None = None
    ) -> Trace:
        """The trace; ``without`` what was told if that is why it could not be made or stored."""
        heard = self._heard(error, retry_of)
        if without is not None:
            _log.warning("what was told of request %s cannot be read", self.id, exc_info=without)
            unread = (f"the request cannot be read: {type(without).__name__}",)
            heard = msgspec.structs.replace(
                heard, request=None, answer=None, features={}, fields={}, unread=unread, lost=(), lost_answer=()
            )
        self._submitted = self._in().trace(heard, *self._seen)
        return self._submitted

    def _submit(
        self, error: BaseException | None, retry_of: str | None = None, *, seconds: float = KEEP_SECONDS
    ) -> Future[None]:
        """Queue the trace; foreign code that fails, such as a workload's, costs what was told and not the trace.

        Before, it waits so many seconds until the bytes that are to be kept are durable.
        """
        writer = self._in().writer
        if self._unkept is None:
            self._keeping.begin((self._said or NOTHING_SAID).held, seconds)
            self._unkept = self._keeping.unkept(seconds)
        try:
            future = writer.submit(self._made(error, retry_of))
            failed = future.exception() if future.done() else None
            if failed is None or isinstance(failed, StorageError | Duplicate):
                return future
        except StorageError:
            raise
        except Exception as raised:  # noqa: BLE001 -- whatever that code raises
            failed = raised
        return writer.submit(self._made(error, retry_of, without=failed))

    def _in(self) -> ProcessRecorder:
        if self._recorder is None:
            raise BadInput("the block has not begun", "write `with modelspine.request(…) as r:`")
        return self._recorder

    def _used(self, error: BaseException | None, used: Duplicate) -> None:
        """The id is in use: leave the stored request as it is if this is the same one, else store it under a new id."""
        recorder = self._in()
        # The trace that was refused, and not one made again: foreign code may fail, or answer otherwise.
        if self._submitted is not None and recorder.holds(self._submitted):
            return
        self.id = fresh_request_id()
        if recorder.first_time():
            _log.warning(
                "request id %s is in use for another request or answer, so this one is stored as %s, which r.id says"
                " after the block; further ones are not reported", used.request_id, self.id,
            )  # fmt: skip
        self._submit(error, used.request_id if used.is_retry else None).result(STORE_SECONDS)

    def _not_stored(self, error: BaseException | None, failed: Exception) -> None:
        """Say that the trace is not stored: to the caller if it is for want of the store, and the block did not fail.

        Raises:
            Unavailable: the store could not be reached or written.
        """
        if error is None and isinstance(failed, StorageError | TimeoutError | SpineError):
            raise unavailable(failed) from failed
        _log.error("request %s could not be recorded", self.id, exc_info=failed)

    def _report(self, future: Future[None] | asyncio.Future[None]) -> None:
        """Log that a trace could not be stored, or may not have been, where no caller is left to raise an error to."""
        if future.cancelled():
            _log.warning("the event loop ended before it was known whether request %s is recorded", self.id)
        elif (failed := future.exception()) is not None:
            _log.error("request %s could not be recorded", self.id, exc_info=failed)

    def __enter__(self) -> Self:
        """Begin: open the project if this process has not, and assign the unit."""
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Store the trace; the block's own exception goes on."""
        try:
            try:
                self._submit(error).result(STORE_SECONDS)
            except Duplicate as used:
                self._used(error, used)
        except Exception as failed:  # noqa: BLE001 -- nothing of the recording may take the place of the block's own
            self._not_stored(error, failed)

    async def __aenter__(self) -> Self:
        """Begin without blocking the event loop."""
        await asyncio.to_thread(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Store the trace, and wait until it is durable unless the task is cancelled or closed."""
        try:
            # A coroutine that is being closed may not wait, and its event loop may have ended.
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                self._submit(error, seconds=0).add_done_callback(self._report)
                return
            storing = asyncio.ensure_future(self._stored(error))
            try:
                await asyncio.shield(storing)
            except asyncio.CancelledError:
                storing.add_done_callback(self._report)
                raise
        except Exception as failed:  # noqa: BLE001 -- nothing of the recording may take the place of the block's own
            self._not_stored(error, failed)

    async def _stored(self, error: BaseException | None) -> None:
        """Store the trace; returns once it is durable."""
        try:
            future = await asyncio.to_thread(self._submit, error)
            # Shielded, because the writer leaves out a trace whose future is cancelled.
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), STORE_SECONDS)
        except Duplicate as used:
            await asyncio.to_thread(self._used, error, used)
