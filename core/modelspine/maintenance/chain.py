"""The rows of a ledger, read directly from its table, so that reading continues after a broken row and finds every one.

It prints nothing and writes nothing, and does not know what the events mean.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from miniobserve.sql.open import connect
from modelspine.ledger.bodies import UNREADABLE
from modelspine.ledger.event import Unreadable, linked_to, read_event, text_of
from modelspine.ledger.replay import replay
from modelspine.ledger.schema import sqlite_faults
from modelspine.ledger.schema_postgres import postgres_faults
from modelspine.ledger.store import GENESIS, Event, Head, storage_errors
from modelspine.text import visible

_MOST = 20
"""Most problems that SQLite's integrity check reports."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The readable events of a ledger, its head, and the problems of its rows."""

    events: tuple[Event, ...]
    head: Head
    problems: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()
    """Rows that are in the chain and are not events as this package writes them, or do not fit the ones before."""
    schema: tuple[str, ...] = ()
    """What is in the database and was not made here, or was made here and is missing."""


def read_chain(url: str) -> Chain:
    """Read every row of the ledger, checking each by itself and against the row before.

    Raises:
        Unavailable, Damaged: the database cannot be read at all.
    """
    events: list[Event] = []
    problems: list[str] = []
    head, at, sqlite = Head(0, GENESIS), "", url.startswith("sqlite:")
    # As bytes, because SQLite's driver cannot read a row in which somebody wrote text that is not UTF-8.
    columns = "seq, CAST(event AS BLOB), CAST(hash AS BLOB), CAST(key AS BLOB)" if sqlite else "seq, event, hash, key"
    with storage_errors():
        database = connect(url, readonly=True)
        try:
            foreign = tuple((sqlite_faults if sqlite else postgres_faults)(database))
            rows = database.read(f"SELECT {columns} FROM events ORDER BY seq")  # noqa: S608  (names of our own)
            # With intact rows but a damaged index, looking up a key or a digest would silently find nothing.
            findings = database.read(f"PRAGMA integrity_check({_MOST})") if sqlite else []
        finally:
            database.close()
    problems += [f"the database: {visible(str(line), 160)}" for (line,) in findings if line != "ok"]
    for stored, text, digest, key in rows:
        missing = range(head.seq + 1, stored)
        problems += [f"event #{missing.start} is missing"] if len(missing) == 1 else []
        problems += [f"events #{missing.start}–#{missing.stop - 1} are missing"] if len(missing) > 1 else []
        place = Head(stored, text_of(digest))
        event, problem = _row(place, bytes(text or b""), key, None if missing else head.hash, at)
        problems += [problem] if problem else []
        events += [event] if event else []
        head, at = place, event.at if event else at
    found = replay(events)
    return Chain(
        events=tuple(found.events), head=head, problems=tuple(problems), unreadable=found.unreadable, schema=foreign
    )


def _row(place: Head, raw: bytes, key: Any, prev: str | None, at: str) -> tuple[Event | None, str | None]:
    """Read one row as its event and what is wrong with its place in the chain, if anything.

    ``place`` is its seq and recorded hash, ``prev`` the hash of the row before, or None if that row is missing, and
    ``at`` the time of the event before it.
    """
    found = hashlib.sha256(raw).hexdigest()
    if found != place.hash:
        return None, f"event #{place.seq} hashes to {found[:12]}, but its recorded hash is {visible(place.hash[:12])}"
    event, problem = read_event(raw, place.hash, Head(place.seq, linked_to(raw) if prev is None else prev), at)
    if problem is None and event.kind != UNREADABLE and event.body.get("key") != (text_of(key) if key else None):
        problem = f"event #{place.seq} is stored under a different idempotency key from the one in its body"
    return event, problem


def contradiction(chain: Chain, point: Head) -> str | None:
    """How a head that was recorded elsewhere contradicts the chain; None where they agree."""
    if point.seq == 0 or point.seq > chain.head.seq:
        return f"event #{point.seq} is not in the ledger, whose newest is #{chain.head.seq}: the ledger was truncated"
    event = next((e for e in chain.events if e.seq == point.seq), None)
    if event is None or event.hash != point.hash:
        now = event.hash[:12] if event else "unreadable"
        return f"event #{point.seq} is {now}, but was {point.hash[:12]}: the chain was rewritten"
    return None
