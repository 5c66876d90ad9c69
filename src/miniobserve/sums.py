"""Reads the sums by minute: what was made apart from the commits, and what was not made yet.

A minute that a commit touched since its sums were made is summed from its requests, within the same snapshot, so that
every request is counted once. This module never writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Any

import msgspec

from miniobserve.rollup import raw, spans
from miniobserve.schema import BOUNDS, MINUTE_COLUMNS, MINUTE_NS, MINUTE_SUMS, SUMS, UNITS, latency_quantile, within
from miniobserve.sql.protocol import Database, Transaction

Sums = tuple[int | float, ...]
"""``schema.UNIT_SUMS`` of one unit."""
_FLOATS = {"seconds", "cost"}
_MADE = (
    f"(SELECT {', '.join(MINUTE_COLUMNS)} FROM sums WHERE minute NOT IN (SELECT minute FROM touched)"  # noqa: S608
    f" UNION ALL SELECT {', '.join(MINUTE_COLUMNS)} FROM pruned_sums)"
)
_FIRST, _LAST = -(2**63) // MINUTE_NS, (2**63 - 1) // MINUTE_NS + 1


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


def minutes(database: Database, span: tuple[int, int]) -> tuple[Minute, ...]:
    """Return the sums of each minute ``span[0]`` ≤ m < ``span[1]``, arm and entry, oldest first."""
    sums = minute_sums(database, "minute, arm, entry_sha", SUMS, span)
    return tuple(_minute((*key, *values)) for key, values in sorted(sums.items()))


def minute_sums(
    database: Database,
    key: str,
    names: Sequence[str],
    minutes: tuple[int, int] = (_FIRST, _LAST),
    where: tuple[str, Sequence[Any]] = ("1 = 1", ()),
) -> dict[Any, list[Any]]:
    """Return key → sums, of the minutes ``minutes[0]`` ≤ m < ``minutes[1]``.

    Args:
        database: the store.
        key: SQL of one or more columns of ``MINUTE_COLUMNS``, such as ``minute / 1440``.
        names: the columns to sum.
        minutes: which minutes.
        where: a condition on those columns with its parameters.
    """
    width = key.count(",") + 1
    head = f"SELECT {key}, {', '.join(f'SUM({name})' for name in names)} FROM"
    tail = (
        f"AS made WHERE minute >= ? AND minute < ? AND {where[0]} GROUP BY {', '.join(map(str, range(1, width + 1)))}"
    )
    scope = (*minutes, *where[1])
    found: dict[Any, list[Any]] = {}
    with database.snapshot("requests") as tx:
        rows = tx.execute(f"{head} {_MADE} {tail}", scope)
        for span in spans(touched(tx, *minutes)):
            condition, values = within(*span)
            rows += tx.execute(f"{head} ({MINUTE_SUMS.format(within=condition)}) {tail}", (*values, *scope))
    for row in rows:
        name = row[0] if width == 1 else tuple(row[:width])
        sums = found.setdefault(name, [0] * len(names))
        for at, (column, amount) in enumerate(zip(names, row[width:], strict=True)):
            sums[at] += float(amount) if column in _FLOATS else int(amount)
    return found


def unit_sums(database: Database, epoch: int, kind: int, from_ns: int, before_ns: int) -> list[tuple[Any, ...]]:
    """Return rows of arm, unit and ``schema.UNIT_SUMS`` of an epoch's requests of a kind, live and within a time range.

    A unit may have several rows, whose sums are to be added up.
    """
    first, end = -(-from_ns // MINUTE_NS), before_ns // MINUTE_NS
    with database.snapshot("requests") as tx:
        # A minute that the range cuts is whole all the same where the epoch has no request in its other part.
        if not _has_any(tx, epoch, (first - 1) * MINUTE_NS, from_ns):
            first = from_ns // MINUTE_NS
        if not _has_any(tx, epoch, before_ns, (end + 1) * MINUTE_NS):
            end = -(-before_ns // MINUTE_NS)
        if first >= end:
            return _units_within(tx, epoch, kind, [(from_ns, before_ns)])
        # Units differ earlier in their names than in those of their arms, so that sorting them first is faster.
        rows = tx.execute(
            "SELECT arm, u, CAST(SUM(n) AS BIGINT), CAST(SUM(failed) AS BIGINT), SUM(seconds),"
            " CAST(SUM(graded) AS BIGINT), CAST(SUM(correct) AS BIGINT) FROM unit_sums"
            " WHERE epoch = ? AND kind = ? AND minute >= ? AND minute < ?"
            " AND minute NOT IN (SELECT minute FROM touched) GROUP BY u, arm",
            (epoch, kind, first, end),
        )
        rows += raw(tx, UNITS, touched(tx, first, end), (epoch, kind))
        rows += _units_within(tx, epoch, kind, [(from_ns, first * MINUTE_NS), (end * MINUTE_NS, before_ns)])
    return rows


def merged(
    rows: Iterable[tuple[Any, ...]], found: dict[tuple[str, str], Sums] | None = None
) -> dict[tuple[str, str], Sums]:
    """Add up rows of arm, unit and sums, to ``found`` if that is given."""
    found = {} if found is None else found
    for row in rows:
        key, sums = row[:2], row[2:]
        before = found.get(key)
        found[key] = sums if before is None else tuple(map(add, before, sums))
    return found


def touched(tx: Transaction, first: int, end: int) -> list[int]:
    """Return the minutes from the first to the end, without it, that no sum counts yet."""
    rows = tx.execute("SELECT DISTINCT minute FROM touched WHERE minute >= ? AND minute < ?", (first, end))
    return [int(row[0]) for row in rows]


def _has_any(tx: Transaction, epoch: int, since_ns: int, until_ns: int) -> bool:
    condition, values = within(since_ns, until_ns)
    return bool(tx.execute(f"SELECT 1 FROM requests WHERE epoch = ? AND {condition} LIMIT 1", (epoch, *values)))  # noqa: S608


def _units_within(tx: Transaction, epoch: int, kind: int, some: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for since, until in some:
        if since < until:
            condition, values = within(since, until)
            found += tx.execute(UNITS.format(within=condition), (epoch, kind, *values))
    return found


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
