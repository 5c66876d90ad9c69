"""An event of the ledger, its encoding, and the verification of the hash chain that events form.

It does not know where events are stored.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelspine.errors import Conflict, Damaged, SpineError
from modelspine.ledger.bodies import UNREADABLE, body_fault, frame_fault
from modelspine.text import visible

GENESIS = "0" * 64
"""The ``prev`` hash of the first event."""
_RESTORE = "restore the ledger from a backup; `spine verify` lists every problem"
_NO_TIME = "1970-01-01T00:00:00.000000Z"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recorded event. The order is that of ``seq``; ``at`` (RFC 3339, UTC, six digits) never decreases with it."""

    seq: int
    at: str
    actor: str
    host: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str = ""

    @property
    def time(self) -> str:
        """When it was written by its writer's clock, in the format of ``at``.

        ``at`` follows the event before it, so after one from a clock that was ahead it says nothing about the time;
        the writer's own clock is then in the body.
        """
        return str(self.body.get("clock") or self.at)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has not been appended yet."""

    kind: str
    body: dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """Seq and hash of the newest event; (0, ``GENESIS``) for an empty ledger."""

    seq: int
    hash: str


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be interpreted, and why; it changes nothing."""

    seq: int
    why: str


class _Linked(msgspec.Struct, frozen=True, kw_only=True):
    """What links a row to the chain, whatever else is wrong with it."""

    seq: Any
    prev: Any


class _Fractions(threading.local):
    """How many fractions this thread has decoded: a body that has one needs a closer look."""

    seen = 0

    def decode(self, text: str) -> float:
        self.seen += 1
        return float(text)


_fractions = _Fractions()
_decoder = msgspec.json.Decoder(Event, float_hook=_fractions.decode)
_link = msgspec.json.Decoder(_Linked)
_LINK_AT_END = re.compile(rb'"prev":"([0-9a-f]{64})","seq":([0-9]{1,16})\}\Z')
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def same_request(event: Event, draft: Draft, key: str, asked: Sequence[str]) -> Event:
    """The event already recorded under an idempotency key, if it is the result of the same request.

    ``asked`` names the body fields to compare; empty compares all fields of the draft.

    Raises:
        Conflict: the key was used for a different request.
        Damaged: the database names the event under this key, and the event has another one.
    """
    if event.body.get("key") != key:
        raise wrong_key(event.seq, key)
    # Fields derived from the state may differ between the attempts of one request, so only asked fields count.
    names: Sequence[str] = asked or tuple(draft.body)
    if event.kind == draft.kind and all(event.body.get(name) == draft.body.get(name) for name in names):
        return event
    raise Conflict(
        f"the key {key[:64]!r} was already used for event #{event.seq} ({event.kind})",
        "use a new key for a new request",
    )


def wrong_key(seq: int, key: str) -> Damaged:
    """The error if the database names an event under a key that no event of the chain has."""
    return Damaged(
        f"the ledger's database names event #{seq} under the key {visible(key, 64)!r}, and no event has it",
        "repeat the command with another --key; `spine verify` names what is wrong with the database",
    )


def decode_event(text: str | bytes, digest: str) -> Event:
    """Decode the stored bytes of an event and attach its hash.

    Raises:
        Damaged: the bytes are not an event.
    """
    try:
        event = _decoder.decode(text)
    except _UNDECODABLE as error:
        raise Damaged(f"it cannot be decoded: {visible(str(error), 120)}", _RESTORE) from error
    # The hash is stored next to the bytes, so it is not decoded. Copying the frozen struct to set it would take
    # longer than the decoding; nobody else holds a reference yet.
    msgspec.structs.force_setattr(event, "hash", digest)
    return event


