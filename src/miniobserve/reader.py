"""Reads the trace store: one trace by its request id, a page of traces, the days an entry served.

It never writes. It imports nothing heavier than sqlite3 and msgspec, because many commands import it and must start
quickly. It does not know how traces are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import starmap
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.archive import Archive, Kept
from miniobserve.conditions import Conditions, bindable, conditions, where_clause
from miniobserve.daily import DAY_NS, EPOCH, Requests, day_range, live_ids
from miniobserve.evidence import Evidence
from miniobserve.recent import Recent
from miniobserve.schema import (
    BOUNDS,
    MINUTE_COLUMNS,
    MINUTE_NS,
    latency_quantile,
)
from miniobserve.search import COUNTED, Question, Search, SearchResult, Step, outcomes
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.traces import Found, Trace

_BODY = "(SELECT bodies.body FROM bodies WHERE bodies.request_id = traces.request_id)"
_JOINED = "FROM traces LEFT JOIN feedback ON feedback.request_id = traces.request_id"
Rows = list[tuple[Any, ...]]
Usage = list[tuple[str, int]]
Days = list[str]
_PAGE = 5_000


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one minute, arm and entry, from which the console draws its live charts."""

    minute_ns: int
    arm: str
    sha: str
    n: int
    errors: int
    seconds: float
    """Sum of the requests' latencies."""
    p50: float | None
    """Seconds, as the upper bound of a histogram bucket; infinity beyond the last bound."""
    p99: float | None
    priced: int
    """The number of requests with a price; ``cost`` is their sum."""
    cost: float
    input_tokens: int
    output_tokens: int


