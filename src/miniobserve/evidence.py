"""Statistics of the arms of one epoch: sums per unit, feedback, latencies, and pairs of live and shadow answers.

Each is one query over that epoch's rows in ``answers``, which stay in the live store when their day is closed; only the
features of closed days come from the files. Shadow copies (rows with ``shadow_of``) never count as learners' answers.
This module draws no conclusions from the numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from miniobserve.archive import Archive
from miniobserve.schema import NO_LEARNER, slot_seconds
from miniobserve.sql.protocol import Database, Params, StorageError

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

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive

    def _read(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        """Run one query; a store from before these tables existed gets an error that says how to upgrade it."""
        try:
            return self._database.read(sql, params)
        except StorageError as error:
            if error.kind in ("damaged", "absent"):
                self._database.read("SELECT 1 FROM bodies LIMIT 1")  # raises if the store is really damaged
                try:
                    self._database.read("SELECT 1 FROM units LIMIT 1")
                except StorageError:
                    raise StorageError(
                        "unavailable",
                        "this trace store is from an older version and lacks the tables for comparing arms",
                        "start the server once (`spine serve`): it adds the missing tables",
                    ) from error
            raise

    def span(self, epoch: int, before_ns: int = EVER, from_ns: int = 0, *, spare: int = 0) -> tuple[int, int] | None:
        """Return when the first and the last request of an epoch within a time range started, UTC ns.

        None where no request started in the range, which is ``from_ns`` up to, but not including, ``before_ns``. With
        ``spare``, so many requests at each end do not count; None where there are no others.
        """
        within = "FROM answers WHERE epoch = ? AND started_ns >= ? AND started_ns < ? ORDER BY started_ns"
        scope = (epoch, from_ns, before_ns, spare)
        rows = self._read(
            f"SELECT (SELECT started_ns {within} ASC LIMIT 1 OFFSET ?),"
            f" (SELECT started_ns {within} DESC LIMIT 1 OFFSET ?)",
            (*scope, *scope),
        )
        first, last = rows[0]
        return None if first is None or last is None or first > last else (int(first), int(last))

    def last(self, epoch: int, before_ns: int = EVER) -> tuple[str, int] | None:
        """Return the id and the start, UTC ns, of the newest request of an epoch before a time; None if there is none.

        A shadow copy counts: it starts with the request that it is a copy of.
        """
        rows = self._read(
            "SELECT request_id, started_ns FROM answers WHERE epoch = ? AND started_ns < ?"
            " ORDER BY started_ns DESC LIMIT 1",
            (epoch, before_ns),
        )
        return (str(rows[0][0]), int(rows[0][1])) if rows else None

    def windows(self, epoch: int, from_ns: int, before_ns: int, width_ns: int) -> int:
        """Return the number of windows of a length, in a time range, in which a request of an epoch started."""
        rows = self._read(
            "SELECT COUNT(DISTINCT (started_ns - ?) / ?) FROM answers"
            " WHERE epoch = ? AND started_ns >= ? AND started_ns < ?",
            (from_ns, width_ns, epoch, from_ns, before_ns),
        )
        return int(rows[0][0])

    def busy(self, from_ns: int, before_ns: int, least: int) -> bool:
        """Whether at least so many requests, of whatever epoch, started within a time range."""
        query = "SELECT 1 FROM traces WHERE started_ns >= ? AND started_ns < ? LIMIT ?"
        return len(self._database.read(query, (from_ns, before_ns, least))) >= least

    def ahead(self, epoch: int, from_ns: int) -> Stray | None:
        """Return the learners' requests of an epoch that started at a time or later; None where there are none."""
        return self._strays("started_ns >= ?", "DESC", (epoch, from_ns))

    def behind(self, epoch: int, before_ns: int) -> Stray | None:
        """Return the learners' requests of an epoch that started before a time; None where there are none."""
        return self._strays("started_ns < ?", "ASC", (epoch, before_ns))

    def _strays(self, when: str, order: str, scope: tuple[int, int]) -> Stray | None:
        within = f"FROM answers WHERE epoch = ? AND {when} AND shadow_of IS NULL"
        rows = self._read(
            f"SELECT request_id, started_ns, (SELECT COUNT(*) {within}) {within} ORDER BY started_ns {order} LIMIT 1",
            scope * 2,
        )
        return Stray(int(rows[0][2]), rows[0][0], int(rows[0][1])) if rows else None

    def units(self, epoch: int, before_ns: int = EVER, from_ns: int = 0, *, copies: bool = False) -> list[Unit]:
        """Return the sums per arm and unit of the requests within a time range, or of their shadow copies."""
        # The roll-up minus what started outside: for a recent time this reads few rows, however long the epoch is.
        rows = self._read(
            "SELECT arm, u, n, failed, seconds, graded, correct FROM units WHERE epoch = ? AND copies = ?",
            (epoch, int(copies)),
        )
        later = self._read(
            "SELECT arm, u, COUNT(*), SUM(failed), SUM(CASE WHEN failed = 0 THEN seconds ELSE 0 END), COUNT(graded),"
            " SUM(COALESCE(graded, 0)) FROM answers"
            " WHERE epoch = ? AND (started_ns >= ? OR started_ns < ?)"
            " AND CASE WHEN shadow_of IS NULL THEN 0 ELSE 1 END = ? GROUP BY arm, u",
            (epoch, before_ns, from_ns, int(copies)),
        )
        since = {(row[0], row[1]): row[2:] for row in later}
        found = []
        for arm, u, *whole in rows:
            n, failed, seconds, graded, right = (
                value - less for value, less in zip(whole, since.get((arm, u), (0,) * 5), strict=True)
            )
            if n > 0:
                found.append(Unit(arm, u, int(n), int(failed), max(float(seconds), 0.0), int(graded), int(right)))
        return found

    def said(self, epoch: int, before_ns: int = EVER, from_ns: int = 0) -> list[Said]:
        """Return the feedback per arm, unit and outcome on requests that started within a time range."""
        rows = self._read(
            "SELECT a.arm, a.u, feedback.outcome, COUNT(*) FROM answers a"
            " JOIN feedback ON feedback.request_id = a.request_id"
            " WHERE a.epoch = ? AND a.started_ns < ? AND a.started_ns >= ? AND a.shadow_of IS NULL"
            " GROUP BY a.arm, a.u, feedback.outcome",
            (epoch, before_ns, from_ns),
        )
        return [Said(row[0], row[1], row[2], int(row[3])) for row in rows]

    def latencies(self, epoch: int, before_ns: int = EVER) -> dict[str, list[tuple[float, int]]]:
        """Return arm → sorted (seconds, count) of answered requests before a time; seconds are accurate to 2.2 %."""
        rows = self._read(
            "SELECT arm, slot, COUNT(*) FROM answers WHERE epoch = ? AND started_ns < ? AND failed = 0"
            " GROUP BY arm, slot ORDER BY arm, slot",
            (epoch, before_ns),
        )
        found: dict[str, list[tuple[float, int]]] = {}
        for arm, slot, count in rows:
            found.setdefault(arm, []).append((slot_seconds(slot), int(count)))
        return found

    def pairs(self, epoch: int, before_ns: int = EVER) -> list[Pair]:
        """Return the pairs of live and shadow answers, both graded, whose copies started before a time."""
        rows = self._read(
            "SELECT live.u, traces.features, live.graded, copy.graded, COUNT(*) FROM answers copy"
            " JOIN answers live ON live.request_id = copy.shadow_of"
            " JOIN traces ON traces.request_id = live.request_id"
            " WHERE copy.epoch = ? AND copy.started_ns < ? AND copy.graded IS NOT NULL AND live.graded IS NOT NULL"
            " GROUP BY live.u, traces.features, live.graded, copy.graded",
            (epoch, before_ns),
        )
        live = [Pair(r[0], r[1], bool(r[2]), bool(r[3]), int(r[4])) for r in rows]
        return live + self._closed_pairs(epoch, before_ns)

    def _closed_pairs(self, epoch: int, before_ns: int) -> list[Pair]:
        """Return the pairs whose traces left the live store, with the features that their day's file holds."""
        rows = self._read(
            "SELECT live.request_id, live.u, live.graded, copy.graded FROM answers copy"
            " JOIN answers live ON live.request_id = copy.shadow_of"
            " LEFT JOIN traces ON traces.request_id = live.request_id"
            " WHERE copy.epoch = ? AND copy.started_ns < ? AND copy.graded IS NOT NULL AND live.graded IS NOT NULL"
            " AND traces.request_id IS NULL",
            (epoch, before_ns),
        )
        named = self._archive.features([row[0] for row in rows]) if self._archive is not None else {}
        counts = Counter((row[1], named.get(row[0], "|"), bool(row[2]), bool(row[3])) for row in rows)
        return [Pair(*pair, n) for pair, n in counts.items()]


def quantile(counts: list[tuple[float, int]], share: float) -> float | None:
    """Return the ``share`` quantile of sorted (value, count) pairs; None without counts."""
    total, seen = sum(n for _, n in counts), 0
    for value, n in counts:
        seen += n
        if seen >= share * total:
            return value
    return None
