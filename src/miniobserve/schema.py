"""The tables of the trace store, and how a trace becomes a row of each.

- ``bodies``: the canonical JSON of every trace, by request id.
- ``traces``: only the columns that searches use, so that a search reads a fifth of the bytes.
- ``feedback``: what a learner later said of an answer.
- ``minutes``: the roll-up per minute, arm and entry, for live charts.
- ``answers``: what arms are compared by; ``units`` is its roll-up per unit.
- ``testers``: how many requests testers sent, per epoch and arm; no other roll-up counts them.
- ``exported``: the request ids of pruned days, so that an id stays in use and can still receive feedback.

A further table, of the uptime of servers, is in ``uptime``. This module does not know when rows are written.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

from miniobserve.traces import Trace

MINUTE_NS = 60_000_000_000
BOUNDS: tuple[float, ...] = tuple(0.001 * 2.0**power for power in range(12))
"""Upper bounds of the latency histogram in seconds (1 ms to about 2 s); one more bucket holds longer latencies."""

NO_LEARNER = "~"
"""Starts the unit of a request without a learner in ``answers`` and ``units``, so that a query can tell it from one.
Rows that an older version wrote lack it and count as learners."""

_HISTOGRAM = tuple(f"h{index}" for index in range(len(BOUNDS) + 1))
_SUMS = ("n", "errors", "seconds", "priced", "cost", "input_tokens", "output_tokens", *_HISTOGRAM)
_SUM_TYPES = {"seconds": "DOUBLE PRECISION", "cost": "DOUBLE PRECISION"}

MINUTE_COLUMNS = ("minute", "arm", "entry_sha", *_SUMS)

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS traces (
        request_id TEXT PRIMARY KEY, started_ns BIGINT NOT NULL, arm TEXT NOT NULL, entry_sha TEXT NOT NULL,
        accepted INTEGER, text TEXT NOT NULL, text_sha256 TEXT, features TEXT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS bodies (request_id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS traces_started ON traces (started_ns)",
    "CREATE INDEX IF NOT EXISTS traces_entry ON traces (entry_sha, started_ns)",
    """CREATE TABLE IF NOT EXISTS feedback (
        request_id TEXT PRIMARY KEY, outcome TEXT NOT NULL, at_ns BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS feedback_outcome ON feedback (outcome, request_id)",
    f"""CREATE TABLE IF NOT EXISTS minutes (
        minute BIGINT NOT NULL, arm TEXT NOT NULL, entry_sha TEXT NOT NULL,
        {", ".join(f"{name} {_SUM_TYPES.get(name, 'BIGINT')} NOT NULL" for name in _SUMS)},
        PRIMARY KEY (minute, arm, entry_sha))""",
    """CREATE TABLE IF NOT EXISTS answers (
        request_id TEXT PRIMARY KEY, epoch BIGINT NOT NULL, started_ns BIGINT NOT NULL, arm TEXT NOT NULL,
        u TEXT NOT NULL, failed INTEGER NOT NULL, graded INTEGER, seconds DOUBLE PRECISION NOT NULL,
        slot INTEGER NOT NULL, shadow_of TEXT)""",
    "CREATE INDEX IF NOT EXISTS answers_epoch ON answers (epoch, started_ns)",
    """CREATE TABLE IF NOT EXISTS units (
        epoch BIGINT NOT NULL, copies INTEGER NOT NULL, arm TEXT NOT NULL, u TEXT NOT NULL, n BIGINT NOT NULL,
        failed BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL, graded BIGINT NOT NULL, correct BIGINT NOT NULL,
        PRIMARY KEY (epoch, copies, arm, u))""",
    """CREATE TABLE IF NOT EXISTS testers (
        epoch BIGINT NOT NULL, arm TEXT NOT NULL, tester TEXT NOT NULL, n BIGINT NOT NULL,
        PRIMARY KEY (epoch, arm, tester))""",
    "CREATE TABLE IF NOT EXISTS exported (request_id TEXT PRIMARY KEY, day TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

INSERT_TRACE = (
    "INSERT INTO traces (request_id, started_ns, arm, entry_sha, accepted, text, text_sha256, features)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_TRACE = "SELECT request_id, started_ns, arm, entry_sha, accepted, text, text_sha256, features FROM traces"
INSERT_BODY = "INSERT INTO bodies (request_id, body) VALUES (?, ?)"
INSERT_ANSWER = (
    "INSERT INTO answers (request_id, epoch, started_ns, arm, u, failed, graded, seconds, slot, shadow_of)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
UPSERT_FEEDBACK = (
    "INSERT INTO feedback (request_id, outcome, at_ns) VALUES (?, ?, ?)"
    " ON CONFLICT (request_id) DO UPDATE SET outcome = excluded.outcome, at_ns = excluded.at_ns"
)
UPSERT_MINUTE = (
    f"INSERT INTO minutes ({', '.join(MINUTE_COLUMNS)})"  # noqa: S608 -- names from this module
    f" VALUES ({', '.join('?' for _ in MINUTE_COLUMNS)}) ON CONFLICT (minute, arm, entry_sha) DO UPDATE SET "
    + ", ".join(f"{name} = minutes.{name} + excluded.{name}" for name in _SUMS)
)
UPSERT_UNIT = (
    "INSERT INTO units (epoch, copies, arm, u, n, failed, seconds, graded, correct) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (epoch, copies, arm, u) DO UPDATE SET "
    "n = units.n + excluded.n, failed = units.failed + excluded.failed, seconds = units.seconds + excluded.seconds,"
    " graded = units.graded + excluded.graded, correct = units.correct + excluded.correct"
)
UPSERT_TESTER = (
    "INSERT INTO testers (epoch, arm, tester, n) VALUES (?, ?, ?, 1)"
    " ON CONFLICT (epoch, arm, tester) DO UPDATE SET n = testers.n + excluded.n"
)
INSERT_EXPORTED = "INSERT INTO exported (request_id, day) VALUES (?, ?) ON CONFLICT (request_id) DO NOTHING"
UPSERT_STORE = "INSERT INTO store (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

TraceRow = tuple[str, int, str, str, int | None, str, str | None, str]
BodyRow = tuple[str, str]
AnswerRow = tuple[str, int, int, str, str, int, int | None, float, int, str | None]
UnitRow = tuple[int | float | str, ...]
MinuteRow = tuple[int | float | str, ...]
TesterRow = tuple[int, str, str]


def trace_row(trace: Trace) -> TraceRow:
    """Return the row of ``traces`` for a trace: the columns searches use."""
    return (
        trace.request_id,
        trace.started_ns,
        trace.assignment.arm,
        trace.entry_sha,
        None if trace.is_correct is None else int(trace.is_correct),
        searchable(f"{trace.sentence or ''}\n{trace.correction or ''}"),
        trace.sentence_sha256,
        "|" + "".join(f"{feature_term(trace.features, name)}|" for name in sorted(trace.features)),
    )


def body_row(trace: Trace) -> BodyRow:
    """Return the row of ``bodies`` for a trace, without its feedback, which has its own table."""
    kept = trace if trace.feedback is None else msgspec.structs.replace(trace, feedback=None)
    return trace.request_id, msgspec.json.encode(kept).decode()


def answer_row(trace: Trace) -> AnswerRow:
    """Return the row of ``answers`` for a trace."""
    given = trace.assignment
    return (
        trace.request_id,
        given.epoch,
        trace.started_ns,
        given.arm,
        given.u if given.sticky else f"{NO_LEARNER}{given.u}",
        int(trace.status >= 500),
        None if trace.graded is None else int(trace.graded),
        trace.seconds,
        latency_slot(trace.seconds),
        trace.shadow_of,
    )


def tester_rows(traces: Iterable[Trace]) -> list[TesterRow]:
    """Return what testers' traces add to ``testers``: one row each, sorted as in ``minute_rows``."""
    given = [trace.assignment for trace in traces]
    return sorted((each.epoch, each.arm, each.tester) for each in given if each.tester is not None)


def unit_rows(answers: Iterable[AnswerRow]) -> list[UnitRow]:
    """Return what answers add to ``units``: one row per epoch, arm and unit, with shadow copies in separate rows.

    Seconds are those of answered requests: a model that fails at once is not a fast model.
    """
    groups: dict[tuple[int, int, str, str], list[int | float]] = {}
    for _, epoch, _, arm, u, failed, graded, seconds, _, shadow_of in answers:
        sums = groups.setdefault((epoch, int(shadow_of is not None), arm, u), [0, 0, 0.0, 0, 0])
        for index, amount in enumerate((1, failed, 0.0 if failed else seconds, int(graded is not None), graded or 0)):
            sums[index] += amount
    return [(*key, *groups[key]) for key in sorted(groups)]


def searchable(text: str) -> str:
    """Normalise text for searching: lower case, and without NUL, which PostgreSQL does not allow in text."""
    return text.lower().replace("\0", "")


def feature_term(features: Mapping[str, str], name: str) -> str:
    """Return ``name=value`` as the features column stores it; ``|`` separates terms there, so it is replaced."""
    return searchable(f"{name}={features[name]}".replace("|", "/"))


def minute_rows(traces: Iterable[Trace]) -> list[MinuteRow]:
    """Return what traces add to ``minutes``: one row per minute, arm and entry, sorted.

    Sorted, because two servers that update the same rows in different orders would deadlock.
    """
    groups: dict[tuple[int, str, str], list[int | float]] = {}
    for trace in traces:
        key = (trace.started_ns // MINUTE_NS, trace.assignment.arm, trace.entry_sha)
        sums = groups.setdefault(key, [0] * len(_SUMS))
        amounts = (
            1,
            int(trace.status >= 500),
            trace.seconds,
            int(trace.cost is not None),
            trace.cost or 0.0,
            trace.input_tokens,
            trace.output_tokens,
        )
        for index, amount in enumerate(amounts):
            sums[index] += amount
        sums[len(amounts) + latency_bucket(trace.seconds)] += 1
    return [(*key, *sums) for key, sums in sorted(groups.items())]


def latency_bucket(seconds: float) -> int:
    """Return the index of the histogram bucket of a latency."""
    return bisect_left(BOUNDS, seconds)


def latency_slot(seconds: float) -> int:
    """Return the fine histogram slot of a latency: sixteen slots per doubling, each 4.4 % wide."""
    return round(16 * math.log2(max(seconds, 1e-6)))


def slot_seconds(slot: int) -> float:
    """Return the latency in the (geometric) middle of a slot."""
    return float(2.0 ** (slot / 16))


def latency_quantile(counts: Iterable[int], share: float) -> float | None:
    """Return the ``share`` quantile of latencies counted per bucket, as the upper bound of its bucket in seconds.

    None without requests; infinity if it lies beyond the last bound.
    """
    buckets = tuple(counts)
    rank, seen = share * sum(buckets), 0
    bounds: tuple[float, ...] = (*BOUNDS, float("inf"))
    for bound, count in zip(bounds, buckets, strict=True):
        seen += count
        if count and seen >= rank:
            return bound
    return None
