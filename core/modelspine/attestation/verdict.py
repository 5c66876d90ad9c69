"""Verdicts: signing the gate's decision, and verifying every field of it before a promotion relies on it.

Only ``verify`` makes a ``VerifiedVerdict``. The signature is trusted for the counts only; the result is computed
again from them. It does not know how the ledger is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Final, NoReturn, final

import msgspec

from modelspine.attestation import dsse
from modelspine.attestation.checks import (
    AGAIN,
    check_subject,
    check_unchanged,
    check_validity,
    current_sides,
    recomputed_decision,
)
from modelspine.attestation.keys import SigningKey, Trust, TrustedKey
from modelspine.attestation.statement import CODE, PREDICATE_TYPE, TYPE, Predicate, Statement
from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput, Refused
from modelspine.gate.decision import Stable
from modelspine.gate.result import Decision
from modelspine.ledger.store import Event
from modelspine.text import short, visible

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_TOKEN: Final = object()  # only code of this module can pass it to the constructor


class SignedVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with a valid signature; whether it may be used here and now is not checked yet."""

    statement: Statement
    key: TrustedKey
    digest: str
    """SHA-256 of the envelope's bytes."""


@final
class VerifiedVerdict:
    """A verdict that permits a promotion, at the moment it was verified. Only ``verify`` can make one.

    The token, immutability and the bans on subclassing and pickling keep other code from making or altering one by
    accident; the registry accepts only this exact type.
    """

    __slots__ = ("decision", "floor_sha", "signed")
    signed: SignedVerdict
    decision: Decision
    floor_sha: str | None
    """The floor that the decision was computed against."""

    def __init__(self, signed: SignedVerdict, decision: Decision, floor_sha: str | None, *, token: object) -> None:
        if token is not _TOKEN:
            raise TypeError("only modelspine.attestation.verdict.verify makes a VerifiedVerdict")
        object.__setattr__(self, "signed", signed)
        object.__setattr__(self, "decision", decision)
        object.__setattr__(self, "floor_sha", floor_sha)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("a VerifiedVerdict has no subclasses")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a VerifiedVerdict is immutable: {name}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a VerifiedVerdict cannot be copied or stored; verify the envelope again")

    @property
    def sha(self) -> str:
        """The SHA of the entry it is about."""
        return self.signed.statement.subject[0].digest["sha256"]

    @property
    def predicate(self) -> Predicate:
        """The content of the verdict."""
        return self.signed.statement.predicate

    def check(self, sha: str, stable_sha: str | None, floor_sha: str | None) -> None:
        """Check the verdict against the state on which a promotion is decided, which may be newer.

        Raises:
            Refused: the verdict is about another entry, or another entry is stable or the floor now.
        """
        if sha != self.sha:
            raise Refused(f"the verdict is about {short(self.sha)}, not about {visible(short(sha))}", AGAIN)
        compared = self.predicate.stable.entry_sha if self.predicate.stable is not None else None
        if stable_sha != compared:
            raise Refused("production changed since the verdict was verified", AGAIN)
        if floor_sha != self.floor_sha:
            raise Refused("the floor changed since the verdict was verified", AGAIN)


def sign(statement: Statement, key: SigningKey) -> bytes:
    """Sign a statement; returns the envelope's bytes, which must be stored and passed on unchanged."""
    return dsse.seal(canonical(msgspec.to_builtins(statement)), PAYLOAD_TYPE, key)


def read_verdict(envelope: bytes, trust: Trust) -> SignedVerdict:
    """Decode a verdict and check its signature, but nothing else; also for verdicts that have expired.

    Raises:
        Refused: it is malformed, or no trusted key signed it.
    """
    payload, key = dsse.unseal(envelope, PAYLOAD_TYPE, trust)
    try:
        statement = msgspec.convert(parse_json(payload, what="the verdict"), Statement)
        encoded = canonical(msgspec.to_builtins(statement))
    except (BadInput, msgspec.ValidationError, ValueError) as error:
        raise Refused(f"the verdict cannot be read: {visible(str(error), 160)}", AGAIN) from error
    # A field that this version would ignore could carry a condition that a newer one enforces.
    if encoded != payload:
        raise Refused("the verdict has unknown fields, or is not canonical JSON", AGAIN)
    if statement.type != TYPE or statement.predicate_type != PREDICATE_TYPE:
        raise Refused(f"the signed statement is not a {PREDICATE_TYPE}", AGAIN)
    if len(statement.subject) != 1:
        raise Refused("the verdict is not about exactly one entry", AGAIN)
    return SignedVerdict(statement=statement, key=key, digest=hashlib.sha256(envelope).hexdigest())


def verify(
    envelope: bytes,
    trust: Trust,
    *,
    sha: str,
    baseline: bytes,
    stable: Stable | None,
    floor: Stable | None = None,
    hash_at: Callable[[int], str | None],
    now: datetime,
    events: Sequence[Event] = (),
    used: Container[str] = (),
) -> VerifiedVerdict:
    """Check everything that a promotion relies on.

    Args:
        envelope: the signed verdict, byte for byte.
        trust: the committed trust file.
        sha: the entry's canonical SHA, freshly computed.
        baseline: the committed baseline, byte for byte; it names the eval set in force.
        stable: the entry in production, with its report; None if there is none.
        floor: the best entry that was ever in production, with its report; None if there is none.
        hash_at: maps a seq to the hash of this ledger's event, or to None if there is no such event.
        now: the current time.
        events: all events of the ledger, in order; none of them may show that the verdict had expired.
        used: digests of verdicts that a promotion has already used.

    Raises:
        Refused: a check fails; the message says which and why.
    """
    signed = read_verdict(envelope, trust)
    said = signed.statement.predicate
    check_subject(signed.statement.subject[0], said, sha)
    check_validity(said, now, events)
    # One verdict permits one promotion: otherwise an entry could be promoted again after a rollback without a new gate.
    if signed.digest in used:
        raise Refused("this verdict was already used for a promotion", AGAIN)
    # The hash of an event commits to all earlier ones, so one comparison proves that the ledger has the same history.
    if said.ledger.seq < 1 or hash_at(said.ledger.seq) != said.ledger.hash:
        raise Refused(
            f"the verdict was decided on another ledger: event #{said.ledger.seq} here has another hash", AGAIN
        )
    if CODE.fullmatch(said.code) is None:
        raise Refused("the verdict does not name the commit of the code that decided it", AGAIN)
    try:
        check_unchanged(said, baseline, stable, floor)
        decision = recomputed_decision(said, current_sides(sha, baseline, stable, floor))
    except BadInput as error:
        raise Refused(f"the verdict cannot be checked: {error.message}", error.hint) from error
    # The recomputed decision first: its reasons explain more than the claimed result does.
    if decision.result != "pass":
        why = decision.reasons[0] if decision.reasons else "no reason is given"
        claim = "says pass, but its own counts give" if said.result == "pass" else "says"
        raise Refused(f"the verdict {claim} {decision.result}: {why}", "improve the candidate, then evaluate it again")
    if said.result != "pass":
        raise Refused(f"the verdict says {visible(said.result, 20)!r}, not pass", AGAIN)
    return VerifiedVerdict(signed, decision, floor.entry_sha if floor is not None else None, token=_TOKEN)
