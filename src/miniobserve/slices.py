"""Parquet copies of the live store's requests, an hour each, so that reports of a day under way need no decoding.

A copy is a cache: it is made when a report first needs it, or by a server when an hour has passed, and may be deleted
at any time. Requests are never changed, so a copy is right as long as the store holds as many requests of its hour,
the first and last of which started at the same times; its file's name says for which, and by which query it was made.
The columns are those of ``miniobserve.columns`` that figures need. This module never writes to the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from miniobserve.columns import ADDED_FOR_SUMS
from miniobserve.cost import QUEUE
from miniobserve.label_files import write_labels
from miniobserve.record_batches import batch_of_columns
from miniobserve.row_copies import copy_rows
from miniobserve.schema import COLUMNS, DAY_NS, started, storable, within
from miniobserve.sql.protocol import Database
from miniobserve.tables import store_id

HOUR_NS = DAY_NS // 24
FEW = 20_000
"""A day with no more requests is one slice."""
_PAGE = 25_000
_UNREAD = {"day", "trace_id", "slot", "text", "text_sha256", "features"}
_TAKEN = {name: kind for name, kind in COLUMNS if name not in _UNREAD}
"""The columns of ``requests`` that a slice is made of, with their types in SQL."""
_DUCKDB = {"TEXT": "VARCHAR", "BIGINT": "BIGINT", "INTEGER": "BIGINT", "DOUBLE PRECISION": "DOUBLE"}
_KEPT_DAYS = 3
"""Slices that no report needed for so many days are deleted."""

_FLAGS = ("sticky", "in_scope", "accepted", "graded")
_MADE = ("stages", "drift_values", "rest")


_WORDS = """from_json(one.value, '["VARCHAR"]')"""


def _values(kinds: str, value: str) -> str:
    chosen = f"list_filter(given, lambda one: json_type(one.value) IN ({kinds}))"
    return f"map_from_entries(list_transform({chosen}, lambda one: struct_pack(key := one.key, value := {value})))"


_COPY = f"""
    SELECT * EXCLUDE ({", ".join((*_MADE, "given"))}) REPLACE ({", ".join(f"{n}::BOOLEAN AS {n}" for n in _FLAGS)}),
        coalesce(list_sum(list_transform(map_entries(stages),
            lambda one: CASE WHEN one.key = '{QUEUE}' THEN 0 ELSE one.value END)), 0.0) AS busy,
        stages,
        {_values("'VARCHAR'", "one.value->>'$'")} AS categories,
        {_values("'DOUBLE', 'UBIGINT', 'BIGINT', 'HUGEINT'", "one.value::DOUBLE")} AS numbers,
        {_values("'ARRAY'", _WORDS)} AS tokens,
        coalesce(from_json(rest->'features', '"MAP(VARCHAR, VARCHAR)"'), MAP {{}}) AS features,
        coalesce(rest->>'unpriced', '') AS unpriced,
        (rest->>'workers')::INTEGER AS workers,
        from_json(rest->'embedding', '["DOUBLE"]') AS embedding,
        rest->>'input' AS input,
        {ADDED_FOR_SUMS}
    FROM (
        SELECT * EXCLUDE (stages), coalesce(from_json(stages, '"MAP(VARCHAR, DOUBLE)"'), MAP {{}}) AS stages,
            coalesce(map_entries(from_json(drift_values, '"MAP(VARCHAR, JSON)"')), []) AS given
        FROM rows
    )"""  # noqa: S608 -- constants


class _Span(NamedTuple):
    """The requests of an hour or a day as the store holds them now."""

    first_ns: int
    end_ns: int
    rows: int
    oldest_ns: int
    newest_ns: int


class Slices:
    """The slices of one store, in a folder; a reader that may not write there has a temporary one."""

    def __init__(self, database: Database, folder: Path | None) -> None:
        self._database = database
        self._folder = folder
        self._temporary: Path | None = None
        self._remove: Callable[[], Any] = lambda: None

    def of(
        self, since_ns: int, until_ns: int, step: Callable[[int, int], None] = lambda _done, _total: None
    ) -> tuple[list[Path], int]:
        """Return files with every live request that started within a span, and how many requests they hold.

        The first and the last file may hold others of the same hour or day. Missing files are made; ``step`` is called
        with the number of requests that are done and of all.

        Raises:
            StorageError: the store or the folder cannot be used.
        """
        spans = list(_grouped(self._counted(since_ns, until_ns)))
        total, done, files = sum(span.rows for span in spans), 0, []
        for span in spans:
            files.append(self._file(span))
            done += span.rows
            step(done, total)
        return files, total

    def whole_hours(self, since_ns: int, until_ns: int) -> dict[int, tuple[Path, int]]:
        """Return the hours within a span of which there is a copy, by when they begin, oldest first.

        Each has its file and the number of its requests. None is made.
        """
        found: dict[int, tuple[Path, int]] = {}
        for file in self._folder.glob("*-1h-*.parquet") if self._folder is not None else ():
            number = file.name.partition("-1h-")[0]
            first = int(number) * HOUR_NS if re.fullmatch(r"\d{1,9}", number, re.ASCII) else until_ns
            if since_ns <= first and first + HOUR_NS <= until_ns:
                span = self._span(first, first + HOUR_NS)
                if span.rows and file.name == self._name(span):
                    found[first] = file, span.rows
                    with contextlib.suppress(OSError):
                        os.utime(file)
        return dict(sorted(found.items()))

    def labels(self, since_ns: int, until_ns: int) -> list[Path]:
        """Return a file for each day of a span of which answers are graded by labels: request ids and grades.

        Raises:
            StorageError: the store or the folder cannot be used.
        """
        days = storable(since_ns) // DAY_NS, storable(until_ns - 1) // DAY_NS
        # The sum tells when a label was corrected by a host whose clock is behind.
        rows = self._database.read(
            "SELECT day, COUNT(*), MAX(at_ns), SUM(at_ns % 1000003) FROM feedback"
            " WHERE day >= ? AND day <= ? AND graded IS NOT NULL GROUP BY day ORDER BY day",
            days,
        )
        return [self._labels_of(int(day), [int(each) for each in state]) for day, *state in rows]

    def close(self) -> None:
        """Delete the temporary folder, if there is one."""
        self._remove()
        self._temporary = None

    def _counted(self, since_ns: int, until_ns: int) -> list[_Span]:
        """The hours of a span in which requests started, oldest first."""
        # Whole hours, so that the same file serves every span. A bound beyond what a time can be is left as it is.
        since, end = storable(since_ns // HOUR_NS * HOUR_NS), storable(-(-until_ns // HOUR_NS) * HOUR_NS)
        found: list[_Span] = []
        # An hour after the other: each is counted in the index, where a GROUP BY of hours would sort every request.
        while (oldest := self._started("MIN(started_ns)", since, end)[0]) is not None:
            first = oldest // HOUR_NS * HOUR_NS
            since = min(first + HOUR_NS, end)
            span = self._span(first, since)
            if span.rows:  # they may have been pruned since
                found.append(span)
        return found

    def _span(self, first_ns: int, until_ns: int) -> _Span:
        """The requests of an hour, as far as they started before a time; without any, only their number is known."""
        counted = self._started("COUNT(*), MIN(started_ns), MAX(started_ns)", first_ns, until_ns)
        return _Span(first_ns, first_ns + HOUR_NS, *counted)

    def _started(self, select: str, since_ns: int, until_ns: int) -> tuple[Any, ...]:
        condition, values = started(since_ns, until_ns, partitioned=self._database.partitioned)
        return self._database.read(f"SELECT {select} FROM requests WHERE {condition}", values)[0]  # noqa: S608

    def _file(self, span: _Span) -> Path:
        """The file of a span, which is made unless it is there."""
        return _newest(self._usable() / self._name(span), partial(self._make, span))

    def _name(self, span: _Span) -> str:
        """The name of the file that holds a span's requests as they are now."""
        known = hashlib.sha256(repr((store_id(self._database), span, _COPY)).encode()).hexdigest()[:24]
        return f"{span.first_ns // HOUR_NS}-{(span.end_ns - span.first_ns) // HOUR_NS}h-{known}.parquet"

    def _make(self, span: _Span, file: Path) -> None:
        copy_rows(file, self._batches(span), _batch(()), _COPY)

    def _batches(self, span: _Span) -> Iterator[Any]:
        names, begin, after = ", ".join(_TAKEN), span.oldest_ns, ""
        while True:
            condition, values = within(begin, span.newest_ns + 1)
            rows = self._database.read(
                f"SELECT {names} FROM requests WHERE {condition} AND (started_ns > ? OR request_id > ?)"  # noqa: S608
                " ORDER BY started_ns, request_id LIMIT ?",
                (*values, begin, after, _PAGE),
            )
            if not rows:
                return
            yield _batch(rows)
            named = dict(zip(_TAKEN, rows[-1], strict=True))
            begin, after = named["started_ns"], named["request_id"]

    def _labels_of(self, day: int, state: Sequence[int]) -> Path:
        known = hashlib.sha256(repr((store_id(self._database), day, state)).encode()).hexdigest()[:24]
        return _newest(self._usable() / f"{day}-labels-{known}.parquet", partial(write_labels, self._database, day))

    def _usable(self) -> Path:
        if self._temporary is None and self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                if os.access(self._folder, os.W_OK):
                    return self._folder
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="spine-slices-"))
            # Many readers live as long as their process and are never closed.
            self._remove = weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary


