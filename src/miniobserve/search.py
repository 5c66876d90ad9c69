"""Searches the whole trace store, from the newest trace backwards, one window of time after the other.

A window holds some thousands of traces, so that no query keeps the database busy for long and a search can be stopped
between two of them. It reads the live store and the days exported from it, and never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from miniobserve.archive import Archive
from miniobserve.days import day_range
from miniobserve.field_tests import FieldTest, FieldTests, fields_of, is_number, value_of
from miniobserve.labelled import labelled
from miniobserve.rows import trace_of
from miniobserve.schema import DAY_NS, NAMES, within
from miniobserve.search_terms import Fragment, Order, Term, condition, sort_key, span_of
from miniobserve.sql.protocol import Database
from miniobserve.traces import Found, Trace

WINDOW = 20_000
"""Traces of the live store that one query looks at."""
MOST_SEARCHED = 1_000_000
"""Traces after which a search ends."""
COUNTED = 10_000
"""Matches are counted up to this number; beyond it, a search reports the number of matches as unknown."""
_FIRST_NS, _END_NS = -(2**63), 2**63 - 1
_COLUMNS = ", ".join(f"traces.{name}" for name in NAMES)
_JOINED = "FROM requests AS traces LEFT JOIN feedback ON feedback.request_id = traces.request_id"
_SOME, _MANY = 500, 5_000
"""Requests that one query reads the bodies, or the feedback, of."""
_PIECE = 100_000
"""Requests of a closed day, about, of which the fields are held at once."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for, and in what order to return it."""

    terms: tuple[Term, ...] = ()
    """All of them must match."""
    fields: tuple[FieldTest, ...] = ()
    """What the fields of the answer must meet, all of it. They are read of the requests that match the terms."""
    order: Order = "time"
    feature: str = ""
    """The feature that ``order="feature"`` sorts by, or the field with numbers of ``order="field"``; traces without it
    come last."""
    backwards: bool = False
    """Reverses every order but that by time, which is newest first."""
    limit: int = 500
    before_ns: int | None = None
    """Only traces that started before this time."""
    most: int = MOST_SEARCHED


class SearchResult(Found, frozen=True, kw_only=True):
    """The traces that were found, and how much of the store was looked at."""

    searched: int
    """Traces that were looked at, of those up to ``before_ns``, or of the days that were asked for."""
    since_ns: int | None
    """Start time of the oldest trace that was looked at; None if every one of those was."""
    unknown_fields: tuple[str, ...] = ()
    """Fields that were asked for and that no answer had, of the requests that matched the terms."""
    seen_fields: tuple[str, ...] = ()
    """Fields that these answers had, where one is unknown."""


def search_in_order(
    name: str, question: Question, search: Callable[[Question], SearchResult]
) -> tuple[Question, SearchResult]:
    """Search in the order of a name: time, latency, outcome, a feature or a field; returns the question in that order.

    Only the requests that are found show whether a name is that of a feature, so a field costs a second search.
    """
    orders: dict[str, Order] = {"time": "time", "latency": "latency", "outcome": "outcome"}
    if name in orders:
        question = msgspec.structs.replace(question, order=orders[name])
        return question, search(question)
    question = msgspec.structs.replace(question, order="feature", feature=name)
    found = search(question)
    if not found.traces or any(name in one.features for one in found.traces):
        return question, found
    question = msgspec.structs.replace(question, order="field")
    return question, search(question)


Step = Callable[[int, Callable[[], SearchResult]], None]
"""Called with the number of traces that were looked at, and a function that returns what was found so far."""


class Hit(NamedTuple):
    """One match, with what it is sorted by."""

    missing: int
    """1 where there is nothing to sort it by; such hits come last."""
    key: Any
    started_ns: int
    request_id: str
    day: str
    """The exported day it was found in; empty for the live store."""


class Window(NamedTuple):
    """A span of time, and the exported day in it of which the live store may lack traces."""

    first: int
    end: int
    day: str


