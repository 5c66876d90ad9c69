"""Statistics of the arms of one epoch: sums per unit, feedback, latencies, and pairs of live and shadow answers.

Each adds what the live store holds to what the files of pruned days hold; feedback stays in the live store. Shadow
copies (rows with ``shadow_of``) never count as learners' answers.
This module draws no conclusions from the numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from miniobserve.archive import Archive
from miniobserve.closed_days import ClosedDays
from miniobserve.hour_sums import LATENCY_SLOT, HourSums
from miniobserve.labelled import any_labels, grades_of, unit_changes
from miniobserve.schema import COPIES, IS_EVIDENCE, IS_LIVE, LEARNERS, NO_LEARNER, UNIT, slot_seconds, within
from miniobserve.slices import Slices
from miniobserve.sql.protocol import Database, Params
from miniobserve.sums import merged, unit_sums
from miniobserve.traces import GONE

_GRADE = "COALESCE({0}_said.graded, {0}.graded)"
EVER = 2**63 - 1
"""A time later than every possible one, UTC ns."""


class Unit(NamedTuple):
    """Sums of one unit (a learner, or a request without one) on one arm."""

    arm: str
    u: str
    n: int
    failed: int
    seconds: float
    """Sum of the latencies of its answered requests; a failure says nothing about how fast the model is."""
    graded: int
    right: int

    @property
    def is_learner(self) -> bool:
        """Whether the unit is a learner, or any key that a caller sent, and not a request without one."""
        return not self.u.startswith(NO_LEARNER)

    @property
    def answered(self) -> int:
        """How many of its requests were answered."""
        return self.n - self.failed


class Said(NamedTuple):
    """The number of times a unit gave one kind of feedback on an arm's answers."""

    arm: str
    u: str
    outcome: str
    n: int


class Stray(NamedTuple):
    """The requests of an epoch that claim to have started after the reader's present, or before the epoch."""

    n: int
    request_id: str
    """The one that is furthest away."""
    started_ns: int


class Pair(NamedTuple):
    """The number of a unit's requests with the same features and the same grades of the live and shadow answers."""

    u: str
    features: str
    """``|name=value|…|``, sorted by name."""
    live: bool
    shadow: bool
    n: int


