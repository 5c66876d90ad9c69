"""A day's requests, read in pages: what drift and cost are counted from.

A page holds only the fields its caller asks for; the order is that of arrival. It never writes, and does not
know what is done with a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from miniobserve.conditions import DAY_NS
from miniobserve.schema import MINUTE_NS
from miniobserve.sql import Database, StorageError

PAGE = 20_000
"""Requests read at a time: about 15 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGES = (
    "SELECT traces.started_ns, traces.request_id, bodies.body FROM traces"
    " JOIN bodies ON bodies.request_id = traces.request_id"
    " WHERE traces.started_ns >= ? AND traces.started_ns < ?"
    " AND (traces.started_ns > ? OR traces.request_id > ?)"
    " ORDER BY traces.started_ns, traces.request_id LIMIT ?"
)

_ANSWERED = (
    "SELECT day, n FROM"  # noqa: S608 -- the only thing put in is a constant
    " (SELECT minute / 1440 AS day, SUM(n - errors) AS n FROM minutes WHERE minute < ? AND entry_sha <> ''"
    " GROUP BY minute / 1440) AS days"
    " WHERE n > 0 AND EXISTS"
    f" (SELECT 1 FROM traces WHERE started_ns >= day * {DAY_NS} AND started_ns < (day + 1) * {DAY_NS})"
    " ORDER BY day"
)

T = TypeVar("T", bound=msgspec.Struct)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A trace, as far as the inputs of a day are concerned."""

    entry_sha: str = ""
    sentence: str | None = None
    features: dict[str, str] = {}
    is_correct: bool | None = None
    in_scope: bool = True
    status: int = 200
    source: str = "live"
    shadow_of: str | None = None
    learner_hash: str | None = None


def bounds(day: str) -> tuple[int, int]:
    """First nanosecond of a day (``YYYY-MM-DD``, UTC), and of the next.

    Raises:
        ValueError: it is not a day.

    """
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    first = (start - _EPOCH) // timedelta(microseconds=1) * 1000
    return first, first + 86_400 * 10**9


def pages(database: Database, since_ns: int, until_ns: int, kind: type[T], *, size: int = PAGE) -> Iterator[list[T]]:
    """The requests that started within a span, oldest first, as values of ``kind``, whose fields a trace has.

    Raises:
        StorageError: the store failed, or a trace cannot be read.

    """
    decode = msgspec.json.Decoder(kind).decode
    begin, after = since_ns, ""
    while True:
        rows: list[tuple[Any, ...]] = database.read(_PAGES, (begin, until_ns, begin, after, size))
        if not rows:
            return
        try:
            yield [decode(body) for _, _, body in rows]
        except msgspec.MsgspecError as error:
            raise StorageError(
                "damaged", f"a trace cannot be read: {error}", "restore the trace store from a backup"
            ) from error
        begin, after = rows[-1][0], rows[-1][1]


def count(database: Database, since_ns: int, until_ns: int) -> int:
    """How many requests started within a span."""
    found: int = database.read(
        "SELECT COUNT(*) FROM traces WHERE started_ns >= ? AND started_ns < ?", (since_ns, until_ns)
    )[0][0]
    return found


def last_day(database: Database) -> str | None:
    """The newest day (UTC) on which a request started; None where there is none."""
    newest = database.read("SELECT MAX(started_ns) FROM traces")[0][0]
    return None if newest is None else (_EPOCH + timedelta(microseconds=newest // 1000)).date().isoformat()


def answered(database: Database, until_ns: int) -> list[tuple[str, int]]:
    """Each day (UTC) that still has its requests here, with how many of learners were answered, oldest first.

    It reads the roll-up by the minute: requests of minutes that began before ``until_ns``.
    """
    rows = database.read(_ANSWERED, (-(-until_ns // MINUTE_NS),))
    return [((_EPOCH + timedelta(days=int(day))).date().isoformat(), int(n)) for day, n in rows]
