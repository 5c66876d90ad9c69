"""Reading the trace store: one trace by its request id, a page of them, the days an entry served.

Never writes. Imports nothing heavier than sqlite3 and msgspec, because every command that walks a
request starts here. It does not know how traces got there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import Any

import msgspec

from miniobserve.evidence import Evidence
from miniobserve.schema import (
    BOUNDS,
    MINUTE_COLUMNS,
    MINUTE_NS,
    feature_term,
    latency_quantile,
    searchable,
)
from miniobserve.sql import Database, StorageError, connect
from miniobserve.traces import Found, Trace

COUNTED = 10_000
"""Matches are counted up to here; beyond, a page says it does not know how many there are."""

_BODY = "(SELECT bodies.body FROM bodies WHERE bodies.request_id = traces.request_id)"
_JOINED = "FROM traces LEFT JOIN feedback ON feedback.request_id = traces.request_id"
_DAY_NS = 1440 * MINUTE_NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Conditions = list[Any]
Rows = list[tuple[Any, ...]]
Usage = list[tuple[str, int]]


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of one arm: the coarse roll-up live panes draw."""

    minute_ns: int
    arm: str
    sha: str
    n: int
    errors: int
    seconds: float
    """Sum of the requests' latencies."""
    p50: float | None
    """Seconds, as the upper bound of a histogram bucket; infinite beyond the last."""
    p99: float | None
    priced: int
    """How many of the requests had a price; ``cost`` is the sum over those."""
    cost: float
    input_tokens: int
    output_tokens: int


class TraceReader:
    """A read-only view of one trace store; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decode = msgspec.json.Decoder(Trace).decode

    @classmethod
    def open(cls, url: str) -> TraceReader:
        """Open the store at ``url``.

        Raises:
            StorageError: there is none (kind ``unavailable``), or it is not a sound database.

        """
        return cls(connect(url, readonly=True))

    def get(self, request_id: str) -> Trace | None:
        """The trace of one request, with its feedback; None where there is none."""
        rows = self._database.read(
            "SELECT body, outcome FROM bodies LEFT JOIN feedback ON feedback.request_id = bodies.request_id"
            " WHERE bodies.request_id = ?",
            (_bindable(request_id),),
        )
        return self._trace(*rows[0]) if rows else None

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
        """A page of traces, newest first.

        A page may run past ``limit`` by the traces that share its last nanosecond (replayed traffic can),
        so that going on with ``before_ns`` skips none.

        Args:
            text: part of the sentence or the correction, in any case; or the whole sentence where only
                its hash was kept.
            day: ``YYYY-MM-DD``, UTC.
            arm: name of the arm that answered.
            outcome: what the learner said of it: accepted, dismissed, revised.
            sha: the full canonical SHA of the entry that answered.
            features: categorical features that must have these values, such as ``{"verb": "go"}``.
            is_correct: whether the model passed the sentence as right.
            limit: how many to return.
            before_ns: only those that started earlier than this.

        Raises:
            ValueError: ``day`` is not a day.

        """
        where, params = _conditions(text, day, arm, outcome, sha, features, is_correct)
        page_where, page_params = list(where), list(params)
        if before_ns is not None:
            page_where.append("traces.started_ns < ?")
            page_params.append(before_ns)
        rows = self._page(page_where, page_params, limit)
        if before_ns is None and len(rows) < limit:
            matched: int | None = len(rows)
        else:
            matched = self._count(where, params)
        return Found(traces=tuple(self._trace(body, said) for body, said, _ in rows), matched=matched)

    def usage(self, sha: str) -> Usage:
        """The days (UTC) on which an entry answered learners, and how many requests each, oldest first."""
        rows = self._database.read(
            "SELECT minute / 1440, SUM(n - errors) FROM minutes WHERE entry_sha = ? GROUP BY 1 ORDER BY 1", (sha,)
        )
        return [*starmap(_dated, rows)]

    @property
    def evidence(self) -> Evidence:
        """What the arms of an epoch did."""
        return Evidence(self._database)

    def minutes(self, since_ns: int) -> tuple[Minute, ...]:
        """The roll-up of each minute that began at ``since_ns`` or later, oldest first."""
        columns = ", ".join(MINUTE_COLUMNS)
        rows = self._database.read(
            f"SELECT {columns} FROM minutes WHERE minute >= ? ORDER BY minute, arm, entry_sha",  # noqa: S608
            (-(-since_ns // MINUTE_NS),),
        )
        return tuple(_minute(row) for row in rows)

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()

    def _page(self, where: Conditions, params: Conditions, limit: int) -> Rows:
        """The newest ``limit`` rows, and those that share the last one's nanosecond."""
        columns = f"SELECT {_BODY}, feedback.outcome, traces.started_ns, traces.request_id"
        order = "ORDER BY traces.started_ns DESC, traces.request_id"
        rows = self._database.read(f"{columns} {_JOINED} {_where(where)} {order} LIMIT ?", (*params, limit))
        if len(rows) == limit and rows:
            ties = f"{columns} {_JOINED} {_where([*where, 'traces.started_ns = ?', 'traces.request_id > ?'])} {order}"
            rows += self._database.read(ties, (*params, rows[-1][2], rows[-1][3]))
        return [row[:3] for row in rows]

    def _count(self, where: Conditions, params: Conditions) -> int | None:
        """How many traces match, or None beyond ``COUNTED``."""
        inner = f"SELECT 1 AS one {_JOINED} {_where(where)} LIMIT {COUNTED + 1}"
        rows = self._database.read(f"SELECT COUNT(*) FROM ({inner}) AS some", params)  # noqa: S608
        count = int(rows[0][0])
        return count if count <= COUNTED else None

    def _trace(self, body: str, outcome: str | None) -> Trace:
        try:
            trace = self._decode(body)
        except msgspec.MsgspecError as error:
            raise StorageError(
                "damaged", f"a trace cannot be read: {error}", "restore the trace store from a backup"
            ) from error
        return trace if outcome is None else msgspec.structs.replace(trace, feedback=outcome)