def sweep(folder: Path, now: float) -> None:
    """Delete slices that no report has used for days; ``now`` is in seconds since 1970."""
    for file in folder.glob("*.parquet"):
        with contextlib.suppress(OSError):
            if now - file.stat().st_mtime > _KEPT_DAYS * 86_400:
                file.unlink()


def _grouped(hours: Sequence[_Span]) -> Iterator[_Span]:
    """Yield the hours, those of a day with few requests as one."""
    days: dict[int, list[_Span]] = {}
    for hour in hours:
        days.setdefault(hour.first_ns // DAY_NS, []).append(hour)
    for day, some in days.items():
        rows = sum(hour.rows for hour in some)
        if rows > FEW:
            yield from some
        else:
            oldest, newest = min(h.oldest_ns for h in some), max(h.newest_ns for h in some)
            yield _Span(day * DAY_NS, (day + 1) * DAY_NS, rows, oldest, newest)


def _batch(rows: Sequence[Sequence[Any]]) -> Any:
    kinds = {name: _DUCKDB[kind] for name, kind in _TAKEN.items()}
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return batch_of_columns(kinds, dict(zip(_TAKEN, columns, strict=True)))


def _newest(file: Path, make: Callable[[Path], None]) -> Path:
    """The file, made unless it is there; older ones, whose names differ behind the last dash, are then deleted."""
    if not file.exists():
        make(file)
        begins = file.stem.removesuffix(file.stem.rpartition("-")[2])
        for old in file.parent.glob(f"{begins}*.parquet"):
            if old != file:
                old.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.utime(file)
    return file
