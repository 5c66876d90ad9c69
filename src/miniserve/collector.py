"""Takes exports of spans: reads them within limits, keeps them durably, and hands them to the joiner.

It knows neither HTTP's routes nor what a span means.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from miniobserve.pending import PendingSpans
from miniobserve.reader import TraceReader
from miniobserve.saying import Saying, Stored
from miniobserve.writer import TraceWriter
from miniserve.collect_metrics import CollectMetrics
from miniserve.durable import Durable
from miniserve.joining import Joiner, encode
from miniserve.otlp_spans import Export, read_export
from miniserve.replies import Problem, busy
from miniserve.span_values import BadExport, Span
from modelspine.collect_table import CollectTable
from modelspine.kept_files.keeper import Keeper, Keeping
from modelspine.ledger.route import Route
from modelspine.recording.assigning import route_in_force
from modelspine.recording.recorder import Recorder

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of an export, as it is sent and decompressed, unless the settings say otherwise."""
MOST_AT_ONCE = 16
"""Exports that are received at once: each may take several times its size in memory."""
MOST_WAITING_BYTES = 256 * 1024 * 1024
"""Characters of all spans that wait; beyond it exports are refused and have to be sent again."""
KEEP_SECONDS = 4.0
"""How long the reply to an export waits until the files in it are kept; exporters give up after ten seconds."""
ROUTE_SECONDS = 0.25
"""How old the route may be by which a unit is assigned."""
_MOST_MEMBERS = 64
"""Of a gzip body: each is copied once for each before it."""
_WAIT = 2
"""Seconds after which an export that was refused is to be sent again."""


class Collector(Durable):
    """One collector; used from one event loop."""

    def __init__(
        self,
        recorder: Recorder,
        writer: TraceWriter,
        pending: PendingSpans,
        reader: TraceReader,
        table: CollectTable,
        metrics: CollectMetrics,
        most_bytes: int = MOST_BYTES,
        keeper: Keeper | None = None,
    ) -> None:
        """``most_bytes`` is the limit of one export, as it is sent and decompressed; ``keeper`` keeps files."""
        super().__init__(writer)
        self.metrics = metrics
        self.draining = False
        self.most_bytes = most_bytes
        self.receiving = 0
        """Exports that are being received or stored now."""
        self._keeper = keeper
        self._recorder = recorder
        self._pending = pending
        self._reader = reader
        self._table = table
        self._route: tuple[float, Route] | None = None
        # One thread reads exports and one stores them: memory and the database allow no more anyway.
        self._parsing = ThreadPoolExecutor(1, "spans")
        self._storing = ThreadPoolExecutor(1, "pending")
        self.joiner = Joiner(recorder, writer, pending, reader, table, metrics.collected, metrics.observe)

    @property
    def labels_are_numbers(self) -> bool:
        """Whether the right answers of this service are numbers, so that no other label can be compared."""
        return self._recorder.labels_are_numbers

    def unready(self) -> str | None:
        """Return why nothing should be sent here now, or None."""
        if self.draining:
            return "the server is draining"
        return "spans cannot be stored now" if self.write_error is not None else None

    def crowded(self) -> Problem | None:
        """Return the refusal of an export that arrives while too many are being received; else None."""
        room = self.joiner.waiting < self._table.bound and self.joiner.bytes < MOST_WAITING_BYTES
        if self.receiving < MOST_AT_ONCE and room:
            return None
        return busy("overloaded", "too many spans are waiting; send this export again", _WAIT)

    async def take(self, body: bytes, kind: str, *, compressed: bool) -> Export:
        """Keep the spans of an export; returns once they are durable.

        Raises:
            Problem: 400 for a body that is no export, 413 for one that is too large, 503 if it could not be stored.
        """
        loop, most = asyncio.get_running_loop(), self.most_bytes if compressed else None
        try:
            export = await loop.run_in_executor(self._parsing, _read, body, kind, most)
        except BadExport as error:
            raise Problem(400, "malformed", str(error)) from error
        if self._keeper is not None and any(span.held for span in export.spans):
            kept = await asyncio.to_thread(_with_kept, export.spans, self._keeper)
            export = msgspec.structs.replace(export, spans=kept)
        rows = _rows(export.spans)
        if rows:
            put = partial(self._storing.submit, self._pending.put, rows, time.time_ns())
            self.metrics.collected("repeated", await self._durable(put, "these spans"))
            self.joiner.touch({trace_id for trace_id, _, _ in rows})
        self.metrics.collected("taken", len(rows))
        self.metrics.collected("rejected", export.rejected)
        return export

    async def route(self) -> Route:
        """Return the route in force, at most ``ROUTE_SECONDS`` old.

        Raises:
            SpineError: there is none, or the ledger cannot be read.
        """
        now = time.monotonic()
        if self._route is None or now - self._route[0] > ROUTE_SECONDS:
            state, _ = await asyncio.to_thread(self._recorder.now)
            self._route = now, route_in_force(state)
        return self._route[1]

    async def say(self, sayings: Sequence[Saying]) -> list[Stored]:
        """Store what is said of some answers; returns what became of each once all of them are durable.

        Raises:
            Problem: 503 if the spans of an answer that is named by its trace id have not been joined yet.
        """
        done = await self._durable(partial(self._writer.say, sayings), "the feedback on this request")
        unknown = [one.name for one, stored in zip(sayings, done, strict=True) if stored.status == "unknown"]
        if unknown and any((await asyncio.to_thread(partial(self._pending.of, unknown))).values()):
            raise busy("not_joined", "the spans of this trace have not been joined yet", _WAIT)
        for saying, stored in zip(sayings, done, strict=True):
            if stored.status in ("stored", "corrected") and saying.outcome is not None:
                self.metrics.said(saying.outcome)
        return done

    def close(self) -> None:
        """Join what is complete and stop the threads."""
        self.joiner.close()
        for pool in (self._parsing, self._storing):
            pool.shutdown(wait=True, cancel_futures=True)


