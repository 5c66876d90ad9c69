"""The body of each kind of event as types, and why a stored event is not one that this package could have written.

Readers take ``body`` as a dictionary, so a malformed one would break them far from its cause. Each row is therefore
checked once, when it is read. Kinds that are not listed here belong to a newer version: nothing interprets them, and
only their frame is checked. Further fields in a known body are allowed for the same reason. It does not know the state
that events fold to, or where they are stored.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import rfc8785
from msgspec import Meta

from modelspine.text import visible

MAX_BODY = 1024
"""Maximum size of an event's canonical body in bytes; larger content is stored as evidence and named by digest."""
MAX_NAME = 256
"""Maximum length of an actor, a host and a kind in characters."""
UNREADABLE = "unreadable"
"""The kind of an event that stands in for a row that could not be read; no stored event has it."""
CLOCK_ROOM = len(',"clock":"2026-01-01T00:00:00.000000Z"')
"""Bytes of the field ``clock``, which does not count towards ``MAX_BODY``: a wrong clock must not block a change."""
SEMVER = r"v(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})(-[0-9A-Za-z.-]{1,32})?"
"""Versions as any release of this package wrote them; ``ledger.state.check_semver`` is stricter for new ones."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_SHAPE = bytes(ord("0" if chr(b) in "0123456789" else ":" if chr(b) in ":,[-" else " ") for b in range(256))
_LONG_NUMBER = b":" + b"0" * 16
"""In bytes translated by ``_SHAPE``: a number of 16 digits or more, which stands after one of ``:,[-``."""


FIELDS = ("seq", "at", "actor", "host", "kind", "body", "prev")
"""The fields of an event that its hash covers."""
_FAST = msgspec.json.Encoder(order="sorted").encode

Sha = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", max_length=64)]
Text = Annotated[str, Meta(max_length=MAX_BODY)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Weight = Annotated[int, Meta(ge=0, le=10_000)]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", max_length=10)]
FileName = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*\Z", max_length=120)]
"""A plain file name: a report is read from a folder by the name in its event, so it must not lead out of it."""
Evidence = dict[str, Sha]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What every body may have: the idempotency key, and the writer's clock where its predecessor lies ahead of it."""

    key: Text | None = None
    clock: str | None = None


class Opened(Body, frozen=True, kw_only=True):
    """The first event: the environment of the ledger."""

    env: Literal["dev", "prod"]


class Registered(Body, frozen=True, kw_only=True):
    """A bundle became an entry."""

    sha: Sha
    weights: Sha | None = None
    config: Sha | None = None
    assets: Sha | None = None
    parent: Sha | None = None
    variant: Text = ""
    run_id: Text | None = None
    size: Count = 0
    evidence: Evidence = {}
    corpora: tuple[Text, ...] = ()
    total: tuple[Count, Count] | None = None
    false_accept: tuple[Count, Count] | None = None


class Gated(Body, frozen=True, kw_only=True):
    """A gate run decided about an entry."""

    sha: Sha
    result: Text
    report: Sha | None = None
    baseline: Sha | None = None
    stable: Sha | None = None
    floor: Sha | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion is based on: a signed verdict by its digest, or an unsigned gate run."""

    signed: bool = False
    digest: Sha | None = None
    key: Text | None = None
    report: Sha | None = None
    gated: Seq | None = None


class Promoted(Body, frozen=True, kw_only=True):
    """An entry got a semver."""

    sha: Sha
    semver: Annotated[str, Meta(pattern=rf"^{SEMVER}\Z", max_length=64)]
    reason: Text = ""
    verdict: Verdict | None = None
    override: bool = False


class RouteArm(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a route."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    sha: Sha
    semver: Annotated[str, Meta(max_length=64)]
    weight_bp: Weight


class RouteGuard(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a canary, where they differ from the defaults."""

    margin_bp: Count = 0
    error_bp: Count = 0
    latency_pct: Count = 0
    window_seconds: Count = 0
    horizon: Count = 0


class RouteLadder(msgspec.Struct, frozen=True, kw_only=True):
    """A canary's steps (weight, seconds, samples) and the one in force."""

    steps: Annotated[tuple[tuple[Weight, Count, Count], ...], Meta(min_length=1)]
    at: Count
    auto: bool
    guard: RouteGuard

    def __post_init__(self) -> None:
        """Check that the step in force is one of the ladder's."""
        if self.at >= len(self.steps):
            raise ValueError(f"step {self.at} of a ladder with {len(self.steps)}")


class Routed(Body, frozen=True, kw_only=True):
    """A route came into force: by a change of traffic, or by a rollback."""

    strategy: Literal["single", "ab", "canary", "shadow"]
    arms: Annotated[tuple[RouteArm, ...], Meta(min_length=1, max_length=2)]
    sha: Sha
    reason: Text = ""
    verb: Text | None = None
    weight_bp: Weight | None = None
    ladder: RouteLadder | None = None
    rollout: Seq | None = None
    judged: Seq | None = None
    """The epoch whose passing verdict a step rests on, where the entry's promotion does not allow it."""

    def __post_init__(self) -> None:
        """Check that a rollout has two arms and a single route one."""
        if len(self.arms) != (1 if self.strategy == "single" else 2):
            raise ValueError(f"strategy {self.strategy} with {len(self.arms)} arms")


class Marked(Body, frozen=True, kw_only=True):
    """An entry was put on hold, released or tombstoned."""

    sha: Sha
    reason: Text = ""


class Denied(Body, frozen=True, kw_only=True):
    """A refused promotion."""

    verb: Text
    sha: Sha
    reason: Text
    semver: Text | None = None
    verdict: Text | None = None
    signer: Text | None = None
    idempotency_key: Text | None = None


class DriftReported(Body, frozen=True, kw_only=True):
    """A drift report was recorded."""

    day: Day
    entry: Sha
    evidence: Evidence
    file: FileName
    status: Text
    n: Count = 0
    against_day: Day | None = None


class Noted(Body, frozen=True, kw_only=True):
    """Somebody's note, perhaps about an entry."""

    text: Text
    sha: Sha | None = None


class Claimed(Body, frozen=True, kw_only=True):
    """A name that a server gives its model, and the entry that it means."""

    model: Text
    sha: Sha
    reason: Text


BODIES: dict[str, type[Body]] = {
    "opened": Opened,
    "registered": Registered,
    "gated": Gated,
    "promoted": Promoted,
    "routed": Routed,
    "rolled_back": Routed,
    "held": Marked,
    "released": Marked,
    "denied": Denied,
    "tombstoned": Marked,
    "drift_reported": DriftReported,
    "noted": Noted,
    "claimed": Claimed,
}
"""Kind of event → the type of its body."""


def body_fault(kind: str, body: dict[str, Any], seq: int) -> str | None:
    """Why a body is not one of its kind, in words; None if it is, or if the kind is unknown to this version."""
    wanted = BODIES.get(kind)
    try:
        found = msgspec.convert(body, wanted if wanted is not None else Body)
    except msgspec.ValidationError as error:
        return f"its body is not that of {visible(kind, 40)!r}: {visible(str(error), 120)}"
    if found.clock is not None and not is_time(found.clock):
        return f"its clock {visible(found.clock, 40)!r} is not a time"
    if isinstance(found, Routed) and found.rollout is not None and found.rollout >= seq:
        return f"its rollout #{found.rollout} is not an earlier event"
    if isinstance(found, Opened) and seq != 1:
        return "only the first event opens a ledger"
    return f"the kind {kind!r} is never stored" if kind == UNREADABLE else None


def frame_fault(event: Any, raw: bytes, before: str, *, fractions: bool) -> str | None:
    """Why an event around its body is not one that this package writes; None if it is.

    Args:
        event: the decoded ``ledger.event.Event``, without its hash.
        raw: its stored bytes.
        before: the time of the event before it; empty for the first.
        fractions: whether a number in the bytes is written as a fraction or with an exponent.
    """
    if not is_time(event.at):
        return f"its time {visible(event.at, 40)!r} is not one"
    if max(len(event.actor), len(event.host), len(event.kind)) > MAX_NAME:
        return f"its actor, host or kind has over {MAX_NAME} characters"
    if event.at < before:
        return f"its time {event.at} is before that of the event before it, {before}"
    # The canonical encoder takes 0.1 ms an event, msgspec 1 µs; they agree on nearly every event.
    canonical = _FAST(event) == raw and not fractions and _is_plain(raw)
    if not canonical:
        try:
            if rfc8785.dumps({name: getattr(event, name) for name in FIELDS}) != raw:
                return "its bytes are not canonical JSON (RFC 8785)"
        except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
            return f"it cannot be written as canonical JSON: {visible(str(error), 120)}"
    # The body's bytes are part of the event's, so a short event needs no second look.
    if len(raw) > MAX_BODY:
        size = len(_FAST(event.body) if canonical else rfc8785.dumps(event.body))
        if size > MAX_BODY + CLOCK_ROOM:
            return f"its body has {size} bytes, the limit is {MAX_BODY}"
    return None


def _is_plain(raw: bytes) -> bool:
    """Whether msgspec, writing an event without fractions as these bytes, writes what RFC 8785 would."""
    # RFC 8785 has no integers beyond 2^53, which have 16 digits. It orders keys by UTF-16 units, which differs from the
    # order of code points only beyond U+D7FF, whose UTF-8 begins with a byte of 0xee or more.
    return _LONG_NUMBER not in raw.translate(_SHAPE) and (raw.isascii() or max(raw) < 0xEE)


def is_time(text: str) -> bool:
    """Whether a text is a time as the ledger writes it: RFC 3339 in UTC with six fractional digits."""
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
