"""The tables of the trace store, and the sums that are made from them.

- ``requests``: one row a request, never changed; see ``rows``. PostgreSQL has a partition for each day.
- ``feedback``: what counts of what was later said of an answer, with the columns of its request that figures are
  grouped by; ``feedback_history``: everything that was said, in the order in which it was. See ``labels``.
- ``touched``: the minutes that a commit added requests to and that no sum counts yet.
- ``sums`` by minute, arm and entry, and ``unit_sums`` by minute, epoch and unit: made from ``requests`` apart from the
  commits, and replaced whole, so that they are exact whenever that was cut short. A minute in ``touched`` is read from
  ``requests`` instead.
- ``pruned``: days of which requests left the store; ``pruned_sums``: the sums by minute of those requests.
- ``taken``: request ids that no other place shows to be in use.

A further table, of the uptime of servers, is in ``uptime``. This module does not know when rows are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from miniobserve.sql.protocol import Database, StorageError
from miniobserve.traces import GONE

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
BOUNDS: tuple[float, ...] = tuple(0.001 * 2.0**power for power in range(12))
"""Upper bounds of the latency histogram in seconds (1 ms to about 2 s); one more bucket holds longer latencies."""

NO_LEARNER = "~"
"""Starts the unit of a request without a learner in sums, so that a query can tell it from a learner."""

COLUMNS: tuple[tuple[str, str], ...] = (
    ("request_id", "TEXT"), ("day", "BIGINT"), ("trace_id", "TEXT"), ("started_ns", "BIGINT"), ("epoch", "BIGINT"),
    ("arm", "TEXT"), ("u", "TEXT"), ("sticky", "INTEGER"), ("tester", "TEXT"), ("unit_hash", "TEXT"),
    ("entry_sha", "TEXT"), ("status", "BIGINT"), ("in_scope", "INTEGER"), ("accepted", "INTEGER"),
    ("graded", "INTEGER"), ("seconds", "DOUBLE PRECISION"), ("slot", "INTEGER"), ("input_tokens", "BIGINT"),
    ("output_tokens", "BIGINT"), ("cost", "DOUBLE PRECISION"), ("currency", "TEXT"),
    ("rate_per_hour", "DOUBLE PRECISION"), ("price_version", "TEXT"), ("priced_by", "TEXT"),
    ("input_price", "DOUBLE PRECISION"), ("output_price", "DOUBLE PRECISION"), ("shadow_of", "TEXT"),
    ("retry_of", "TEXT"), ("source", "TEXT"), ("text", "TEXT"), ("text_sha256", "TEXT"), ("features", "TEXT"),
    ("stages", "TEXT"), ("drift_values", "TEXT"), ("values_by", "TEXT"), ("rest", "TEXT"),
)  # fmt: skip
"""Name and SQL type of the columns of ``requests``, in the order of a row."""
OF_TRACE = "substr(trace_id, 1, 8)"
"""What an index holds of trace ids."""
NAMES = tuple(name for name, _ in COLUMNS)
_EMPTY = {
    "tester", "unit_hash", "accepted", "graded", "cost", "rate_per_hour", "input_price", "output_price", "shadow_of",
    "retry_of", "text_sha256", "stages", "drift_values",
}  # fmt: skip
"""Columns that may be NULL."""

_HISTOGRAM = tuple(f"h{index}" for index in range(len(BOUNDS) + 1))
SUMS = ("n", "errors", "seconds", "priced", "cost", "input_tokens", "output_tokens", *_HISTOGRAM)
_DOUBLE = {"seconds", "cost"}
MINUTE_COLUMNS = ("minute", "arm", "entry_sha", *SUMS)
UNIT_SUMS = ("n", "failed", "seconds", "graded", "correct")
UNIT_COLUMNS = ("epoch", "minute", "kind", "arm", "u", *UNIT_SUMS)
LEARNERS, COPIES, TESTERS = 0, 1, 2
"""The kinds of rows in ``unit_sums``: requests of users, their shadow copies, and requests of testers."""
FEEDBACK_COLUMNS = (
    "request_id", "outcome", "at_ns", "day", "started_ns", "epoch", "arm", "u", "counted", "shadow_of",
    "entry_sha",
)  # fmt: skip
SAID: tuple[tuple[str, str], ...] = (
    ("label", "TEXT"), ("score", "DOUBLE PRECISION"), ("said_text", "TEXT"), ("graded", "INTEGER"), ("own", "INTEGER"),
    ("accepted", "INTEGER"), ("said_by", "TEXT"),
)  # fmt: skip
"""Further columns of ``feedback`` with their types. ``graded`` is the grade by what was said, ``own`` and ``accepted``
are those of the trace, so that figures add the difference without reading it."""
HISTORY: tuple[tuple[str, str], ...] = (
    ("request_id", "TEXT"), ("at_ns", "BIGINT"), ("said_by", "TEXT"), ("taken_back", "INTEGER"), ("outcome", "TEXT"),
    ("label", "TEXT"), ("score", "DOUBLE PRECISION"), ("said_text", "TEXT"), ("graded", "INTEGER"),
)  # fmt: skip
"""The columns of ``feedback_history``: what was said each time, and how the answer was graded from then on."""


def _typed(name: str) -> str:
    return f"{name} {'DOUBLE PRECISION' if name in _DOUBLE else 'BIGINT'} NOT NULL"


def _minutes_table(table: str) -> str:
    return f"""CREATE TABLE IF NOT EXISTS {table} (
        minute BIGINT NOT NULL, arm TEXT NOT NULL, entry_sha TEXT NOT NULL, {", ".join(map(_typed, SUMS))},
        PRIMARY KEY (minute, arm, entry_sha))"""


def schema(database: Database) -> tuple[str, ...]:
    """Return the statements that create the tables; they may be run repeatedly."""
    columns = ", ".join(f"{name} {kind}{'' if name in _EMPTY else ' NOT NULL'}" for name, kind in COLUMNS)
    serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" if database.partitioned else "INTEGER PRIMARY KEY"
    return (
        # On PostgreSQL a unique key must hold the partition's column; ids are looked up without it, so it comes last.
        f"CREATE TABLE IF NOT EXISTS requests ({columns}, PRIMARY KEY (request_id, day)){database.partition_by('day')}",
        "CREATE INDEX IF NOT EXISTS requests_started ON requests (started_ns)",
        "CREATE INDEX IF NOT EXISTS requests_epoch ON requests (epoch, started_ns)",
        # Trace ids are random. Their first digits, day by day, make an index of which a commit touches few pages.
        f"CREATE INDEX IF NOT EXISTS requests_trace ON requests ({'' if database.partitioned else 'day, '}{OF_TRACE})",
        f"CREATE TABLE IF NOT EXISTS touched (id {serial}, minute BIGINT NOT NULL)",
        _minutes_table("sums"),
        _minutes_table("pruned_sums"),
        f"""CREATE TABLE IF NOT EXISTS unit_sums (
            epoch BIGINT NOT NULL, minute BIGINT NOT NULL, kind INTEGER NOT NULL, arm TEXT NOT NULL, u TEXT NOT NULL,
            {", ".join(map(_typed, UNIT_SUMS))}, PRIMARY KEY (epoch, minute, kind, arm, u))""",
        "CREATE INDEX IF NOT EXISTS unit_sums_minute ON unit_sums (minute)",
        """CREATE TABLE IF NOT EXISTS pruned (
            day BIGINT PRIMARY KEY, first_epoch BIGINT NOT NULL, last_epoch BIGINT NOT NULL)""",
        "CREATE TABLE IF NOT EXISTS taken (request_id TEXT PRIMARY KEY, day BIGINT NOT NULL)",
        f"""CREATE TABLE IF NOT EXISTS feedback (
            request_id TEXT PRIMARY KEY, outcome TEXT NOT NULL, at_ns BIGINT NOT NULL,
            day BIGINT NOT NULL, started_ns BIGINT NOT NULL, epoch BIGINT NOT NULL, arm TEXT NOT NULL, u TEXT NOT NULL,
            counted INTEGER NOT NULL, shadow_of TEXT, entry_sha TEXT NOT NULL, {", ".join(map(" ".join, SAID))})""",
        # Few answers may be labelled, and which days have any is asked by every report.
        "CREATE INDEX IF NOT EXISTS feedback_graded ON feedback (day) WHERE graded IS NOT NULL",
        f"""CREATE TABLE IF NOT EXISTS feedback_history (
            id {serial}, {", ".join(map(" ".join, HISTORY))})""",
        "CREATE INDEX IF NOT EXISTS feedback_history_request ON feedback_history (request_id)",
        "CREATE INDEX IF NOT EXISTS requests_shadow ON requests (shadow_of) WHERE shadow_of IS NOT NULL",
        "CREATE INDEX IF NOT EXISTS requests_tester ON requests (epoch) WHERE tester IS NOT NULL",
        "CREATE INDEX IF NOT EXISTS feedback_epoch ON feedback (epoch, started_ns)",
        "CREATE INDEX IF NOT EXISTS feedback_outcome ON feedback (outcome, started_ns)",
        "CREATE INDEX IF NOT EXISTS feedback_day ON feedback (day, at_ns)",
        "CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    )


UPSERT_FEEDBACK = (
    f"INSERT INTO feedback ({', '.join(FEEDBACK_COLUMNS)}) VALUES ({', '.join('?' for _ in FEEDBACK_COLUMNS)})"  # noqa: S608
    " ON CONFLICT (request_id) DO UPDATE SET outcome = excluded.outcome, at_ns = excluded.at_ns"
)
UPSERT_STORE = "INSERT INTO store (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
INSERT_TAKEN = "INSERT INTO taken (request_id, day) VALUES (?, ?) ON CONFLICT (request_id) DO NOTHING"
UPSERT_PRUNED = (
    "INSERT INTO pruned (day, first_epoch, last_epoch) VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
    " first_epoch = CASE WHEN excluded.first_epoch < pruned.first_epoch THEN excluded.first_epoch"
    " ELSE pruned.first_epoch END,"
    " last_epoch = CASE WHEN excluded.last_epoch > pruned.last_epoch THEN excluded.last_epoch"
    " ELSE pruned.last_epoch END"
)
ADD_PRUNED_SUMS = (
    f"INSERT INTO pruned_sums ({', '.join(MINUTE_COLUMNS)})"  # noqa: S608 -- names from this module
    f" VALUES ({', '.join('?' for _ in MINUTE_COLUMNS)}) ON CONFLICT (minute, arm, entry_sha) DO UPDATE SET "
    + ", ".join(f"{name} = pruned_sums.{name} + excluded.{name}" for name in SUMS)
)

IS_EVIDENCE = f"tester IS NULL AND status <> {GONE}"
"""The condition that a request may enter figures about models and arms: ``Trace.is_evidence`` in SQL."""
IS_LIVE = "source <> 'replay'"
"""The condition that a request has the time at which it was answered, and not a simulated one."""
UNIT = f"CASE WHEN sticky = 1 THEN u ELSE '{NO_LEARNER}' || u END"
MINUTE = f"CASE WHEN started_ns >= 0 THEN started_ns / {MINUTE_NS} ELSE -((-(started_ns + 1)) / {MINUTE_NS}) - 1 END"
"""The minute of a request, rounded towards the past as in Python; SQL rounds towards zero."""

_BETWEEN = [f"seconds > {low!r}" for low in BOUNDS], [f"seconds <= {high!r}" for high in BOUNDS]
_BUCKETS = [" AND ".join(pair) for pair in zip(("1 = 1", *_BETWEEN[0]), (*_BETWEEN[1], "1 = 1"), strict=True)]
MINUTE_SUMS = (
    f"SELECT {MINUTE} AS minute, arm, entry_sha, COUNT(*) AS n,"  # noqa: S608 -- constants
    " SUM(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors, SUM(seconds) AS seconds, COUNT(cost) AS priced,"
    " COALESCE(SUM(cost), 0.0) AS cost, CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,"
    " CAST(SUM(output_tokens) AS BIGINT) AS output_tokens, "
    + ", ".join(f"SUM(CASE WHEN {bucket} THEN 1 ELSE 0 END) AS h{number}" for number, bucket in enumerate(_BUCKETS))
    + f" FROM requests WHERE {IS_EVIDENCE} AND shadow_of IS NULL AND {{within}} GROUP BY 1, 2, 3"
)
"""The sums of ``MINUTE_COLUMNS`` of the requests ``within`` a condition."""
_UNIT_AMOUNTS = (
    "COUNT(*), SUM(CASE WHEN status >= 500 THEN 1 ELSE 0 END), SUM(CASE WHEN status < 500 THEN seconds ELSE 0.0 END),"
    " COUNT(graded), COALESCE(SUM(graded), 0)"
)
"""Seconds are those of answered requests: a model that fails at once is not a fast model."""
KIND = f"CASE WHEN tester IS NOT NULL THEN {TESTERS} WHEN shadow_of IS NOT NULL THEN {COPIES} ELSE {LEARNERS} END"
UNIT_MINUTES = (
    f"SELECT epoch, {MINUTE}, {KIND}, arm, {UNIT}, {_UNIT_AMOUNTS}"  # noqa: S608 -- constants
    f" FROM requests WHERE (tester IS NOT NULL OR status <> {GONE}) AND {{within}}"
    " GROUP BY 1, 2, 3, 4, 5"
)
"""The rows of ``unit_sums`` of the requests ``within`` a condition."""
UNITS = (
    f"SELECT arm, {UNIT}, {_UNIT_AMOUNTS} FROM requests"  # noqa: S608 -- constants
    f" WHERE epoch = ? AND {KIND} = ? AND (tester IS NOT NULL OR status <> {GONE}) AND {{within}} GROUP BY 1, 2"
)


def within(since_ns: int, until_ns: int, table: str = "") -> tuple[str, list[int]]:
    """Return the condition that a request started within a span, and its parameters.

    It also names the days, so that PostgreSQL reads only their partitions.
    """
    since, until = storable(since_ns), storable(until_ns)
    dot = f"{table}." if table else ""
    names = f"{dot}day >= ? AND {dot}day <= ? AND {dot}started_ns >= ? AND {dot}started_ns < ?"
    return names, [since // DAY_NS, until // DAY_NS, since, until]


def started(since_ns: int, until_ns: int, *, partitioned: bool) -> tuple[str, list[int]]:
    """Return the condition of ``within`` for a query that reads nothing but start times.

    SQLite has no partitions, and answers it from the index of start times alone if it names no day.
    """
    if partitioned:
        return within(since_ns, until_ns)
    return "started_ns >= ? AND started_ns < ?", [storable(since_ns), storable(until_ns)]


def storable(ns: int) -> int:
    """Return the nearest time that a database can hold, which is one of 64 bits."""
    return max(-(2**63), min(ns, 2**63 - 1))


OLD = "this trace store is one of an earlier version"
MIGRATE = "stop its servers, take a backup (`spine backup`), then run `spine migrate`"


def refuse_old(database: Database) -> None:
    """Refuse a store of an earlier version.

    Raises:
        StorageError: kind ``unavailable`` if it is one; its hint names ``spine migrate``.
    """
    if is_old(database):
        raise StorageError("unavailable", OLD, MIGRATE)


def is_old(database: Database) -> bool:
    """Whether a store has tables of an earlier version, which ``migrate`` has not taken over completely."""
    return has_table(database, "bodies")


def has_table(database: Database, name: str) -> bool:
    """Whether a table exists."""
    query = "SELECT to_regclass(?) IS NOT NULL" if database.partitioned else (
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
    )  # fmt: skip
    return bool(database.read(query, (name,))[0][0])


def has_column(database: Database, table: str, name: str) -> bool:
    """Whether a table has a column."""
    query = (
        "SELECT COUNT(*) FROM pg_attribute WHERE attrelid = to_regclass(?) AND attname = ? AND NOT attisdropped"
        if database.partitioned
        else "SELECT COUNT(*) FROM pragma_table_info(?) WHERE name = ?"
    )
    return bool(database.read(query, (table, name))[0][0])


def searchable(text: str) -> str:
    """Normalise text for searching: lower case, and without NUL, which PostgreSQL does not allow in text."""
    return text.lower().replace("\0", "")


def feature_term(features: Mapping[str, str], name: str) -> str:
    """Return ``name=value`` as the features column stores it; ``|`` separates terms there, so it is replaced."""
    return searchable(f"{name}={features[name]}".replace("|", "/"))


def feature_terms(features: Mapping[str, str]) -> str:
    """Return all features as the column stores them: ``|name=value|…|``, sorted by name."""
    return "|" + "".join(f"{feature_term(features, name)}|" for name in sorted(features))


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
