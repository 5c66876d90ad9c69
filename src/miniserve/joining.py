"""The thread of a collector that joins waiting spans into requests and stores their traces.

A request is stored as soon as the span that received it is there, and after ``wait_seconds`` without it. Spans leave
the waiting table only after the trace is durable, so a kill at any point loses nothing and stores nothing twice. It
does not know how spans arrive.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from miniobserve.pending import PendingSpans, Waiting
from miniobserve.reader import TraceReader
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import Duplicate, TraceWriter
from miniserve.request_spans import Part, parts_of
from miniserve.span_trace import heard, own_id
from miniserve.span_values import Span
from modelspine.collect_table import CollectTable
from modelspine.errors import SpineError
from modelspine.ledger.event import Event
from modelspine.ledger.state import State
from modelspine.recording.recorder import Recorder

LOOK_SECONDS = 0.25
"""How often the table is looked at for spans that have waited long enough, or that another collector received."""
RETRY_SECONDS = 1.0
_STORE_SECONDS = 30.0
_MOST_TRACES = 500
"""Traces that are joined at once."""
_log = logging.getLogger("miniserve")
_decode = msgspec.json.Decoder(Span).decode
encode = msgspec.json.Encoder().encode
Count = Callable[[str, int], None]
"""Counts spans or requests by what became of them."""
Observe = Callable[[Trace], None]


Now = tuple[State, list[Event]]


class _Job(NamedTuple):
    """One request to store, and the spans that may be forgotten afterwards."""

    part: Part
    trace: Trace
    keys: list[tuple[str, str]]
    future: Future[None]


class Joiner:
    """Joins spans in a thread of its own until it is closed."""

    def __init__(
        self,
        recorder: Recorder,
        writer: TraceWriter,
        pending: PendingSpans,
        reader: TraceReader,
        table: CollectTable,
        count: Count,
        observe: Observe,
    ) -> None:
        self.problem: str | None = None
        """Why nothing is joined now, for people; None while all is well. What waits is durable."""
        self.waiting, self.bytes = pending.size()
        """How many spans wait, and how long their texts are together."""
        self._recorder = recorder
        self._writer = writer
        self._pending = pending
        self._reader = reader
        self._table = table
        self._count = count
        self._observe = observe
        self._touched: set[str] = set()
        self._stuck: set[str] = set()
        """Traces that could not be made: they stay in the table, and are tried again after a restart."""
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="joiner", daemon=True)
        self._thread.start()

    def touch(self, trace_ids: Iterable[str]) -> None:
        """Look at these traces now: spans of them have come."""
        with self._changed:
            self._touched.update(trace_ids)
            self._changed.notify()

    def close(self) -> None:
        """Join what is complete, then stop; what still waits is in the table."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._touched and not self._closed:
                    self._changed.wait(LOOK_SECONDS)
                touched, closing = self._touched, self._closed
                self._touched = set()
            try:
                self._round(touched)
                self.problem = None
            except (SpineError, StorageError) as error:
                self._failed(error.message)
            except Exception as error:  # noqa: BLE001 -- the thread must survive until the next round
                self._failed(f"{type(error).__name__}: {error}")
            if closing:
                return
            if self.problem is not None:
                with self._changed:
                    self._touched |= touched
                    self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _failed(self, reason: str) -> None:
        if reason != self.problem:  # once, not at every attempt
            _log.error("spans are not joined", extra={"fields": {"reason": reason}})
        self.problem = reason

    def _round(self, touched: set[str]) -> None:
        expired_ns = time.time_ns() - round(self._table.wait_seconds * 1e9)
        wanted = [*touched, *self._pending.waiting(expired_ns, _MOST_TRACES)]
        wanted = [trace_id for trace_id in dict.fromkeys(wanted) if trace_id not in self._stuck]
        if not wanted:
            self.waiting, self.bytes = self._pending.size()
            return
        now = self._recorder.now()
        read_ns = time.time_ns()
        jobs: list[_Job] = []
        idle: dict[tuple[str, str], int] = {}
        for trace_id, rows in self._pending.of(wanted).items():
            try:
                jobs += self._jobs(trace_id, rows, expired_ns, idle, now)
            except (SpineError, StorageError):
                raise
            except Exception:  # noqa: BLE001 -- one trace must not hold up the others
                self._stuck.add(trace_id)
                self._count("failed", 1)
                _log.exception("the spans of a trace cannot be joined", extra={"fields": {"trace_id": trace_id}})
        for job in jobs:
            self._finish(job)
        done = list(dict.fromkeys(key for job in jobs for key in job.keys))
        if done or idle:
            self._pending.drop(done, list(idle), read_ns)
        if idle:
            self._count_idle(idle)
        self.waiting, self.bytes = self._pending.size()

    def _jobs(
        self, trace_id: str, rows: Sequence[Waiting], expired_ns: int, idle: dict[tuple[str, str], int], now: Now
    ) -> list[_Job]:
        """The requests of one trace that can be stored, submitted.

        ``idle`` gets the spans that belong to none, and when they came.
        """
        spans = [_decode(row.span) for row in rows]
        came = {row.span_id: row.at_ns for row in rows}
        jobs, waits = [], False
        used: set[str] = set()
        for part in parts_of(spans, self._table):
            if not part.complete and max(came[span.span_id] for span in part.models) >= expired_ns:
                waits = True
                continue
            trace = self._recorder.trace(heard(part, self._table, own_id(part) or trace_id), *now)
            below = _below(part.root, spans)
            used |= below
            jobs.append(_Job(part, trace, [(trace_id, each) for each in below], self._writer.submit(trace)))
        if not waits:
            left = [row for row in rows if row.span_id not in used and row.at_ns < expired_ns]
            idle.update({(trace_id, row.span_id): row.at_ns for row in left})
        return jobs

    def _finish(self, job: _Job) -> None:
        """Wait until a request is stored; one whose id is taken by another request of its trace gets a longer id."""
        trace, future = job.trace, job.future
        for attempt in range(2):
            try:
                future.result(_STORE_SECONDS)
            except Duplicate:
                stored = self._reader.get(trace.request_id)
                if attempt or (stored is not None and _same(stored, job)):
                    self._count("repeated", 1)
                    return
                trace = msgspec.structs.replace(trace, request_id=f"{trace.trace_id}-{trace.span_id}")
                future = self._writer.submit(trace)
            except TimeoutError as error:
                raise StorageError("unavailable", "a trace could not be stored in time", "see the log") from error
            else:
                self._count("stored" if trace.entry_sha else "unattributed", 1)
                self._observe(trace)
                return

    def _count_idle(self, idle: Mapping[tuple[str, str], int]) -> None:
        """Count spans that belong to no request: late ones, which came after one of their trace was stored, and others.

        Those of a gateway above the span that received the request, which came with it, are not late.
        """
        joined_ns = self._pending.first_joined(list({trace_id for trace_id, _ in idle}))
        # Where the time is forgotten, the request was stored long ago.
        after = Counter(trace_id for (trace_id, _), at_ns in idle.items() if at_ns > joined_ns.get(trace_id, 0))
        late = sum(spans for trace_id, spans in after.items() if self._reader.of_trace(trace_id))
        self._count("late", late)
        self._count("unused", len(idle) - late)


def _same(stored: Trace, job: _Job) -> bool:
    """Whether a stored trace is of this request: it may have been stored before its receiving span came."""
    return (stored.trace_id, stored.span_id) in job.keys


def _below(root: Span, spans: Sequence[Span]) -> set[str]:
    """The ids of a span and of all below it."""
    children: dict[str, list[str]] = defaultdict(list)
    for span in spans:
        children[span.parent_id].append(span.span_id)
    found, left = {root.span_id}, [root.span_id]
    while left:
        more = [each for each in children.get(left.pop(), ()) if each not in found]
        found.update(more)
        left += more
    return found
