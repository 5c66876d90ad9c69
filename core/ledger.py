"""The append-only, hash-chained log of everything that happened, in one SQL table.

A row keeps an event's canonical bytes; its hash is over those bytes and every field is read from them.
Beside the events stands ``evidence``: reports and manifests, by the SHA-256 of their bytes.
It does not know what a model is, nor what the events mean (``core.state`` folds them).

    hash = SHA-256(RFC 8785 of {seq, at, actor, host, kind, body, prev}); the first prev is 64 zeros.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import rfc8785

from core.errors import BadInput, Conflict, Damaged, SpineError, Unavailable
from miniobserve.sql import StorageError, Transaction, connect

GENESIS = "0" * 64
MAX_BODY = 1024
"""Longest canonical body of an event, bytes; what is longer goes in as evidence, by digest."""

_EVENTS = """CREATE TABLE IF NOT EXISTS events
    (seq INTEGER PRIMARY KEY, event TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, key TEXT UNIQUE)"""
_EVIDENCE = "CREATE TABLE IF NOT EXISTS evidence (digest TEXT PRIMARY KEY, body TEXT NOT NULL)"

Clock = Callable[[], datetime]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. ``seq`` orders; ``at`` (RFC 3339, UTC, six digits) only tells."""

    seq: int
    at: str
    actor: str
    host: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has been decided and not yet appended."""

    kind: str
    body: dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """The newest event: its seq and hash; (0, 64 zeros) before the first."""

    seq: int
    hash: str


_decoder = msgspec.json.Decoder(Event)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a failure of the storage protocol into the tree of ``core.errors``."""
    try:
        yield
    except StorageError as error:
        leaf = {"unavailable": Unavailable, "damaged": Damaged, "conflict": Conflict}[error.kind]
        raise leaf(error.message, error.hint) from error


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
                self._db.script((_EVENTS, _EVIDENCE))
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
        return list(_checked(rows, start))

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
        with storage_errors(), self._db.transaction() as tx:
            rows = tx.execute("SELECT seq, hash, event FROM events ORDER BY seq DESC LIMIT 1")
            if key is not None:
                earlier = tx.execute("SELECT event, hash FROM events WHERE key = ?", (key,))
                if earlier:
                    return [same_request(_event(*earlier[0]), drafts[0], key, asked)], False
            seq, prev = (rows[0][0], rows[0][1]) if rows else (0, GENESIS)
            at = _event(rows[0][2], rows[0][1]).at if rows else ""
            if expected is not None and seq != expected:
                raise Conflict(
                    f"the ledger moved from #{expected} to #{seq} meanwhile; nothing was changed",
                    "look at it again (`spine history`), then repeat the command",
                )
            appended = []
            for number, draft in enumerate(drafts):
                event = self._seal(draft, seq, at, prev, key if number == 0 else None, tx)
                appended.append(event)
                seq, at, prev = event.seq, event.at, event.hash
        return appended, True

    def by_key(self, key: str) -> Event | None:
        """The event that was appended under an idempotency key."""
        with storage_errors():
            rows = self._db.read("SELECT event, hash FROM events WHERE key = ?", (key,))
        return _event(*rows[0]) if rows else None

    def put(self, body: bytes) -> str:
        """Keep a piece of evidence (UTF-8 text) and return its SHA-256; the same bytes are kept once."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise BadInput("evidence that is not UTF-8 text cannot be kept", "write the file as UTF-8 JSON") from error
        with storage_errors(), self._db.transaction() as tx:
            if not tx.execute("SELECT 1 FROM evidence WHERE digest = ?", (digest,)):
                tx.execute("INSERT INTO evidence (digest, body) VALUES (?, ?)", (digest, text))
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
            text = rfc8785.dumps(fields).decode()
            size = len(rfc8785.dumps(body))
        except (rfc8785.CanonicalizationError, UnicodeError) as error:
            raise BadInput(f"this cannot be written into the ledger: {error}", "use plain text") from error
        if size > MAX_BODY:
            raise BadInput(
                f"an event's body is at most {MAX_BODY} bytes and this one has {size}", "shorten the reason or note"
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        tx.execute("INSERT INTO events (seq, event, hash, key) VALUES (?, ?, ?, ?)", (fields["seq"], text, digest, key))
        return _event(text, digest)


def same_request(event: Event, draft: Draft, key: str, asked: Sequence[str]) -> Event:
    """The earlier event of a key, where it is the result of the same request.

    Raises:
        Conflict: the key was used for something else.
    """
    names: Sequence[str] = asked or tuple(draft.body)
    if event.kind == draft.kind and all(event.body.get(name) == draft.body.get(name) for name in names):
        return event
    raise Conflict(
        f"the key {key[:64]!r} already stands for event #{event.seq} ({event.kind})", "use a new key for a new request"
    )


def _event(text: str, digest: str) -> Event:
    try:
        event = _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise _broken(f"an event cannot be read: {error}") from error
    # The hash stands beside the bytes and not in them; a copy to add it would cost more than the decoding.
    msgspec.structs.force_setattr(event, "hash", digest)
    return event


def _checked(rows: Sequence[tuple[Any, ...]], start: Head) -> Iterator[Event]:
    seq, prev = start.seq, start.hash
    for stored, text, digest in rows:
        seq += 1
        if stored != seq:
            raise _broken(f"event #{seq} is missing")
        if hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest() != digest:
            raise _broken(f"event #{seq} does not have the hash stored beside it")
        event = _event(text, digest)
        if event.seq != seq or event.prev != prev:
            raise _broken(f"event #{seq} does not follow event #{seq - 1}")
        prev = digest
        yield event


def _broken(what: str) -> SpineError:
    return Damaged(
        f"the ledger's chain is broken: {what}", "restore the ledger from a backup; `spine verify` lists all"
    )


def require(body: Mapping[str, Any], name: str) -> str:
    """A text field of an event's body that must be there."""
    value = body.get(name)
    if not isinstance(value, str):
        raise _broken(f"an event lacks {name!r}")
    return value
