"""Spans that were acknowledged and are not yet joined into requests: a table of the trace store.

Several collectors may use one store. Each span is kept once, whoever received it, until its request is stored or it has
waited long enough; its id is known for ten minutes more, so that one that is sent again changes nothing. This module
does not know what a span holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError

PENDING_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS collected (
        trace_id TEXT NOT NULL, span_id TEXT NOT NULL, at_ns BIGINT NOT NULL, span TEXT NOT NULL,
        length BIGINT NOT NULL,
        PRIMARY KEY (trace_id, span_id))""",
    "CREATE INDEX IF NOT EXISTS collected_at ON collected (at_ns, length)",
    """CREATE TABLE IF NOT EXISTS joined (
        trace_id TEXT NOT NULL, span_id TEXT NOT NULL, at_ns BIGINT NOT NULL, PRIMARY KEY (trace_id, span_id))""",
    "CREATE INDEX IF NOT EXISTS joined_at ON joined (at_ns)",
)
_INSERT = (
    "INSERT INTO collected (trace_id, span_id, at_ns, span, length) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (trace_id, span_id) DO NOTHING"
)
_JOINED = "INSERT INTO joined (trace_id, span_id, at_ns) VALUES (?, ?, ?) ON CONFLICT (trace_id, span_id) DO NOTHING"
_FORGET = "DELETE FROM collected WHERE trace_id = ? AND span_id = ?"
KNOWN_NS = 600 * 10**9
"""How long the ids of joined spans are known, several times as long as exporters try to send a span again. A span that
is sent again later, with one that is new, would be taken for a request that is stored already."""
_FORGET_NS = 60 * 10**9
_PAGE = 200
_MOST_ROWS = 20_000
"""Spans of a page of traces that are read at once, the oldest first; the others are read once those are gone."""

_Read = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


class Waiting(NamedTuple):
    """One kept span: its id, when it came (UTC ns), and its text."""

    span_id: str
    at_ns: int
    span: str


class PendingSpans:
    """The spans that wait in one store; safe to use from any thread."""

    def __init__(self, url: str) -> None:
        """Open the store at ``url``, which must exist.

        Raises:
            StorageError: it cannot be opened or written.
        """
        self._database = connect(url)
        self._forgot_ns = 0
        try:
            self._database.script(PENDING_SCHEMA)
        except StorageError:
            self._database.close()
            raise

    def put(self, spans: Sequence[tuple[str, str, str]], now_ns: int) -> int:
        """Keep spans, each with its trace id and span id; durable on return. One that is there already stays.

        Returns how many were joined into a request before, which are not kept again.

        Raises:
            StorageError: they could not be stored.
        """
        traces = sorted({trace for trace, _, _ in spans})
        known = self._joined(self._database.read, traces)
        new = [(trace, span, text) for trace, span, text in spans if (trace, span) not in known]
        if not new:
            return len(spans)
        # In one order, so that two collectors that received the same spans do not wait for each other in a circle.
        with self._database.transaction() as tx:
            tx.executemany(_INSERT, [(trace, span, now_ns, text, len(text)) for trace, span, text in sorted(new)])
            # Looked at again behind the insertion: the spans may have been joined, and forgotten, since the first look,
            # and would be taken for another request.
            late = self._joined(tx.execute, traces).intersection((trace, span) for trace, span, _ in new)
            tx.executemany(_FORGET, sorted(late))
        return len(spans) - len(new) + len(late)

    def of(self, trace_ids: Sequence[str]) -> dict[str, list[Waiting]]:
        """The spans that wait, by trace id."""
        found: dict[str, list[Waiting]] = defaultdict(list)
        for start in range(0, len(trace_ids), _PAGE):
            where, params = self._database.among("trace_id", list(trace_ids[start : start + _PAGE]))
            query = f"SELECT trace_id, span_id, at_ns, span FROM collected WHERE {where} ORDER BY at_ns LIMIT ?"  # noqa: S608 -- constants
            for trace_id, *rest in self._database.read(query, (*params, _MOST_ROWS)):
                found[trace_id].append(Waiting(*rest))
        return found

    def waiting(self, before_ns: int, limit: int) -> list[str]:
        """The traces with a span that came before a time, oldest first."""
        query = "SELECT trace_id FROM collected WHERE at_ns < ? GROUP BY trace_id ORDER BY MIN(at_ns) LIMIT ?"
        return [row[0] for row in self._database.read(query, (before_ns, limit))]

    def size(self) -> tuple[int, int]:
        """How many spans wait, and how many characters they have."""
        found = self._database.read("SELECT COUNT(*), COALESCE(SUM(length), 0) FROM collected")
        return int(found[0][0]), int(found[0][1])

    def first_joined(self, trace_ids: Sequence[str]) -> dict[str, int]:
        """When the first of the requests of these traces was joined, as far as that is still known (UTC ns)."""
        found: dict[str, int] = {}
        for start in range(0, len(trace_ids), _PAGE):
            where, params = self._database.among("trace_id", list(trace_ids[start : start + _PAGE]))
            query = f"SELECT trace_id, MIN(at_ns) FROM joined WHERE {where} GROUP BY trace_id"  # noqa: S608 -- constants
            found.update((trace_id, int(at_ns)) for trace_id, at_ns in self._database.read(query, params))
        return found

    def drop(self, joined: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]], now_ns: int) -> None:
        """Forget spans, given by trace id and span id; the ids of those that were joined are known for a while.

        ``now_ns`` is when the joined ones were read: a span that comes after it is later than their request.
        """
        with self._database.transaction() as tx:
            tx.executemany(_JOINED, [(trace, span, now_ns) for trace, span in sorted(joined)])
            tx.executemany(_FORGET, sorted({*joined, *others}))
        # Apart and seldom: two collectors may be about to forget the same ids, and one may then have to try again.
        if now_ns - self._forgot_ns > _FORGET_NS:
            self._forgot_ns = now_ns
            with self._database.transaction() as tx:
                tx.execute("DELETE FROM joined WHERE at_ns < ?", (now_ns - KNOWN_NS,))

    def _joined(self, read: _Read, trace_ids: Sequence[str]) -> set[tuple[str, str]]:
        """The trace id and span id of the spans of these traces that were joined not long ago."""
        found: set[tuple[str, str]] = set()
        for start in range(0, len(trace_ids), _PAGE):
            where, params = self._database.among("trace_id", list(trace_ids[start : start + _PAGE]))
            rows = read(f"SELECT trace_id, span_id FROM joined WHERE {where}", params)  # noqa: S608 -- constants
            found.update((trace_id, span_id) for trace_id, span_id in rows)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