class Search:
    """One search."""

    def __init__(self, database: Database, archive: Archive | None, question: Question) -> None:
        self._database = database
        self._archive = archive
        self._question = question
        found = (condition(term, database.find) for term in question.terms)
        self._conditions = [fragment for fragment in found if fragment is not None]
        self._first, end = span_of(question.terms) or (_FIRST_NS, _END_NS)
        self._end = end if question.before_ns is None else min(end, question.before_ns)
        self._tests = FieldTests(question.fields)
        self._reads_fields = bool(question.fields) or question.order == "field"
        self.hits: list[Hit] = []
        self.matched = self.searched = 0
        self.since_ns: int | None = None

    def run(self, step: Step) -> SearchResult:
        """Look at one window after the other, until nothing more could change the answer."""
        for window in self._windows():
            self._look(window)
            self.since_ns = window.first
            step(self.searched, self.result)
            if (self._page_is_full and self.matched > COUNTED) or self.searched >= self._question.most:
                break
        return self.result()

    def result(self) -> SearchResult:
        """What was found so far, without traces that were deleted meanwhile."""
        found: dict[str, Trace] = {}
        for day in sorted({hit.day for hit in self.hits}):
            ids = [hit.request_id for hit in self.hits if hit.day == day]
            for start in range(0, len(ids), _SOME):
                found |= self._traces(day, ids[start : start + _SOME])
        return SearchResult(
            traces=tuple(found[hit.request_id] for hit in self.hits if hit.request_id in found),
            matched=self.matched if self.matched <= COUNTED else None,
            searched=self.searched,
            since_ns=None if self.since_ns == self._first else self.since_ns,
            unknown_fields=self._tests.unknown,
            seen_fields=self._tests.seen if self._tests.unknown else (),
        )

    def _traces(self, day: str, ids: Sequence[str]) -> dict[str, Trace]:
        if day and self._archive is not None:
            found = self._archive.some([day], "request_id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)])
            return {trace.request_id: trace for trace in labelled(self._database, found)}
        condition, params = self._database.among("traces.request_id", ids)
        query = f"SELECT {_COLUMNS}, feedback.outcome {_JOINED} WHERE {condition}"
        found = [trace_of(row[:-1], row[-1]) for row in self._database.read(query, params)]
        return {trace.request_id: trace for trace in labelled(self._database, found)}

    def _windows(self) -> Iterator[Window]:
        """Windows from the newest backwards; each touches at most one exported day."""
        end = self._end
        days = [] if self._archive is None else self._archive.days(pruned=True)
        spans = [(*day_range(day), day) for day in reversed(days)]
        while end > self._first:
            rows = self._database.read(
                f"SELECT started_ns FROM requests WHERE started_ns < ? ORDER BY started_ns DESC LIMIT 1 OFFSET {WINDOW - 1}",  # noqa: S608, E501
                (end,),
            )
            first = max(int(rows[0][0]) if rows else _FIRST_NS, self._first)
            within = next((span for span in spans if span[0] < end), None)
            if within is not None:
                first = max(first, self._start_within(within, end))
            yield Window(first, end, within[2] if within is not None and within[1] > first else "")
            end = first

    def _start_within(self, span: tuple[int, int, str], end: int) -> int:
        """Where the window begins that ends at a time and reaches into a closed day."""
        start, following, day = span
        if not self._reads_fields or self._archive is None:
            return start
        rows = sum(part.rows for part in self._archive.index.parts([day]))
        piece = DAY_NS // (1 + rows // _PIECE)
        return start + (min(end, following) - 1 - start) // piece * piece

    def _look(self, window: Window) -> None:
        """Look at one window: keep its best hits, and count its matches."""
        span: Fragment = "traces.started_ns >= ? AND traces.started_ns < ?", [window.first, window.end]
        here = within(window.first, window.end, "traces")
        query = f"SELECT COUNT(*) FROM requests AS traces WHERE {here[0]}"  # noqa: S608
        live = int(self._database.read(query, here[1])[0][0])
        if live:
            self._look_at_live(live, here)
        if window.day and self._archive is not None:
            self._look_at_archived(self._archive, window, span)

    def _look_at_live(self, live: int, span: Fragment) -> None:
        """``live`` is the number of traces in the span."""
        where, params = _all((span, *self._conditions))
        self.searched += live
        if self._reads_fields:
            sql, values, _ = self._ranking(self._database.find, self._database.bytewise)
            query = f"SELECT {sql}, traces.rest {_JOINED} WHERE {where}"
            self._keep_meeting(self._database.read(query, (*values, *params)), "")
            return
        if not self._page_is_full:
            sql, values, order = self._ranking(self._database.find, self._database.bytewise)
            rows = self._database.read(
                f"SELECT {sql} {_JOINED} WHERE {where} {order} LIMIT ?",
                (*values, *params, self._question.limit),
            )
            self._keep([_hit(row, "") for row in rows])
            if len(rows) < self._question.limit:
                self.matched += len(rows)
                return
        if not self._conditions:
            self.matched += live
        elif self.matched <= COUNTED:
            inner = f"SELECT 1 AS one {_JOINED} WHERE {where} LIMIT {COUNTED + 1}"
            self.matched += int(self._database.read(f"SELECT COUNT(*) FROM ({inner}) AS counted", params)[0][0])  # noqa: S608

    def _look_at_archived(self, archive: Archive, window: Window, span: Fragment) -> None:
        day = window.day
        where, params = _all((span, *self._conditions))
        there = archive.rows(day, window.first, window.end)
        self.searched += there
        sql, values, order = self._ranking("instr", "")
        if self._reads_fields:
            self._keep_meeting(archive.ranked(day, (f"{sql}, fields", values), "", (where, params), there), day)
            return
        rows = archive.ranked(day, (sql, values), order, (where, params), self._question.limit)
        self._keep([_hit(row, day) for row in rows])
        self.matched += archive.count([day], [where], params, COUNTED + 1)

    @property
    def _page_is_full(self) -> bool:
        """Whether no older trace can be among the hits any more."""
        return self._question.order == "time" and 0 < self._question.limit <= len(self.hits)

    def _ranking(self, find: str, bytewise: str) -> tuple[str, list[Any], str]:
        """The columns of a hit with their parameters, and the clause that sorts hits."""
        asked = self._question
        newest = "3 DESC, 4"
        if asked.order in ("time", "field"):
            return "0, 0, traces.started_ns, traces.request_id", [], f"ORDER BY {newest}"
        (missing, params), (key, values) = sort_key(asked.order, asked.feature, find, bytewise)
        direction = "DESC" if asked.backwards else "ASC"
        columns = f"{missing}, {key}, traces.started_ns, traces.request_id"
        return columns, [*params, *values], f"ORDER BY 1, 2 {direction}, {newest}"

    def _keep_meeting(self, rows: Sequence[tuple[Any, ...]], day: str) -> None:
        """Keep and count the hits whose fields, which stand behind what ``_ranking`` gives, meet what is asked."""
        hits = []
        for row in rows:
            fields = fields_of(row[-1], live=not day)
            if self._tests.hold(fields):
                hits.append(self._by_field(_hit(row[:-1], day), fields))
        self.matched += len(hits)
        self._keep(hits)

    def _by_field(self, hit: Hit, fields: Mapping[str, Any]) -> Hit:
        """The hit with the number in the field that hits are sorted by, if they are."""
        if self._question.order != "field":
            return hit
        key = value_of(fields, self._question.feature)
        missing = not is_number(key)
        return hit._replace(missing=int(missing), key=0 if missing else key)

    def _keep(self, hits: list[Hit]) -> None:
        """Merge further hits into those that will be returned."""
        merged = sorted([*self.hits, *hits], key=lambda hit: (-hit.started_ns, hit.request_id))
        merged.sort(key=lambda hit: hit.key, reverse=self._question.backwards)
        merged.sort(key=lambda hit: hit.missing)
        self.hits = merged[: self._question.limit]


def outcomes(database: Database, ids: Sequence[str]) -> dict[str, str]:
    """The feedback on these requests by request id, as far as the live store has any."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), _MANY):
        condition, params = database.among("request_id", ids[start : start + _MANY])
        query = f"SELECT request_id, outcome FROM feedback WHERE outcome <> '' AND {condition}"  # noqa: S608 -- marks
        found |= dict(database.read(query, params))
    return found


def _hit(row: tuple[Any, ...], day: str) -> Hit:
    missing, key, started_ns, request_id = row
    return Hit(missing=missing, key=key, started_ns=started_ns, request_id=request_id, day=day)


def _all(fragments: Sequence[Fragment]) -> tuple[str, list[Any]]:
    """Conditions that must all be true, with their parameters."""
    return " AND ".join(sql for sql, _ in fragments), [value for _, values in fragments for value in values]
