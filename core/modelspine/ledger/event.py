"""An event of the ledger as a value and as bytes, and the chain that events make.

It does not know where events are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from modelspine.errors import Conflict, Damaged, SpineError

GENESIS = "0" * 64


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


def event_of(text: str | bytes, digest: str) -> Event:
    """The event that stored bytes spell.

    Raises:
        Damaged: they spell none.
    """
    try:
        event = _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise _broken(f"an event cannot be read: {error}") from error
    # The hash stands beside the bytes and not in them; a copy to add it would cost more than the decoding.
    msgspec.structs.force_setattr(event, "hash", digest)
    return event


def checked(rows: Sequence[tuple[Any, ...]], start: Head) -> Iterator[Event]:
    """Rows of (seq, bytes, hash) after ``start`` as events, each linked to the one before.

    Raises:
        Damaged: a row's bytes do not have its hash, a link does not hold, or a seq is missing.
    """
    seq, prev = start.seq, start.hash
    for stored, text, digest in rows:
        seq += 1
        if stored != seq:
            raise _broken(f"event #{seq} is missing")
        if hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest() != digest:
            raise _broken(f"event #{seq} does not have the hash stored beside it")
        event = event_of(text, digest)
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
