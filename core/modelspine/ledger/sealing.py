"""Completing a draft into the event that is stored: its time, its canonical bytes and its hash.

Pure: the clock's reading, the place in the chain and the writer are arguments. It does not know databases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785

from modelspine.errors import BadInput, Damaged
from modelspine.ledger.bodies import MAX_BODY, MAX_NAME, body_fault, is_time
from modelspine.ledger.event import Draft, Event, Head, decode_event
from modelspine.times import FORMAT

AHEAD = timedelta(minutes=5)
"""How far the newest event may lie ahead of a writer's clock before that clock is recorded beside ``at``."""


def seal(
    draft: Draft, after: Head, at: str, *, key: str | None, now: datetime, actor: str, host: str
) -> tuple[Event, bytes]:
    """The event that a draft becomes, and its canonical bytes.

    Args:
        draft: kind and body.
        after: the newest event.
        at: its time; empty where there is none.
        key: the idempotency key, if any. It is part of the body too, so that the hash chain covers it.
        now: the writer's clock.
        actor: who writes.
        host: on which machine.

    Raises:
        BadInput: the body is too long, not one of its kind, or cannot be encoded as canonical JSON.
    """
    body = {**draft.body, **({"key": key} if key is not None else {})}
    mine = now.astimezone(UTC)
    stamp = mine.strftime(FORMAT)
    # The order of events is that of their seqs, and their times must not contradict it. Where the newest event lies
    # far ahead, one of two clocks is wrong and nobody can say which, so the writer's own is kept as well.
    behind = {"clock": stamp} if at and datetime.fromisoformat(at) - mine > AHEAD else {}
    fields: dict[str, Any] = {
        "seq": after.seq + 1,
        "at": max(stamp, _just_after(at)),
        "actor": _name(actor),
        "host": _name(host),
        "kind": draft.kind,
        "body": body | behind,
        "prev": after.hash,
    }
    try:
        raw = rfc8785.dumps(fields)
        size = len(rfc8785.dumps(body))
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise BadInput(f"the event cannot be encoded as JSON: {error}", "use plain text") from error
    if size > MAX_BODY:
        raise BadInput(f"the event's body has {size} bytes, the limit is {MAX_BODY}", "shorten the reason or note")
    if fault := body_fault(draft.kind, fields["body"], after.seq + 1):
        raise BadInput(f"this event would not be readable: {fault}", "correct what it names; nothing was written")
    return decode_event(raw, hashlib.sha256(raw).hexdigest()), raw


def _name(text: str) -> str:
    """A name from this machine's environment as it can be stored: no such name may block a change."""
    return text.encode("utf-8", "replace").decode()[:MAX_NAME]


def newest_time(rows: Iterable[bytes]) -> str:
    """The latest time in the stored bytes of some events; empty if none of them has one."""
    times = [""]
    for raw in rows:
        try:
            event = decode_event(raw, "")
        except Damaged:
            continue
        times += [event.at] if is_time(event.at) else []
    return max(times)


def _just_after(at: str) -> str:
    """The time one microsecond after another; the other where there is none."""
    try:
        return (datetime.fromisoformat(at) + timedelta(microseconds=1)).strftime(FORMAT)
    except (ValueError, OverflowError):
        return at
