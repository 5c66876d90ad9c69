"""The append-only, hash-chained log of everything that happened, in one SQL table.

A row keeps an event's canonical bytes; its hash is over those bytes and every field is read from them.
Beside the events stands ``evidence``: reports and manifests, by the SHA-256 of their bytes.
It does not know what a model is, nor what the events mean (``ledger.state`` folds them).

    hash = SHA-256(RFC 8785 of {seq, at, actor, host, kind, body, prev}); the first prev is 64 zeros.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import rfc8785

from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError, Transaction
from modelspine.errors import BadInput, Conflict, Damaged, SpineError, Unavailable
from modelspine.extras import missing_extra
from modelspine.ledger.event import GENESIS, Draft, Event, Head, checked, event_of, require, same_request

MAX_BODY = 1024
"""Longest canonical body of an event, bytes; what is longer goes in as evidence, by digest."""

_EVENTS = """CREATE TABLE IF NOT EXISTS events
    (seq INTEGER PRIMARY KEY, event {bytes} NOT NULL, hash TEXT NOT NULL UNIQUE, key TEXT UNIQUE)"""
_EVIDENCE = "CREATE TABLE IF NOT EXISTS evidence (digest TEXT PRIMARY KEY, body {bytes} NOT NULL)"
_TRIES = 200
"""How often an append is made again where other writers were faster or the connection broke."""
_LOST = 3
"""How often a write that cannot be done twice is made again where the connection broke."""

Clock = Callable[[], datetime]

__all__ = [
    "GENESIS",
    "MAX_BODY",
    "Clock",
    "Draft",
    "Event",
    "Head",
    "Ledger",
    "require",
    "same_request",
    "storage_errors",
]


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a failure of the storage protocol into the tree of ``errors``."""
    try:
        yield
    except StorageError as error:
        raise missing_extra(error) or _mapped(error) from error


def _mapped(error: StorageError) -> SpineError:
    return {"damaged": Damaged, "conflict": Conflict}.get(error.kind, Unavailable)(error.message, error.hint)


