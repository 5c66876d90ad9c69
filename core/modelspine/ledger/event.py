"""An event of the ledger, its encoding, and the verification of the hash chain that events form.

It does not know where events are stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelspine.errors import Conflict, Damaged, SpineError

GENESIS = "0" * 64
"""The ``prev`` hash of the first event."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded event. The order is that of ``seq``; ``at`` (RFC 3339, UTC, six digits) is informative."""

    seq: int
    at: str
    actor: str
    host: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has not been appended yet."""

    kind: str
    body: dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """Seq and hash of the newest event; (0, ``GENESIS``) for an empty ledger."""

    seq: int
    hash: str


_decoder = msgspec.json.Decoder(Event)


def same_request(event: Event, draft: Draft, key: str, asked: Sequence[str]) -> Event:
    """The event already recorded under an idempotency key, if it is the result of the same request.

    ``asked`` names the body fields to compare; empty compares all fields of the draft.

    Raises:
        Conflict: the key was used for a different request.
    """
    # Fields derived from the state may differ between the attempts of one request, so only asked fields count.
    names: Sequence[str] = asked or tuple(draft.body)
    if event.kind == draft.kind and all(event.body.get(name) == draft.body.get(name) for name in names):
        return event
    raise Conflict(
        f"the key {key[:64]!r} was already used for event #{event.seq} ({event.kind})",
        "use a new key for a new request",
    )


def decode_event(text: str | bytes, digest: str) -> Event:
    """Decode the stored bytes of an event and attach its hash.

    Raises:
        Damaged: the bytes are not an event.
    """
    try:
        event = _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise _broken(f"an event cannot be decoded: {error}") from error
    # The hash is stored next to the bytes, so it is not decoded. Copying the frozen struct to set it would take
    # longer than the decoding; nobody else holds a reference yet.
    msgspec.structs.force_setattr(event, "hash", digest)
    return event


def verified_events(rows: Sequence[tuple[Any, ...]], start: Head) -> Iterator[Event]:
    """The events of the rows (seq, bytes, hash) that follow ``start``, with their chain verified.

    Raises:
        Damaged: a row's bytes do not match its hash, an event does not link to the previous one, or a seq is missing.
    """
    seq, prev = start.seq, start.hash
    for stored, text, digest in rows:
        seq += 1
        if stored != seq:
            raise _broken(f"event #{seq} is missing")
        if hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest() != digest:
            raise _broken(f"event #{seq} does not match its stored hash")
        event = decode_event(text, digest)
        if event.seq != seq or event.prev != prev:
            raise _broken(f"event #{seq} does not follow event #{seq - 1}")
        prev = digest
        yield event


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
    return Damaged(
        f"the ledger's hash chain is broken: {what}",
        "restore the ledger from a backup; `spine verify` lists every problem",
    )