def _conditions(
    text: str | None,
    day: str | None,
    arm: str | None,
    outcome: str | None,
    sha: str | None,
    features: Mapping[str, str],
    is_correct: bool | None,
) -> tuple[Conditions, Conditions]:
    """The conditions of a WHERE clause, and the parameters they take."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if text is not None:
        import hashlib  # loads OpenSSL, which a look-up by id does without

        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        found.append(("(traces.text LIKE ? ESCAPE '!' OR traces.text_sha256 = ?)", (_part(searchable(text)), digest)))
    if day is not None:
        found.append(("traces.started_ns >= ? AND traces.started_ns < ?", _day_range(day)))
    if arm is not None:
        found.append(("traces.arm = ?", (arm,)))
    if outcome is not None:
        found.append(("feedback.outcome = ?", (outcome,)))
    if sha is not None:
        found.append(("traces.entry_sha = ?", (sha,)))
    found += [("traces.features LIKE ? ESCAPE '!'", (_part(f"|{feature_term(features, name)}|"),)) for name in features]
    if is_correct is not None:
        found.append(("traces.accepted = ?", (int(is_correct),)))
    return [condition for condition, _ in found], [_bindable(value) for _, values in found for value in values]


def _bindable(value: Any) -> Any:
    """A parameter a driver takes: an argument of a command may hold halves of surrogate pairs."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _where(conditions: Conditions) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _part(text: str) -> str:
    """A LIKE pattern for text that stands anywhere, whatever signs it holds."""
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text}%"


def _day_range(day: str) -> tuple[int, int]:
    """First nanosecond of a day (UTC), and of the next."""
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    first = (start - _EPOCH) // timedelta(microseconds=1) * 1000
    return first, first + _DAY_NS


def _dated(day: int, count: int) -> tuple[str, int]:
    return (_EPOCH + timedelta(days=day)).date().isoformat(), int(count)


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