def _read(body: bytes, kind: str, most: int | None) -> Export:
    """Read an export; a compressed one has ``most`` bytes when decompressed."""
    return read_export(body if most is None else _decompressed(body, most), kind, time.time_ns())


def _with_kept(spans: Sequence[Span], keeper: Keeper) -> tuple[Span, ...]:
    """The spans once the bytes of their files are durable; those whose are not say so."""
    until = time.monotonic() + KEEP_SECONDS
    begun = []
    for span in spans:
        keeping = Keeping(keeper)
        keeping.begin(span.held, max(0.0, until - time.monotonic()))
        begun.append((span, keeping))
    found = []
    for span, keeping in begun:
        why = keeping.unkept(max(0.01, until - time.monotonic()))
        unread = {**span.unread, "its files": "; ".join(why)} if why else span.unread
        found.append(msgspec.structs.replace(span, unread=unread))
    return tuple(found)


def _rows(spans: Sequence[Span]) -> list[tuple[str, str, str]]:
    """Each span as it is kept, without the bytes of its files."""
    bare = (msgspec.structs.replace(span, held=()) if span.held else span for span in spans)
    rows = {(span.trace_id, span.span_id): encode(span).decode() for span in bare}
    return [(trace_id, span_id, text) for (trace_id, span_id), text in rows.items()]


def _decompressed(body: bytes, most: int) -> bytes:
    """Decompress gzip up to the limit; it may have several members, one behind another.

    Raises:
        BadExport: it is not gzip.
        Problem: 413 if it is larger.
    """
    found, left = b"", body
    for _ in range(_MOST_MEMBERS):
        inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            found += inflate.decompress(left, most + 1 - len(found))
        except zlib.error as error:
            raise BadExport("the body is not gzip, as Content-Encoding says") from error
        if len(found) > most:
            raise Problem(413, "too_large", f"an export may have at most {most} bytes; send fewer spans at once")
        if not inflate.eof:
            raise BadExport("the gzip body ends too early")
        left = inflate.unused_data
        if not left:
            return found
    raise BadExport(f"the gzip body has more than {_MOST_MEMBERS} members")


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of a request without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