class TraceReader:
    """A read-only view of one trace store and of the days exported from it; safe to use from any thread."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive
        self._decode = msgspec.json.Decoder(Trace).decode

    @classmethod
    def open(cls, url: str, archive: Path | None = None) -> TraceReader:
        """Open the store at ``url``; queries also search the days exported to the folder ``archive``.

        Raises:
            StorageError: there is no store (kind ``unavailable``), or its database is damaged.

        """
        return cls(connect(url, readonly=True), None if archive is None else Archive(archive))

    def get(self, request_id: str) -> Trace | None:
        """Return the trace of one request with its feedback; None if there is none."""
        rows = self._database.read(
            "SELECT body, outcome FROM bodies LEFT JOIN feedback ON feedback.request_id = bodies.request_id"
            " WHERE bodies.request_id = ?",
            (bindable(request_id),),
        )
        if rows:
            return self._trace(*rows[0])
        found = self._archive.get(bindable(request_id)) if self._archive is not None else None
        return self._trace(found[0], self.outcomes([request_id]).get(request_id, found[1])) if found else None

    def __getitem__(self, request_id: str) -> Trace:
        trace = self.get(request_id)
        if trace is None:
            raise KeyError(request_id)
        return trace

    def list(
        self,
        *,
        text: str | None = None,
        day: str | None = None,
        arm: str | None = None,
        outcome: str | None = None,
        sha: str | None = None,
        features: Mapping[str, str] = {},
        is_correct: bool | None = None,
        limit: int = 50,
        before_ns: int | None = None,
    ) -> Found:
        """Return a page of traces, newest first.

        A page exceeds ``limit`` by the traces that share the start time of its last one, as replayed traffic may, so
        that the next page, requested by ``before_ns``, skips none.

        Args:
            text: part of the sentence or the correction, ignoring case; or the whole sentence if only its hash
                was stored.
            day: ``YYYY-MM-DD``, UTC.
            arm: name of the arm that answered.
            outcome: the learner's feedback: accepted, dismissed or revised.
            sha: the full canonical SHA of the entry that answered.
            features: required values of categorical features, such as ``{"verb": "go"}``.
            is_correct: whether the model accepted the sentence as correct.
            limit: the number of traces to return.
            before_ns: only traces that started before this time.

        Raises:
            ValueError: ``day`` is not a valid date.

        """
        where, params = conditions(text, day, arm, outcome, sha, features, is_correct)
        page_where, page_params = list(where), list(params)
        if before_ns is not None:
            page_where.append("traces.started_ns < ?")
            page_params.append(before_ns)
        rows = self._page(page_where, page_params, limit)
        matched = len(rows) if before_ns is None and len(rows) < limit else self._count(where, params)
        if self._archive is not None and (days := self._archive.days(pruned=True)):
            days = [one for one in days if day in (None, one)]
            without = live_ids(self._database, days)
            if days and matched <= COUNTED:
                matched += self._archive.count(days, where, params, COUNTED + 1, without)
            if days:
                archived = self._archive.page(days, page_where, page_params, limit, without)
                said = self.outcomes([row[3] for row in archived])
                rows = _newest(rows, [(row[0], said.get(row[3], row[1]), *row[2:]) for row in archived], limit)
        return Found(
            traces=tuple(self._trace(body, said) for body, said, *_ in rows),
            matched=matched if matched <= COUNTED else None,
        )

    def search(self, question: Question, step: Step = lambda _searched, _so_far: None) -> SearchResult:
        """Search the store, newest traces first, and say how much of it was looked at.

        ``step`` is called after each window of traces; it stops the search by raising.
        """
        return Search(self._database, self._archive, question, self._trace).run(step)

    def outcomes(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the feedback on these requests by request id, as far as the live store has any."""
        return outcomes(self._database, ids)

    def day_rows(self, day: str) -> Iterator[Kept]:
        """Yield every trace of a day as started_ns, request id, canonical JSON and feedback, sorted by time and id."""
        first, end = day_range(day)
        columns = f"SELECT traces.started_ns, traces.request_id, {_BODY}, feedback.outcome {_JOINED}"
        while True:
            page = (
                f"{columns} WHERE traces.started_ns >= ? AND traces.started_ns < ? ORDER BY traces.started_ns LIMIT ?"
            )
            rows = self._database.read(page, (first, end, _PAGE))
            if not rows:
                return
            first = rows[-1][0] + 1
            if len(rows) == _PAGE:  # more traces may share the last start time: read all of those at once
                rows = [row for row in rows if row[0] < first - 1]
                rows += self._database.read(f"{columns} WHERE traces.started_ns = ?", (first - 1,))
            yield from sorted((int(ns), str(name), str(body), said) for ns, name, body, said in rows)

    def days(self, before: str) -> Days:
        """Return the days (UTC) before another day of which the live store has traces, oldest first."""
        rows = self._database.read(
            f"SELECT DISTINCT started_ns / {DAY_NS} FROM traces WHERE started_ns < ? ORDER BY 1",  # noqa: S608
            (day_range(before)[0],),
        )
        return [_dated(row[0], 0)[0] for row in rows]

    def usage(self, sha: str) -> Usage:
        """Return the days (UTC) on which an entry answered learners, with its number of requests, oldest first."""
        rows = self._database.read(
            "SELECT minute / 1440, SUM(n - errors) FROM minutes WHERE entry_sha = ? GROUP BY 1 ORDER BY 1", (sha,)
        )
        return [*starmap(_dated, rows)]

    @property
    def evidence(self) -> Evidence:
        """Queries about the arms of an epoch."""
        return Evidence(self._database, self._archive)

    @property
    def recent(self) -> Recent:
        """Queries about the last hours, over all epochs."""
        return Recent(self._database, self._archive)

    def tester_requests(self, epoch: int) -> int:
        """Return how many requests testers sent in an epoch; they are in no other figure."""
        try:
            rows = self._database.read("SELECT SUM(n) FROM testers WHERE epoch = ?", (epoch,))
        except StorageError as error:
            if error.kind not in ("damaged", "absent"):
                raise
            self._database.read("SELECT 1 FROM bodies LIMIT 1")  # raises if the store is really damaged
            return 0  # a store that no server of this version has opened yet: no tester can have used it
        return int(rows[0][0] or 0)

    @property
    def requests(self) -> Requests:
        """Queries over all requests of a time span, for drift and cost."""
        return Requests(self._database, self._archive)

    def minutes(self, since_ns: int, before_ns: int = 2**63 - 1) -> tuple[Minute, ...]:
        """Return the roll-up of each minute that began in ``since_ns`` ≤ t < ``before_ns``, oldest first."""
        columns = ", ".join(MINUTE_COLUMNS)
        rows = self._database.read(
            f"SELECT {columns} FROM minutes WHERE minute >= ? AND minute < ? ORDER BY minute, arm, entry_sha",  # noqa: S608
            (-(-since_ns // MINUTE_NS), -(-before_ns // MINUTE_NS)),
        )
        return tuple(_minute(row) for row in rows)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
        if self._archive is not None:
            self._archive.close()

    def _page(self, where: Conditions, params: Conditions, limit: int) -> Rows:
        """Return the newest ``limit`` rows and all that share the start time of the last one."""
        columns = f"SELECT {_BODY}, feedback.outcome, traces.started_ns, traces.request_id"
        order = "ORDER BY traces.started_ns DESC, traces.request_id"
        rows = self._database.read(f"{columns} {_JOINED} {where_clause(where)} {order} LIMIT ?", (*params, limit))
        if len(rows) == limit and rows:
            tied = where_clause([*where, "traces.started_ns = ?", "traces.request_id > ?"])
            ties = f"{columns} {_JOINED} {tied} {order}"
            rows += self._database.read(ties, (*params, rows[-1][2], rows[-1][3]))
        return rows

    def _count(self, where: Conditions, params: Conditions) -> int:
        """Count the matching traces, up to ``COUNTED`` + 1."""
        inner = f"SELECT 1 AS one {_JOINED} {where_clause(where)} LIMIT {COUNTED + 1}"
        rows = self._database.read(f"SELECT COUNT(*) FROM ({inner}) AS counted", params)  # noqa: S608
        return int(rows[0][0])

    def _trace(self, body: str, outcome: str | None) -> Trace:
        try:
            trace = self._decode(body)
        except msgspec.MsgspecError as error:
            raise StorageError(
                "damaged", f"a trace cannot be decoded: {error}", "restore the trace store from a backup"
            ) from error
        return trace if outcome is None else msgspec.structs.replace(trace, feedback=outcome)


def _newest(live: Rows, archived: Rows, limit: int) -> Rows:
    """Merge two pages: the newest ``limit`` rows and all that share the start time of the last one."""
    one_each = {row[3]: row for row in (*archived, *live)}
    rows = sorted(one_each.values(), key=lambda row: (-row[2], row[3]))
    last = rows[limit - 1][2] if len(rows) > limit > 0 else None
    return rows if last is None else [row for number, row in enumerate(rows) if number < limit or row[2] == last]


def _dated(day: int, count: int) -> tuple[str, int]:
    return (EPOCH + timedelta(days=day)).date().isoformat(), int(count)


def _minute(row: tuple[Any, ...]) -> Minute:
    named = dict(zip(MINUTE_COLUMNS, row, strict=True))
    counts = row[-(len(BOUNDS) + 1) :]
    return Minute(
        minute_ns=named["minute"] * MINUTE_NS,
        arm=named["arm"],
        sha=named["entry_sha"],
        p50=latency_quantile(counts, 0.50),
        p99=latency_quantile(counts, 0.99),
        **{name: named[name] for name in ("n", "errors", "seconds", "priced", "cost", "input_tokens", "output_tokens")},
    )
