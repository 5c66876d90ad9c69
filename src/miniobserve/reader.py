"""Reads the trace store: one trace by its request id, a page of traces, the days an entry served.

It never writes. It imports nothing heavier than sqlite3 and msgspec, because many commands import it and must start
quickly. It does not know how traces are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from miniobserve.archive import Archive
from miniobserve.closed_days import LiveRows, live_days, lost_complaints, lost_days
from miniobserve.conditions import Conditions, bindable, conditions, where_clause
from miniobserve.daily import Requests
from miniobserve.days import date_of, day_number, day_range
from miniobserve.evidence import Evidence
from miniobserve.ids import id_day
from miniobserve.label_files import Later, later, write_said
from miniobserve.labelled import Version, any_labels, history, labelled
from miniobserve.recent import Recent
from miniobserve.rows import trace_of
from miniobserve.schema import MINUTE_NS, NAMES, OF_TRACE, refuse_old
from miniobserve.search import COUNTED, Question, Search, SearchResult, Step, outcomes
from miniobserve.slices import Slices
from miniobserve.sql.claims import claim
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import Database, StorageError
from miniobserve.sums import Minute, minute_sums, minutes
from miniobserve.traces import Found, Trace

__all__ = ["COUNTED", "Minute", "TraceReader"]

_OF_TRACE = OF_TRACE.replace("trace_id", "traces.trace_id")
_COLUMNS = ", ".join(f"traces.{name}" for name in NAMES)
_JOINED = "FROM requests AS traces LEFT JOIN feedback ON feedback.request_id = traces.request_id"
Traces = list[Trace]
Usage = list[tuple[str, int]]
Days = list[str]
_PAGE = 5_000


class TraceReader:
    """A read-only view of one trace store and of the days exported from it; safe to use from any thread."""

    def __init__(self, database: Database, archive: Archive | None = None, cache: Path | None = None) -> None:
        self._database = database
        self._archive = archive
        if archive is not None:
            archive.live = LiveRows(database)
        self._slices = Slices(database, None if cache is None else cache / "slices")

    @classmethod
    def open(cls, url: str, archive: Path | str | None = None, cache: Path | None = None) -> TraceReader:
        """Open the store at ``url``; queries also search the closed days in the folder or bucket ``archive``.

        ``cache`` is the folder for copies of a bucket's files, and of the requests that reports are computed from;
        a temporary one by default.

        Raises:
            StorageError: there is no store or one of an earlier version (kind ``unavailable``), or its database is
                damaged.

        """
        database = connect(url, readonly=True)
        try:
            refuse_old(database)
        except StorageError:
            database.close()
            raise
        return cls(
            database, None if archive is None else Archive(archive, None if cache is None else cache / "days"), cache
        )

    def get(self, request_id: str) -> Trace | None:
        """Return the trace of one request with its feedback; None if there is none."""
        asked = bindable(request_id)
        query = f"SELECT {_COLUMNS}, feedback.outcome {_JOINED} WHERE traces.request_id = ?"
        day = id_day(asked)
        rows = [] if day is None else self._database.read(f"{query} AND traces.day = ?", (asked, day))
        rows = rows or self._database.read(query, (asked,))
        if rows:
            found: Trace | None = trace_of(rows[0][:-1], rows[0][-1])
        else:
            found = self._archive.get(asked) if self._archive is not None else None
        return None if found is None else labelled(self._database, [found])[0]

    def of_trace(self, trace_id: str) -> tuple[Trace, ...]:
        """Return the traces of the requests in a distributed trace (W3C Trace Context), oldest first."""
        asked = bindable(trace_id)
        query = f"SELECT {_COLUMNS}, feedback.outcome {_JOINED} WHERE {_OF_TRACE} = ?"
        if self._database.partitioned:
            rows = self._database.read(query, (asked[:8],))
        else:  # one day after the other, because SQLite uses only the day of the index if it is given several
            each = [(asked[:8], day) for day in live_days(self._database)]
            rows = [row for params in each for row in self._database.read(f"{query} AND traces.day = ?", params)]
        some = (trace_of(row[:-1], row[-1]) for row in rows)
        found = {trace.request_id: trace for trace in some if trace.trace_id == asked}
        if self._archive is not None and (days := self._archive.days(pruned=True)):
            for trace in self._archive.some(days, "trace_id = ?", (asked,)):
                found.setdefault(trace.request_id, trace)
        ordered = sorted(found.values(), key=lambda trace: (trace.started_ns, trace.request_id))
        return tuple(labelled(self._database, ordered))

    def said(self, request_id: str) -> tuple[Version, ...]:
        """Return all that was said of an answer, oldest first."""
        return history(self._database, bindable(request_id))

    @property
    def has_labels(self) -> bool:
        """Whether anything that was ever said graded an answer."""
        return any_labels(self._database)

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
        accepted: bool | None = None,
        label: str | None = None,
        graded: str | None = None,
        limit: int = 50,
        before_ns: int | None = None,
    ) -> Found:
        """Return a page of traces, newest first.

        A page exceeds ``limit`` by the traces that share the start time of its last one, as replayed traffic may, so
        that the next page, requested by ``before_ns``, skips none.

        Args:
            text: part of the input or the output, ignoring case; or the whole input if only its hash
                was stored.
            day: ``YYYY-MM-DD``, UTC.
            arm: name of the arm that answered.
            outcome: the learner's feedback: accepted, dismissed or revised.
            sha: the full canonical SHA of the entry that answered.
            features: required values of categorical features, such as ``{"verb": "go"}``.
            accepted: whether the model accepted the input as it was.
            label: the right answer that was said later.
            graded: ``right``, ``wrong``, or ``none`` for answers without a grade.
            limit: the number of traces to return.
            before_ns: only traces that started before this time.

        Raises:
            ValueError: ``day`` is not a valid date.

        """
        where, params = conditions(text, day, arm, outcome, sha, features, accepted, label, graded)
        page_where, page_params = list(where), list(params)
        if before_ns is not None:
            page_where.append("traces.started_ns < ?")
            page_params.append(before_ns)
        rows = self._page(page_where, page_params, limit)
        matched = len(rows) if before_ns is None and len(rows) < limit else self._count(where, params)
        if self._archive is not None and (days := self._archive.days(pruned=True)):
            days = [one for one in days if day in (None, one)]
            if days and matched <= COUNTED:
                matched += self._archive.count(days, where, params, COUNTED + 1)
            if days:
                archived = self._archive.page(days, page_where, page_params, limit)
                rows = _newest(rows, archived, limit)
        return Found(
            traces=tuple(labelled(self._database, rows)),
            matched=matched if matched <= COUNTED else None,
        )

    def search(self, question: Question, step: Step = lambda _searched, _so_far: None) -> SearchResult:
        """Search the store, newest traces first, and say how much of it was looked at.

        ``step`` is called after each window of traces; it stops the search by raising.
        """
        return Search(self._database, self._archive, question).run(step)

    def count(self, question: Question, step: Step = lambda _searched, _so_far: None) -> int:
        """Count the traces that a question by fields asks for; with ``limit=0``, all of them, and none is loaded."""
        search = Search(self._database, self._archive, question)
        search.run(step)
        return search.matched

    def outcomes(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the feedback on these requests by request id, as far as the live store has any."""
        return outcomes(self._database, ids)

    def day_count(self, day: str) -> int:
        """Count the traces of a day that the live store holds."""
        return int(self._database.read("SELECT COUNT(*) FROM requests WHERE day = ?", (day_number(day),))[0][0])

    def day_traces(self, day: str) -> Iterator[Trace]:
        """Yield every trace of a day that the live store holds, with its feedback, sorted by request id."""
        after = ""
        while True:
            query = f"SELECT {_COLUMNS}, feedback.outcome {_JOINED} WHERE traces.day = ? AND traces.request_id > ?"
            order = f"ORDER BY traces.request_id LIMIT {_PAGE}"
            rows = self._database.read(f"{query} {order}", (day_number(day), after))
            if not rows:
                return
            yield from (trace_of(row[:-1], row[-1]) for row in rows)
            after = rows[-1][0]

    def days(self, before: str) -> Days:
        """Return the days (UTC) before another day of which the live store has traces, oldest first."""
        return [date_of(day) for day in live_days(self._database, day_range(before)[0])]

    def lost_days(self) -> Days:
        """Return the days (UTC) of which requests are in neither the live store nor the closed days, oldest first."""
        return lost_days(self._database, self._archive)

    def lost_complaints(self, sha: str) -> Usage:
        """Return the lost days on which users dismissed answers of an entry, with how many that were not right."""
        return lost_complaints(self._database, self._archive, sha)

    def days_spoken_of(self, before: str) -> Days:
        """Return the days (UTC) before another day of whose answers something was said, oldest first."""
        rows = self._database.read("SELECT DISTINCT day FROM feedback WHERE day < ? ORDER BY 1", (day_number(before),))
        return [date_of(row[0]) for row in rows]

    def said_since(self, day: str, since_ns: int) -> Later:
        """Return of how many answers of a day something was said since a time, UTC ns."""
        return later(self._database, day_number(day), since_ns)

    def copy_said(self, day: str, since_ns: int, file: Path) -> None:
        """Write what was said of a day's answers since a time (UTC ns) to a Parquet file."""
        write_said(self._database, day_number(day), since_ns, file)

    def usage(self, sha: str) -> Usage:
        """Return the days (UTC) on which an entry answered learners, with its number of requests, oldest first."""
        sums = minute_sums(self._database, "minute / 1440", ("n", "errors"), where=("entry_sha = ?", (sha,)))
        return [(date_of(day), n - errors) for day, (n, errors) in sorted(sums.items())]

    @property
    def evidence(self) -> Evidence:
        """Queries about the arms of an epoch."""
        return Evidence(self._database, self._archive, self._slices)

    @property
    def recent(self) -> Recent:
        """Queries about the last hours, over all epochs."""
        return Recent(self._database, self._archive)

    def tester_requests(self, epoch: int) -> int:
        """Return how many requests testers sent in an epoch; they are in no other figure."""
        return self.evidence.testers(epoch)

    @property
    def requests(self) -> Requests:
        """Queries over all requests of a time span, for drift and cost."""
        return Requests(self._database, self._archive, self._slices)

    def minutes(self, since_ns: int, before_ns: int = 2**63 - 1) -> tuple[Minute, ...]:
        """Return the roll-up of each minute that began in ``since_ns`` ≤ t < ``before_ns``, oldest first."""
        return minutes(self._database, (-(-since_ns // MINUTE_NS), -(-before_ns // MINUTE_NS)))

    def claim(self, task: str) -> bool:
        """Return whether this reader does a task that one of several servers does at a time; see ``sql.claims``."""
        return claim(self._database, task)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
        self._slices.close()
        if self._archive is not None:
            self._archive.close()

    def _page(self, where: Conditions, params: Conditions, limit: int) -> Traces:
        """Return the newest ``limit`` rows and all that share the start time of the last one."""
        columns = f"SELECT feedback.outcome, {_COLUMNS}"
        order = "ORDER BY traces.started_ns DESC, traces.request_id"
        rows = self._database.read(f"{columns} {_JOINED} {where_clause(where)} {order} LIMIT ?", (*params, limit))
        if len(rows) == limit and rows:
            tied = where_clause([*where, "traces.started_ns = ?", "traces.request_id > ?"])
            ties = f"{columns} {_JOINED} {tied} {order}"
            last = trace_of(rows[-1][1:])
            rows += self._database.read(ties, (*params, last.started_ns, last.request_id))
        return [trace_of(row[1:], row[0]) for row in rows]

    def _count(self, where: Conditions, params: Conditions) -> int:
        """Count the matching traces, up to ``COUNTED`` + 1."""
        inner = f"SELECT 1 AS one {_JOINED} {where_clause(where)} LIMIT {COUNTED + 1}"
        rows = self._database.read(f"SELECT COUNT(*) FROM ({inner}) AS counted", params)  # noqa: S608
        return int(rows[0][0])


def _newest(live: Traces, archived: Traces, limit: int) -> Traces:
    """Merge two pages: the newest ``limit`` traces and all that share the start time of the last one."""
    one_each = {trace.request_id: trace for trace in (*archived, *live)}
    traces = sorted(one_each.values(), key=lambda trace: (-trace.started_ns, trace.request_id))
    last = traces[limit - 1].started_ns if len(traces) > limit > 0 else None
    if last is None:
        return traces
    return [trace for number, trace in enumerate(traces) if number < limit or trace.started_ns == last]