def verified_events(rows: Sequence[tuple[Any, ...]], start: Head) -> Iterator[Event]:
    """The events of the rows (seq, bytes, hash) that follow ``start``, with their chain verified.

    A row that is in its place, but was changed there, or is not an event as this package writes it, gives a stand-in:
    see ``stand_in``.

    Raises:
        Damaged: an event does not link to the previous one, or a seq is missing.
    """
    seq, prev, at = start.seq, start.hash, ""
    for stored, text, digest in rows:
        seq += 1
        if stored != seq:
            raise _broken(f"event #{seq} is missing")
        raw, found = bytes(text or b""), text_of(digest)
        if hashlib.sha256(raw).hexdigest() != found:
            # It was changed where it stands. The next row names its hash, so the chain goes on, and a rollback is
            # possible; what it said is lost.
            event, linked = stand_in(Head(seq, prev), found, at, "its bytes do not match its stored hash"), None
        else:
            event, linked = read_event(raw, found, Head(seq, prev), at)
        if linked is not None:
            raise _broken(linked)
        prev, at = found, event.at
        yield event


def text_of(column: Any) -> str:
    """A hash or key as it was read from a row: text, or bytes of any content if somebody wrote those."""
    return column.decode("utf-8", "backslashreplace") if isinstance(column, bytes) else str(column)


def read_event(raw: bytes, digest: str, place: Head, before: str) -> tuple[Event, str | None]:
    """The event of one row whose hash is right, and how it fails to link to the chain; None if it links.

    Args:
        raw: the row's bytes.
        digest: their hash.
        place: the seq that the row must have, and the hash of the row before it.
        before: the time of the event before it; empty for the first.
    """
    known = _fractions.seen
    try:
        event = decode_event(raw, "")
    except Damaged as error:
        where, prev = _link_of(raw)
        if prev is None:
            # Its own hash is right and the next row names it, so the chain goes on through it. Whoever can write such a
            # row can as well rewrite the chain; it is named like any other bad row, and a rollback stays possible.
            return stand_in(place, digest, before, f"{error.message}, and names no event before it"), None
        event = stand_in(Head(place.seq, str(prev)), digest, before, error.message)
    else:
        where, prev = event.seq, event.prev
        fault, at = frame_fault(event, raw, before, fractions=_fractions.seen != known), before
        msgspec.structs.force_setattr(event, "hash", digest)
        if fault is None:
            fault, at = body_fault(event.kind, event.body, event.seq), event.at
        if fault is not None:
            event = stand_in(Head(place.seq, event.prev), digest, at, fault, event.kind)
    if where != place.seq or type(where) is not int:
        return event, f"event #{place.seq} has the seq {visible(str(where), 20)} in its body"
    if prev != place.hash:
        was = visible(str(prev)[:12], 20)
        return event, f"event #{place.seq} does not follow event #{place.seq - 1}: it names {was} as the one before it"
    return event, None


def linked_to(raw: bytes) -> str:
    """The hash that a row names as that of the row before it; empty if it names none."""
    return str(_link_of(raw)[1] or "")


def _link_of(raw: bytes) -> tuple[Any, Any]:
    """The seq and the hash of the row before that a row names; None for each if it names none."""
    try:
        found = _link.decode(raw)
    except _UNDECODABLE:
        # Canonical JSON orders its keys, so these two end the row, whatever the rest of it is.
        end = _LINK_AT_END.search(raw)
        return (int(end[2]), end[1].decode()) if end is not None else (None, None)
    return found.seq, found.prev


def stand_in(place: Head, digest: str, at: str, why: str, kind: str = "") -> Event:
    """What stands for a row that cannot be read: an event of a kind of its own that changes nothing.

    It keeps seq and hash, so that the events after it stay where they are and the chain can be followed through it.
    ``place`` is its seq and the hash of the row before it, and ``at`` the time of the event before it.
    """
    body = {"why": why, **({"kind": visible(kind, 40)} if kind else {})}
    return Event(
        seq=place.seq, at=at or _NO_TIME, actor="", host="", kind=UNREADABLE, body=body, prev=place.hash, hash=digest
    )


def moved(expected: int, seq: int) -> Conflict:
    """The error if the ledger is at ``seq`` and not at the ``expected`` one."""
    return Conflict(
        f"the ledger moved from #{expected} to #{seq} meanwhile; nothing was changed",
        "review the new events (`spine history`), then repeat the command",
    )


def overtaken(attempts: int) -> Conflict:
    """The error if other writers appended first in every attempt."""
    return Conflict(
        f"other writers appended first in {attempts} attempts; nothing was changed", "retry when there is less load"
    )


def _broken(what: str) -> SpineError:
    return Damaged(f"the ledger's hash chain is broken: {what}", _RESTORE)