class Evidence:
    """Queries over one trace store and the days exported from it."""

    def __init__(self, database: Database, archive: Archive | None, slices: Slices) -> None:
        self._database = database
        self._live = HourSums(database, slices)
        self._closed = ClosedDays(database, archive)

    def _read(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        return self._database.read(sql, params)

    @property
    def has_labels(self) -> bool:
        """Whether anything that was ever said of an answer graded it, so that further grades may still come."""
        return any_labels(self._database)

    def span(self, epoch: int, before_ns: int = EVER, from_ns: int = 0, *, spare: int = 0) -> tuple[int, int] | None:
        """Return when the first and the last request of an epoch within a time range started, UTC ns.

        None where no request started in the range, which is ``from_ns`` up to, but not including, ``before_ns``. With
        ``spare``, so many requests at each end do not count; None where there are no others.
        """
        condition, params = within(from_ns, before_ns)
        ends = []
        for order in ("ASC", "DESC"):
            tail = f"ORDER BY started_ns {order} LIMIT {spare + 1}"
            live = self._read(
                f"SELECT started_ns FROM requests WHERE epoch = ? AND {condition} AND {IS_EVIDENCE} {tail}",  # noqa: S608
                (epoch, *params),
            )
            closed = self._closed.read("started_ns", epoch, from_ns, before_ns, tail=tail)
            times = sorted((int(row[0]) for row in (*live, *closed)), reverse=order == "DESC")
            ends += times[spare : spare + 1]
        return (ends[0], ends[1]) if len(ends) == 2 and ends[0] <= ends[1] else None

    def first_live(self, epoch: int, before_ns: int = EVER, from_ns: int = 0) -> int | None:
        """Return when the first request of an epoch within a time range started that was not replayed, UTC ns.

        None where there is none. A server gave such a request its own time; a replayed one may claim any.
        """
        condition, params = within(from_ns, before_ns)
        where, tail = f"{IS_EVIDENCE} AND {IS_LIVE}", "ORDER BY started_ns LIMIT 1"
        rows = self._read(
            f"SELECT started_ns FROM requests WHERE epoch = ? AND {condition} AND {where} {tail}",  # noqa: S608
            (epoch, *params),
        )
        rows += self._closed.read("started_ns", epoch, from_ns, before_ns, where, tail)
        return min((int(row[0]) for row in rows), default=None)

    def last(self, epoch: int, before_ns: int = EVER) -> tuple[str, int] | None:
        """Return the id and the start, UTC ns, of the newest request of an epoch before a time; None if there is none.

        A shadow copy counts: it starts with the request that it is a copy of.
        """
        condition, params = within(-(2**63), before_ns)
        tail = "ORDER BY started_ns DESC LIMIT 1"
        rows = self._read(
            f"SELECT request_id, started_ns FROM requests WHERE epoch = ? AND {condition} AND {IS_EVIDENCE} {tail}",  # noqa: S608
            (epoch, *params),
        )
        since = int(rows[0][1]) if rows else -(2**63)
        rows += self._closed.read("request_id, started_ns", epoch, since, before_ns, tail=tail)
        found = max(rows, key=lambda row: row[1], default=None)
        return None if found is None else (str(found[0]), int(found[1]))

    def windows(self, epoch: int, from_ns: int, before_ns: int, width_ns: int) -> int:
        """Return the number of windows of a length, in a time range, in which a request of an epoch started.

        Replayed requests do not count: their times are simulated.
        """
        condition, params = within(from_ns, before_ns)
        where = f"{IS_EVIDENCE} AND {IS_LIVE}"
        window = f"(started_ns - {from_ns}) {{}} {width_ns}"
        rows = self._read(
            f"SELECT DISTINCT {window.format('/')} FROM requests WHERE epoch = ? AND {condition} AND {where}",  # noqa: S608
            (epoch, *params),
        )
        rows += self._closed.read(f"DISTINCT {window.format('//')}", epoch, from_ns, before_ns, where)
        return len({int(row[0]) for row in rows})

    def busy(self, from_ns: int, before_ns: int, least: int) -> bool:
        """Whether at least so many requests, of whatever epoch and not replayed, started within a time range."""
        condition, params = within(from_ns, before_ns)
        query = f"SELECT 1 FROM requests WHERE {condition} AND {IS_LIVE} LIMIT ?"  # noqa: S608
        return len(self._database.read(query, (*params, least))) >= least

    def ahead(self, epoch: int, from_ns: int) -> Stray | None:
        """Return the learners' requests of an epoch that started at a time or later; None where there are none."""
        return self._strays(epoch, from_ns, EVER, "DESC")

    def behind(self, epoch: int, before_ns: int) -> Stray | None:
        """Return the learners' requests of an epoch that started before a time; None where there are none."""
        return self._strays(epoch, -(2**63), before_ns, "ASC")

    def _strays(self, epoch: int, since_ns: int, until_ns: int, order: str) -> Stray | None:
        condition, params = within(since_ns, until_ns)
        users = f"{IS_EVIDENCE} AND shadow_of IS NULL"
        (count,) = self._read(
            f"SELECT COUNT(*) FROM requests WHERE epoch = ? AND {condition} AND {users}",  # noqa: S608
            (epoch, *params),
        )[0]
        last = f"ORDER BY started_ns {order} LIMIT 1"
        rows = self._read(
            f"SELECT request_id, started_ns FROM requests WHERE epoch = ? AND {condition} AND {users} {last}",  # noqa: S608
            (epoch, *params),
        )
        rows += self._closed.read("request_id, started_ns", epoch, since_ns, until_ns, users, last)
        for (more,) in self._closed.read("COUNT(*)", epoch, since_ns, until_ns, users):
            count += more
        if not rows:
            return None
        furthest = max(rows, key=lambda row: row[1]) if order == "DESC" else min(rows, key=lambda row: row[1])
        return Stray(int(count), str(furthest[0]), int(furthest[1]))

    def units(
        self, epoch: int, before_ns: int = EVER, from_ns: int = 0, *, copies: bool = False, from_files: bool = False
    ) -> list[Unit]:
        """Return the sums per arm and unit of the requests within a time range, or of their shadow copies.

        With ``from_files``, whole hours are read from the Parquet files that reports made of them, where there are any.
        That is faster, but those files are only a cache: what decides on traffic reads the store.
        """
        # Read first: of every label that is read here, the request is among the sums.
        labels = unit_changes(self._database, epoch, from_ns, before_ns, copies=copies)
        kind = COPIES if copies else LEARNERS
        if from_files:
            found = self._live.units(epoch, kind, from_ns, before_ns)
        else:
            found = merged(unit_sums(self._database, epoch, kind, from_ns, before_ns))
        shadow = "shadow_of IS NOT NULL" if copies else "shadow_of IS NULL"
        closed = self._closed.read(
            "arm, u, COUNT(*), SUM(CASE WHEN status >= 500 THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN status < 500 THEN seconds ELSE 0 END), COUNT(graded), COALESCE(SUM(graded), 0)",
            epoch, from_ns, before_ns, f"{IS_EVIDENCE} AND {shadow}", "GROUP BY arm, u",
        )  # fmt: skip
        found = merged(closed, found)
        found = merged(((arm, u, 0, 0, 0.0, *more) for arm, u, *more in labels if (arm, u) in found), found)
        return [Unit._make(key + sums) for key, sums in found.items()]

    def testers(self, epoch: int) -> int:
        """Return how many requests testers sent in an epoch."""
        rows = self._read("SELECT COUNT(*) FROM requests WHERE epoch = ? AND tester IS NOT NULL", (epoch,))
        rows += self._closed.read("COUNT(*)", epoch, -(2**63), EVER, "tester IS NOT NULL")
        return sum(int(row[0]) for row in rows)

    def said(self, epoch: int, before_ns: int = EVER, from_ns: int = 0) -> list[Said]:
        """Return the feedback per arm, unit and outcome on requests that started within a time range."""
        rows = self._read(
            "SELECT arm, u, outcome, COUNT(*) FROM feedback WHERE epoch = ? AND started_ns < ? AND started_ns >= ?"
            " AND shadow_of IS NULL AND counted = 1 AND outcome <> '' GROUP BY arm, u, outcome",
            (epoch, before_ns, from_ns),
        )
        return [Said(row[0], row[1], row[2], int(row[3])) for row in rows]

    def latencies(
        self, epoch: int, before_ns: int = EVER, from_ns: int = -(2**63)
    ) -> dict[str, list[tuple[float, int]]]:
        """Return arm → sorted (seconds, count) of answered requests in a time range; seconds are accurate to 2.2 %."""
        counts = self._live.latencies(epoch, from_ns, before_ns)
        closed = self._closed.read(
            f"arm, {LATENCY_SLOT}, COUNT(*)", epoch, from_ns, before_ns, f"{IS_EVIDENCE} AND status < 500",
            "GROUP BY 1, 2",
        )  # fmt: skip
        for arm, slot, count in closed:
            counts[arm, slot] += count
        found: dict[str, list[tuple[float, int]]] = {}
        for (arm, slot), count in sorted(counts.items()):
            found.setdefault(arm, []).append((slot_seconds(slot), count))
        return found

    def pairs(self, epoch: int, before_ns: int = EVER) -> list[Pair]:
        """Return the pairs of live and shadow answers, both graded, whose copies started before a time."""
        condition, params = within(-(2**63), before_ns, "copy")
        rows = self._read(
            f"SELECT CASE WHEN live.sticky = 1 THEN live.u ELSE '{NO_LEARNER}' || live.u END, live.features,"  # noqa: S608
            f" {_GRADE.format('live')}, {_GRADE.format('copy')}, COUNT(*) FROM requests copy"
            " JOIN requests live ON live.request_id = copy.shadow_of"
            " LEFT JOIN feedback live_said ON live_said.request_id = live.request_id"
            " LEFT JOIN feedback copy_said ON copy_said.request_id = copy.request_id"
            f" WHERE copy.epoch = ? AND {condition}"
            f" AND {_GRADE.format('copy')} IS NOT NULL AND {_GRADE.format('live')} IS NOT NULL"
            f" AND copy.tester IS NULL AND copy.status <> {GONE} AND live.tester IS NULL AND live.status <> {GONE}"
            " GROUP BY 1, 2, 3, 4",
            (epoch, *params),
        )
        live = [Pair(r[0], r[1], bool(r[2]), bool(r[3]), int(r[4])) for r in rows]
        return live + self._closed_pairs(epoch, before_ns)

    def _closed_pairs(self, epoch: int, before_ns: int) -> list[Pair]:
        """Return the pairs of which at least one trace left the live store."""
        columns = "request_id, shadow_of, u, {}, graded"
        labels = grades_of(self._database, epoch)
        graded = IS_EVIDENCE if labels else f"{IS_EVIDENCE} AND graded IS NOT NULL"
        closed = self._closed.read(columns.format("terms"), epoch, -(2**63), EVER, graded)
        if not closed:
            return []
        names = columns.format("features").replace(" u,", f" {UNIT},")
        held = self._read(f"SELECT {names} FROM requests WHERE epoch = ? AND {graded}", (epoch,))  # noqa: S608
        pruned = {row[0] for row in closed}
        times = dict(self._closed.read("request_id, started_ns", epoch, before_ns, EVER, graded))
        later = "SELECT request_id FROM requests WHERE epoch = ? AND started_ns >= ?"
        late = times.keys() | {row[0] for row in self._read(later, (epoch, before_ns))}
        by_id = {row[0]: row for row in (*held, *closed)}
        counts: Counter[tuple[str, str, bool, bool]] = Counter()
        for copy in by_id.values():
            live = by_id.get(copy[1])
            if live is not None and copy[0] not in late and (copy[0] in pruned or live[0] in pruned):
                grades = labels.get(live[0], live[4]), labels.get(copy[0], copy[4])
                if None not in grades:
                    counts[live[2], live[3], bool(grades[0]), bool(grades[1])] += 1
        return [Pair(*pair, n) for pair, n in counts.items()]


def quantile(counts: list[tuple[float, int]], share: float) -> float | None:
    """Return the ``share`` quantile of sorted (value, count) pairs; None without counts."""
    total, seen = sum(n for _, n in counts), 0
    for value, n in counts:
        seen += n
        if seen >= share * total:
            return value
    return None
