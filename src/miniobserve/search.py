"""Searches the whole trace store, from the newest trace backwards, one window of time after the other.

A window holds some thousands of traces, so that no query keeps the database busy for long and a search can be stopped
between two of them. It reads the live store and the days exported from it, and never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from miniobserve.archive import Archive
from miniobserve.daily import day_range, live_ids
from miniobserve.search_terms import Fragment, Order, Term, condition, sort_key
from miniobserve.sql.protocol import Database
from miniobserve.traces import Found, Trace

WINDOW = 20_000
"""Traces of the live store that one query looks at."""
MOST_SEARCHED = 1_000_000
"""Traces after which a search ends."""
COUNTED = 10_000
"""Matches are counted up to this number; beyond it, a search reports the number of matches as unknown."""
_FIRST_NS, _END_NS = -(2**63), 2**63 - 1
_JOINED = "FROM traces LEFT JOIN feedback ON feedback.request_id = traces.request_id"
_TIMED = " LEFT JOIN answers ON answers.request_id = traces.request_id"
_SOME, _MANY = 500, 5_000
"""Requests that one query reads the bodies, or the feedback, of."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for, and in what order to return it."""

    terms: tuple[Term, ...] = ()
    """All of them must match."""
    order: Order = "time"
    feature: str = ""
    """The feature that ``order="feature"`` sorts by; traces without it come last."""
    backwards: bool = False
    """Reverses every order but that by time, which is newest first."""
    limit: int = 500
    before_ns: int | None = None
    """Only traces that started before this time."""
    most: int = MOST_SEARCHED


def sorted_by(name: str, question: Question) -> Question:
    """The question in the order of that name; a name that is no order is that of a feature."""
    orders: dict[str, Order] = {"time": "time", "latency": "latency", "outcome": "outcome"}
    order = orders.get(name)
    return msgspec.structs.replace(question, order=order or "feature", feature="" if order else name)


class SearchResult(Found, frozen=True, kw_only=True):
    """The traces that were found, and how much of the store was looked at."""

    searched: int
    """Traces that were looked at, of those up to ``before_ns``."""
    since_ns: int | None
    """Start time of the oldest trace that was looked at; None if every trace was."""


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

    def __init__(
        self,
        database: Database,
        archive: Archive | None,
        question: Question,
        decode: Callable[[str, str | None], Trace],
    ) -> None:
        """``decode`` makes a trace of its JSON and its feedback."""
        self._database = database
        self._archive = archive
        self._question = question
        self._decode = decode
        found = (condition(term, database.find) for term in question.terms)
        self._conditions = [fragment for fragment in found if fragment is not None]
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
                found |= {
                    name: self._decode(*body) for name, body in self._bodies(day, ids[start : start + _SOME]).items()
                }
        return SearchResult(
            traces=tuple(found[hit.request_id] for hit in self.hits if hit.request_id in found),
            matched=self.matched if self.matched <= COUNTED else None,
            searched=self.searched,
            since_ns=None if self.since_ns == _FIRST_NS else self.since_ns,
        )

    def _bodies(self, day: str, ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        if day and self._archive is not None:
            query = "SELECT request_id, body, feedback FROM {files} WHERE request_id IN (SELECT unnest(?::VARCHAR[]))"
            later = outcomes(self._database, ids)
            return {
                name: (body, later.get(name, said))
                for name, body, said in self._archive.read(query, [day], [list(ids)])
            }
        marks = ", ".join("?" for _ in ids)
        rows = self._database.read(
            "SELECT bodies.request_id, bodies.body, feedback.outcome FROM bodies"  # noqa: S608 -- only marks
            f" LEFT JOIN feedback ON feedback.request_id = bodies.request_id WHERE bodies.request_id IN ({marks})",
            ids,
        )
        return {name: (body, said) for name, body, said in rows}

    def _windows(self) -> Iterator[Window]:
        """Windows from the newest backwards; each touches at most one exported day."""
        end = _END_NS if self._question.before_ns is None else self._question.before_ns
        days = [] if self._archive is None else self._archive.days(pruned=True)
        spans = [(*day_range(day), day) for day in reversed(days)]
        while end > _FIRST_NS:
            rows = self._database.read(
                f"SELECT started_ns FROM traces WHERE started_ns < ? ORDER BY started_ns DESC LIMIT 1 OFFSET {WINDOW - 1}",  # noqa: S608, E501
                (end,),
            )
            first = int(rows[0][0]) if rows else _FIRST_NS
            within = next((span for span in spans if span[0] < end), None)
            if within is not None:
                first = max(first, within[0])
            yield Window(first, end, within[2] if within is not None and within[1] > first else "")
            end = first

    def _look(self, window: Window) -> None:
        """Look at one window: keep its best hits, and count its matches."""
        span: Fragment = "traces.started_ns >= ? AND traces.started_ns < ?", [window.first, window.end]
        live = int(self._database.read(f"SELECT COUNT(*) FROM traces WHERE {span[0]}", span[1])[0][0])  # noqa: S608
        if live:
            self._look_at_live(live, span)
        if window.day and self._archive is not None:
            self._look_at_archived(self._archive, window, span)

    def _look_at_live(self, live: int, span: Fragment) -> None:
        """``live`` is the number of traces in the span."""
        where, params = _all((span, *self._conditions))
        self.searched += live
        if not self._page_is_full:
            sql, values, order = self._ranking(self._database.find, self._database.bytewise)
            timed = _TIMED if self._question.order == "latency" else ""
            rows = self._database.read(
                f"SELECT {sql} {_JOINED}{timed} WHERE {where} {order} LIMIT ?",
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
        without = live_ids(self._database, [day])
        where, params = _all((span, *self._conditions))
        self.searched += archive.rows(day, window.first, window.end, without)
        sql, values, order = self._ranking("instr", "")
        rows = archive.ranked(day, (sql, values), order, (where, params), without, self._question.limit)
        self._keep([_hit(row, day) for row in rows])
        self.matched += archive.count([day], [where], params, COUNTED + 1, without)

    @property
    def _page_is_full(self) -> bool:
        """Whether no older trace can be among the hits any more."""
        return self._question.order == "time" and len(self.hits) >= self._question.limit

    def _ranking(self, find: str, bytewise: str) -> tuple[str, list[Any], str]:
        """The columns of a hit with their parameters, and the clause that sorts hits."""
        asked = self._question
        newest = "3 DESC, 4"
        if asked.order == "time":
            return "0, 0, traces.started_ns, traces.request_id", [], f"ORDER BY {newest}"
        (missing, params), (key, values) = sort_key(asked.order, asked.feature, find, bytewise)
        direction = "DESC" if asked.backwards else "ASC"
        columns = f"{missing}, {key}, traces.started_ns, traces.request_id"
        return columns, [*params, *values], f"ORDER BY 1, 2 {direction}, {newest}"

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
        some = ids[start : start + _MANY]
        marks = ", ".join("?" for _ in some)
        query = f"SELECT request_id, outcome FROM feedback WHERE request_id IN ({marks})"  # noqa: S608 -- marks
        found |= dict(database.read(query, some))
    return found


def _hit(row: tuple[Any, ...], day: str) -> Hit:
    missing, key, started_ns, request_id = row
    return Hit(missing=missing, key=key, started_ns=started_ns, request_id=request_id, day=day)


def _all(fragments: Sequence[Fragment]) -> tuple[str, list[Any]]:
    """Conditions that must all be true, with their parameters."""
    return " AND ".join(sql for sql, _ in fragments), [value for _, values in fragments for value in values]
