"""What the arms of one epoch did: sums by unit, what learners said, latencies, and pairs of live and shadow answers.

Each is one query over the rows of that epoch, which stay in the live store when their day is closed; features of closed
days are looked up in their files. Copies (``shadow_of``) are never among a learner's answers. It does not know what an
arm or a unit means, and judges nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from miniobserve.archive import Archive
from miniobserve.schema import slot_seconds
from miniobserve.sql.protocol import Database, Params, StorageError

EVER = 2**63 - 1
"""Later than every moment, UTC ns."""


class Unit(NamedTuple):
    """One unit (a learner, or a request without one) at one arm."""

    arm: str
    u: str
    n: int
    failed: int
    seconds: float
    """Sum of its requests' latencies."""
    graded: int
    right: int


class Said(NamedTuple):
    """What the learner of one unit said of an arm's answers."""

    arm: str
    u: str
    outcome: str
    n: int


class Pair(NamedTuple):
    """Requests of one unit with the same features, whose live and shadow answers were both graded."""

    u: str
    features: str
    """``|name=value|…|``, names ascending."""
    live: bool
    shadow: bool
    n: int


class Evidence:
    """The queries, over one trace store and the days exported from it."""

    def __init__(self, database: Database, archive: Archive | None = None) -> None:
        self._database = database
        self._archive = archive

    def _read(self, sql: str, params: Params) -> list[tuple[Any, ...]]:
        """Run one query; a sound store that lacks the tables is one from before they were there."""
        try:
            return self._database.read(sql, params)
        except StorageError as error:
            if error.kind in ("damaged", "absent"):
                self._database.read("SELECT 1 FROM bodies LIMIT 1")  # fails as well where it really is
                try:
                    self._database.read("SELECT 1 FROM units LIMIT 1")
                except StorageError:
                    raise StorageError(
                        "unavailable",
                        "these traces are from before arms were compared",
                        "start the server once (`spine serve`): it fills in what is missing",
                    ) from error
            raise

    def span(self, epoch: int, before_ns: int = EVER) -> tuple[int, int] | None:
        """When the first and the last request of an epoch started (before a moment), UTC ns; None for none."""
        rows = self._read(
            "SELECT (SELECT MIN(started_ns) FROM answers WHERE epoch = ?),"
            " (SELECT MAX(started_ns) FROM answers WHERE epoch = ? AND started_ns < ?)",
            (epoch, epoch, before_ns),
        )
        first, last = rows[0]
        return None if first is None or last is None else (int(first), int(last))

    def units(self, epoch: int, before_ns: int = EVER, *, copies: bool = False) -> list[Unit]:
        """Sums by arm and unit, of the requests that started before a moment; of their copies instead.

        They are the roll-up's less what started since, so a moment of late costs little, however long the epoch is.
        """
        rows = self._read(
            "SELECT arm, u, n, failed, seconds, graded, correct FROM units WHERE epoch = ? AND copies = ?",
            (epoch, int(copies)),
        )
        later = self._read(
            "SELECT arm, u, COUNT(*), SUM(failed), SUM(seconds), COUNT(graded), SUM(COALESCE(graded, 0)) FROM answers"
            " WHERE epoch = ? AND started_ns >= ? AND CASE WHEN shadow_of IS NULL THEN 0 ELSE 1 END = ?"
            " GROUP BY arm, u",
            (epoch, before_ns, int(copies)),
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

    def said(self, epoch: int, before_ns: int = EVER) -> list[Said]:
        """Feedback by arm, unit and outcome, on requests that started before a moment."""
        rows = self._read(
            "SELECT a.arm, a.u, feedback.outcome, COUNT(*) FROM answers a"
            " JOIN feedback ON feedback.request_id = a.request_id"
            " WHERE a.epoch = ? AND a.started_ns < ? AND a.shadow_of IS NULL GROUP BY a.arm, a.u, feedback.outcome",
            (epoch, before_ns),
        )
        return [Said(row[0], row[1], row[2], int(row[3])) for row in rows]

    def latencies(self, epoch: int, before_ns: int = EVER) -> dict[str, list[tuple[float, int]]]:
        """Arm → (seconds, count), ascending, of requests that started before a moment; right to within 2.2 %."""
        rows = self._read(
            "SELECT arm, slot, COUNT(*) FROM answers WHERE epoch = ? AND started_ns < ?"
            " GROUP BY arm, slot ORDER BY arm, slot",
            (epoch, before_ns),
        )
        found: dict[str, list[tuple[float, int]]] = {}
        for arm, slot, count in rows:
            found.setdefault(arm, []).append((slot_seconds(slot), int(count)))
        return found

    def pairs(self, epoch: int, before_ns: int = EVER) -> list[Pair]:
        """Graded pairs of a live answer and its copy's, of copies that started before a moment."""
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
        """The pairs whose traces left the live store, with their features where a file still has them."""
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
    """The value below which ``share`` of the counted ones lie; None of none."""
    total, seen = sum(n for _, n in counts), 0
    for value, n in counts:
        seen += n
        if seen >= share * total:
            return value
    return None