class Ledger:
    """One open ledger; safe to share between threads."""

    def __init__(
        self, url: str, *, actor: str, create: bool = False, readonly: bool = False, clock: Clock | None = None
    ) -> None:
        self.url = url
        self.actor = actor
        self._clock: Clock = clock or (lambda: datetime.now(UTC))
        with storage_errors():
            self._db = connect(url, create=create, readonly=readonly)
            if create:
                self._db.script([table.format(bytes=self._db.bytes_column) for table in (_EVENTS, _EVIDENCE)])
                self._db.append_only("events")
                self._db.append_only("evidence")

    def head(self) -> Head:
        """The newest event's seq and hash, by one indexed read."""
        with storage_errors():
            rows = self._db.read("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")
        return Head(*rows[0]) if rows else Head(0, GENESIS)

    def events(self, after: Head | None = None) -> list[Event]:
        """Every event after ``after`` (None: from the first), in order, its chain checked.

        Raises:
            Damaged: a row's bytes do not have its hash, a link does not hold, or a seq is missing.
        """
        start = after or Head(0, GENESIS)
        with storage_errors():
            rows = self._db.read("SELECT seq, event, hash FROM events WHERE seq > ? ORDER BY seq", (start.seq,))
        return list(checked(rows, start))

    def lines(self, first: int = 1) -> list[bytes]:
        """The stored bytes of each event from a seq on, in order and unchecked: what its hash is over."""
        with storage_errors():
            rows = self._db.read("SELECT event FROM events WHERE seq >= ? ORDER BY seq", (first,))
        return [row[0].encode() if isinstance(row[0], str) else bytes(row[0]) for row in rows]

    def append(
        self, drafts: Sequence[Draft], *, expected: int | None, key: str | None = None, asked: Sequence[str] = ()
    ) -> tuple[list[Event], bool]:
        """Append the drafts together, right after the event ``expected``.

        Args:
            drafts: what was decided; the first one carries the key.
            expected: the seq the decision was made on; None appends after whatever is newest.
            key: an idempotency key; an event that has it and agrees in kind and in the ``asked``
                fields of its body is the earlier result of this very request.
            asked: the fields of the body that the caller gave, not the ones derived from the state.

        Returns:
            The events, and False where an earlier request had already appended them.

        Raises:
            Conflict: the ledger moved since ``expected``, or the key stands for something else.
        """
        doubtful: list[list[Event]] = []
        for attempt in range(_TRIES):
            sealed: list[Event] = []
            try:
                with self._db.transaction() as tx:
                    # A commit whose connection broke may have been kept all the same: its hash says so.
                    for events in doubtful:
                        if tx.execute("SELECT 1 FROM events WHERE hash = ?", (events[0].hash,)):
                            return events, True
                    earlier = self._append(tx, drafts, expected, key, asked, sealed)
                return ([earlier], False) if earlier else (sealed, True)
            except StorageError as error:
                doubtful += [sealed] if sealed and error.kind == "lost" else []
                if error.kind != "conflict" and (error.kind != "lost" or attempt == _TRIES - 1):
                    raise _told(error, doubtful) from error
                time.sleep(os.urandom(1)[0] / 25_600 if attempt else 0)  # writers that met should not meet again
        raise Conflict(f"others appended {_TRIES} times meanwhile; nothing was changed", "try again when it is quieter")

    def by_key(self, key: str) -> Event | None:
        """The event that was appended under an idempotency key."""
        with storage_errors():
            rows = self._db.read("SELECT event, hash FROM events WHERE key = ?", (key,))
        return event_of(*rows[0]) if rows else None

    def put(self, body: bytes) -> str:
        """Keep a piece of evidence (UTF-8 text) and return its SHA-256; the same bytes are kept once."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadInput("evidence that is not UTF-8 text cannot be kept", "write the file as UTF-8 JSON") from error
        row = (digest, self._db.as_kept(body))
        statement = "INSERT INTO evidence (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
        with storage_errors():
            for attempt in range(_LOST + 1):
                try:
                    with self._db.transaction() as tx:
                        tx.execute(statement, row)
                    break
                except StorageError as error:
                    if error.kind != "lost" or attempt == _LOST:
                        raise
        return digest

    def get(self, digest: str) -> bytes:
        """A piece of evidence, re-hashed now.

        Raises:
            Damaged: it is missing or its bytes do not have this digest.
        """
        with storage_errors():
            rows = self._db.read("SELECT body FROM evidence WHERE digest = ?", (digest,))
        if not rows:
            raise Damaged(f"evidence {digest[:12]} is not in the ledger's store", "restore the ledger from a backup")
        body: bytes = rows[0][0].encode() if isinstance(rows[0][0], str) else bytes(rows[0][0])
        found = hashlib.sha256(body).hexdigest()
        if found != digest:
            raise Damaged(f"evidence {digest[:12]} hashes to {found[:12]} now", "restore the ledger from a backup")
        return body

    def evidence_digests(self) -> list[str]:
        """The digest of every piece of evidence kept."""
        with storage_errors():
            return [row[0] for row in self._db.read("SELECT digest FROM evidence ORDER BY digest")]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _append(
        self,
        tx: Transaction,
        drafts: Sequence[Draft],
        expected: int | None,
        key: str | None,
        asked: Sequence[str],
        sealed: list[Event],
    ) -> Event | None:
        """One attempt: fills ``sealed``, or gives the event an earlier request had left under the key."""
        rows = tx.execute("SELECT seq, hash, event FROM events ORDER BY seq DESC LIMIT 1")
        if key is not None:
            earlier = tx.execute("SELECT event, hash FROM events WHERE key = ?", (key,))
            if earlier:
                return same_request(event_of(*earlier[0]), drafts[0], key, asked)
        seq, prev = (rows[0][0], rows[0][1]) if rows else (0, GENESIS)
        at = event_of(rows[0][2], rows[0][1]).at if rows else ""
        if expected is not None and seq != expected:
            raise Conflict(
                f"the ledger moved from #{expected} to #{seq} meanwhile; nothing was changed",
                "look at it again (`spine history`), then repeat the command",
            )
        for number, draft in enumerate(drafts):
            event = self._seal(draft, seq, at, prev, key if number == 0 else None, tx)
            sealed.append(event)
            seq, at, prev = event.seq, event.at, event.hash
        return None

    def _seal(self, draft: Draft, seq: int, at: str, prev: str, key: str | None, tx: Transaction) -> Event:
        body = {**draft.body, **({"key": key} if key is not None else {})}
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields: dict[str, Any] = {
            "seq": seq + 1,
            "at": max(now, at),
            "actor": self.actor,
            "host": socket.gethostname(),
            "kind": draft.kind,
            "body": body,
            "prev": prev,
        }
        try:
            raw = rfc8785.dumps(fields)
            size = len(rfc8785.dumps(body))
        except (rfc8785.CanonicalizationError, UnicodeError) as error:
            raise BadInput(f"this cannot be written into the ledger: {error}", "use plain text") from error
        if size > MAX_BODY:
            raise BadInput(
                f"an event's body is at most {MAX_BODY} bytes and this one has {size}", "shorten the reason or note"
            )
        digest = hashlib.sha256(raw).hexdigest()
        row = (fields["seq"], self._db.as_kept(raw), digest, key)
        tx.execute("INSERT INTO events (seq, event, hash, key) VALUES (?, ?, ?, ?)", row)
        return event_of(raw, digest)


def _told(error: StorageError, doubtful: Sequence[Sequence[Event]]) -> SpineError:
    """A failed append; where its commit may have been kept, that is said."""
    if not doubtful:
        return _mapped(error)
    return Unavailable(
        f"the connection broke while #{doubtful[-1][0].seq} was committed, and it cannot be asked now: {error.message}",
        "it may have been kept: look with `spine history`, or repeat the command with the same --key",
    )
