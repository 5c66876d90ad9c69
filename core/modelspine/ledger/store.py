"""The append-only, hash-chained log of events in one SQL table, and a content-addressed store of evidence.

A row holds an event's canonical bytes; the hash covers these bytes, and every field is decoded from them. The table
``evidence`` holds reports and manifests by the SHA-256 of their bytes. It does not know what a model is or what the
events mean (``ledger.state`` folds them).

    hash = SHA-256(RFC 8785 of {seq, at, actor, host, kind, body, prev}); the first prev is 64 zeros.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError, Transaction
from modelspine.canonical_json import MAX_INTEGER
from modelspine.errors import BadInput, Damaged
from modelspine.ledger.bodies import MAX_BODY
from modelspine.ledger.event import (
    GENESIS,
    Draft,
    Event,
    Head,
    decode_event,
    moved,
    overtaken,
    same_request,
    text_of,
    verified_events,
)
from modelspine.ledger.failures import append_error, not_kept, storage_errors
from modelspine.ledger.mark import advance_mark, read_mark
from modelspine.ledger.schema import create_tables
from modelspine.ledger.sealing import newest_time, seal

_HAS = "SELECT 1 FROM events WHERE seq = ? AND hash = ?"
_TRIES = 200
"""Attempts of an append when other writers come first or the connection breaks."""
_LOOK_BACK = 32
"""Rows that are searched for the newest event with a time, where the newest of all cannot be read."""
_LOST_RETRIES = 3
"""Retries of an idempotent write after the connection broke."""

Clock = Callable[[], datetime]

# The values of ledger.event are re-exported, so that users of the ledger import from one module.
__all__ = ["GENESIS", "MAX_BODY", "Clock", "Draft", "Event", "Head", "Ledger", "storage_errors"]


def _raw(stored: str | bytes) -> bytes:
    """The bytes of a column that SQLite returns as text and PostgreSQL as bytes."""
    return stored.encode() if isinstance(stored, str) else bytes(stored)


class Ledger:
    """One open ledger; thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        actor: str,
        create: bool = False,
        readonly: bool = False,
        clock: Clock | None = None,
        mark: Path | None = None,
    ) -> None:
        self.url = url
        self.actor = actor
        self._clock: Clock = clock or (lambda: datetime.now(UTC))
        self._mark = mark
        with storage_errors():
            self._db = connect(url, create=create, readonly=readonly)
            # As bytes, because SQLite's driver cannot read a row in which somebody wrote text that is not UTF-8.
            sqlite = self._db.bytes_column == "TEXT"
            self._event, self._hash = ("CAST(event AS BLOB)", "CAST(hash AS BLOB)") if sqlite else ("event", "hash")
            if create:
                create_tables(self._db)

    def head(self) -> Head:
        """Seq and hash of the newest event, in one indexed read."""
        with storage_errors():
            rows = self._db.read(f"SELECT seq, {self._hash} FROM events ORDER BY seq DESC LIMIT 1")  # noqa: S608
        return Head(rows[0][0], text_of(rows[0][1])) if rows else Head(0, GENESIS)

    def events(self, after: Head | None = None) -> list[Event]:
        """Every event after ``after`` (default: from the first), in order, with the hash chain verified.

        Raises:
            Damaged: an event does not link to the previous one, or a seq is missing.
        """
        start = after or Head(0, GENESIS)
        with storage_errors():
            rows = self._db.read(
                f"SELECT seq, {self._event}, {self._hash} FROM events WHERE seq > ? ORDER BY seq",  # noqa: S608
                (start.seq,),
            )
        return list(verified_events(rows, start))

    def lines(self, first: int = 1) -> list[bytes]:
        """The stored bytes of each event from a seq on, in order and unverified: the input of its hash."""
        with storage_errors():
            rows = self._db.read(f"SELECT {self._event} FROM events WHERE seq >= ? ORDER BY seq", (first,))  # noqa: S608
        return [_raw(row[0]) for row in rows]

    def append(
        self, drafts: Sequence[Draft], *, expected: int | None, key: str | None = None, asked: Sequence[str] = ()
    ) -> tuple[list[Event], bool]:
        """Append the drafts in one transaction, directly after the event ``expected``.

        Args:
            drafts: the events to append; the first one carries the key.
            expected: the seq of the newest event when the change was decided; None appends after any event.
            key: an idempotency key. If an event with this key has the same kind and the same ``asked`` fields, it
                is the result of an earlier attempt of the same request and is returned.
            asked: the body fields given by the caller, as opposed to those derived from the state.

        Returns:
            The events, and False if an earlier attempt had already appended them.

        Raises:
            Conflict: the ledger changed since ``expected``, or the key was used for a different request.
            BadInput: a body is too long, or cannot be encoded as canonical JSON.
            Damaged: the database did not keep the events as they were written.
            Unavailable: the database cannot be written.
        """
        doubtful: list[list[Event]] = []
        mark = self._read_mark()
        for attempt in range(_TRIES):
            sealed: list[Event] = []
            try:
                with self._db.transaction() as tx:
                    # If the connection broke during a commit, the events may have been written. Their hash is unique
                    # to that attempt, so finding it proves that the commit succeeded.
                    for events in doubtful:
                        if tx.execute("SELECT 1 FROM events WHERE hash = ?", (events[0].hash,)):
                            return events, True
                    earlier = self._append(tx, drafts, expected, key, asked, sealed)
                    continues = mark is None or tx.execute(_HAS, (mark.seq, mark.hash))
                if earlier:
                    return [earlier], False
                self._check_committed(sealed)
                if self._mark is not None and continues:
                    advance_mark(self._mark, Head(sealed[-1].seq, sealed[-1].hash), mark)
                return sealed, True
            except StorageError as error:
                doubtful += [sealed] if sealed and error.kind == "lost" else []
                if error.kind != "conflict" and (error.kind != "lost" or attempt == _TRIES - 1):
                    raise append_error(error, doubtful) from error
                # Neither is permanent: a conflict means that another writer was first, a lost connection reconnects.
                # A random pause of up to 10 ms, so that writers that collided once do not collide again.
                time.sleep(os.urandom(1)[0] / 25_600 if attempt else 0)
        raise overtaken(_TRIES)

    def by_key(self, key: str) -> Event | None:
        """The event recorded under an idempotency key, or None."""
        with storage_errors():
            rows = self._db.read(f"SELECT {self._event}, {self._hash} FROM events WHERE key = ?", (key,))  # noqa: S608
        return decode_event(rows[0][0], text_of(rows[0][1])) if rows else None

    def put(self, body: bytes) -> str:
        """Store a piece of evidence (UTF-8 text) and return its SHA-256; equal bytes are stored once.

        Raises:
            BadInput: the bytes are not UTF-8.
        """
        digest = hashlib.sha256(body).hexdigest()
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadInput("evidence must be UTF-8 text, and this is not", "write the file as UTF-8 JSON") from error
        # The same digest is the same body, so inserting twice is harmless, also after an unknown outcome.
        row = (digest, self._db.as_kept(body))
        statement = "INSERT INTO evidence (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
        with storage_errors():
            for attempt in range(_LOST_RETRIES + 1):
                try:
                    with self._db.transaction() as tx:
                        tx.execute(statement, row)
                        if not tx.execute("SELECT 1 FROM evidence WHERE digest = ?", (digest,)):
                            raise not_kept(f"evidence {digest[:12]}")
                    break
                except StorageError as error:
                    if error.kind != "lost" or attempt == _LOST_RETRIES:
                        raise
        return digest

    def get(self, digest: str) -> bytes:
        """A piece of evidence by its SHA-256, hashed again by this call.

        Raises:
            Damaged: it is missing, or its bytes do not match the digest.
        """
        with storage_errors():
            rows = self._db.read("SELECT body FROM evidence WHERE digest = ?", (digest,))
        if not rows:
            raise Damaged(f"evidence {digest[:12]} is not in the ledger's store", "restore the ledger from a backup")
        body = _raw(rows[0][0])
        found = hashlib.sha256(body).hexdigest()
        if found != digest:
            raise Damaged(f"evidence {digest[:12]} now hashes to {found[:12]}", "restore the ledger from a backup")
        return body

    def evidence_digests(self) -> list[str]:
        """The digests of all stored evidence, sorted."""
        with storage_errors():
            return [row[0] for row in self._db.read("SELECT digest FROM evidence ORDER BY digest")]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def lost(self) -> Head | None:
        """The event that this machine's high-water mark names, if the ledger does not have it any more.

        None also without a mark, and for one that cannot be read, which ``spine verify`` names.
        """
        mark = self._read_mark()
        if mark is None or not mark.hash:
            return None
        with storage_errors():
            return None if self._db.read(_HAS, (mark.seq, mark.hash)) else mark

    def _read_mark(self) -> Head | None:
        """The high-water mark; one that cannot be read is beyond every event, so that nothing replaces it."""
        try:
            return read_mark(self._mark) if self._mark is not None else None
        except BadInput:
            return Head(MAX_INTEGER, "")

    def _append(
        self,
        tx: Transaction,
        drafts: Sequence[Draft],
        expected: int | None,
        key: str | None,
        asked: Sequence[str],
        sealed: list[Event],
    ) -> Event | None:
        """One attempt: appends and adds to ``sealed``, or returns the event already recorded under the key."""
        rows = tx.execute(f"SELECT seq, {self._hash}, {self._event} FROM events ORDER BY seq DESC LIMIT {_LOOK_BACK}")  # noqa: S608
        if key is not None:
            earlier = tx.execute(f"SELECT {self._event}, {self._hash} FROM events WHERE key = ?", (key,))  # noqa: S608
            if earlier:  # before the check of `expected`: a retry sends the seq of its first attempt
                return same_request(decode_event(earlier[0][0], text_of(earlier[0][1])), drafts[0], key, asked)
        head = Head(rows[0][0], text_of(rows[0][1])) if rows else Head(0, GENESIS)
        at = newest_time(raw for _, _, raw in rows[:1]) or newest_time(raw for _, _, raw in rows)
        if expected is not None and head.seq != expected:
            raise moved(expected, head.seq)
        host, before = socket.gethostname(), head.seq
        written: list[tuple[Any, ...]] = []
        for number, draft in enumerate(drafts):
            mine = key if number == 0 else None
            event, raw = seal(draft, head, at, key=mine, now=self._clock(), actor=self.actor, host=host)
            row = (event.seq, self._db.as_kept(raw), event.hash, mine)
            tx.execute("INSERT INTO events (seq, event, hash, key) VALUES (?, ?, ?, ?)", row)
            sealed.append(event)
            written.append((event.seq, raw, event.hash, mine))
            head, at = Head(event.seq, event.hash), event.at
        self._check_kept(tx, before, written)
        return None

    def _check_committed(self, sealed: Sequence[Event]) -> None:
        """Look for the appended rows again: PostgreSQL can run a trigger at the commit, and a file can be replaced.

        Raises:
            Damaged: they are not there.
        """
        try:
            found = self._db.read("SELECT hash FROM events WHERE seq >= ? ORDER BY seq", (sealed[0].seq,))
        except StorageError:
            return  # they are committed; that nobody can read at this moment must not be told as a failed write
        if [text_of(row[0]) for row in found[: len(sealed)]] != [event.hash for event in sealed]:
            raise not_kept(f"event #{sealed[0].seq}")

    def _check_kept(self, tx: Transaction, before: int, written: list[tuple[Any, ...]]) -> None:
        """Read the appended rows back, because a trigger in the database can drop or change them without an error.

        Raises:
            Damaged: they are not what was written; the transaction must not be committed.
        """
        query = f"SELECT seq, {self._event}, hash, key FROM events WHERE seq > ? ORDER BY seq"  # noqa: S608
        if [(seq, bytes(raw), *rest) for seq, raw, *rest in tx.execute(query, (before,))] != written:
            raise not_kept(f"event #{written[0][0]}")
