"""Verdicts: signing what the gate decided, and checking it, to the last field, before a promotion stands on it.

Only ``verify`` makes a ``VerifiedVerdict``. It trusts a signature for what was counted and for nothing that it
can work out itself: the result is computed again from the counts. It does not know how the ledger is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container
from datetime import datetime
from typing import Final, NoReturn, final

import msgspec

from modelspine.attestation import dsse
from modelspine.attestation.checks import AGAIN, against_now, decided_again, fresh, same_subject, unmoved
from modelspine.attestation.keys import SigningKey, Trust, TrustedKey
from modelspine.attestation.statement import CODE, PREDICATE_TYPE, TYPE, Counted, Predicate, Statement
from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput, Refused
from modelspine.gate.decision import Stable
from modelspine.gate.result import Decision
from modelspine.text import short, visible

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_TOKEN: Final = object()


class SignedVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict whose signature holds; nothing is said yet about whether it may be used now, or here."""

    statement: Statement
    key: TrustedKey
    digest: str
    """SHA-256 of the envelope's bytes."""


@final
class VerifiedVerdict:
    """A verdict that may be promoted on, as of the moment it was verified. Only ``verify`` can make one."""

    __slots__ = ("decision", "signed")
    signed: SignedVerdict
    decision: Decision

    def __init__(self, signed: SignedVerdict, decision: Decision, *, token: object) -> None:
        if token is not _TOKEN:
            raise TypeError("only modelspine.attestation.verdict.verify makes a VerifiedVerdict")
        object.__setattr__(self, "signed", signed)
        object.__setattr__(self, "decision", decision)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("a VerifiedVerdict has no subclasses")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a VerifiedVerdict does not change: {name}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a VerifiedVerdict is not copied or stored; verify the envelope again")

    @property
    def sha(self) -> str:
        """The entry it is about."""
        return self.signed.statement.subject[0].digest["sha256"]

    @property
    def predicate(self) -> Predicate:
        """What it says."""
        return self.signed.statement.predicate

    def check(self, sha: str, stable_sha: str | None, floor_sha: str | None) -> None:
        """Check again, against the state a promotion is being decided on: the ledger may have moved since.

        Raises:
            Refused: it is about another entry, or another one is stable now.
        """
        if sha != self.sha:
            raise Refused(f"the verdict is about {short(self.sha)}, and this entry is {visible(short(sha))}", AGAIN)
        compared = self.predicate.stable.entry_sha if self.predicate.stable is not None else None
        if stable_sha != compared:
            raise Refused("production moved since the verdict was verified", AGAIN)
        floor = self.predicate.floor
        if floor_sha != (floor.entry_sha if isinstance(floor, Counted) else None):
            raise Refused("the floor moved since the verdict was verified", AGAIN)


def sign(statement: Statement, key: SigningKey) -> bytes:
    """The envelope's bytes; to be kept and passed on as they are."""
    return dsse.seal(canonical(msgspec.to_builtins(statement)), PAYLOAD_TYPE, key)


def read_verdict(envelope: bytes, trust: Trust) -> SignedVerdict:
    """A verdict, with its signature checked and nothing else: for looking at one, however old.

    Raises:
        Refused: it is malformed, or no trusted key signed it.
    """
    payload, key = dsse.unseal(envelope, PAYLOAD_TYPE, trust)
    try:
        statement = msgspec.convert(parse_json(payload, what="the verdict"), Statement)
        spelled = canonical(msgspec.to_builtins(statement))
    except (BadInput, msgspec.ValidationError, ValueError) as error:
        raise Refused(f"the verdict cannot be read: {visible(str(error), 160)}", AGAIN) from error
    if spelled != payload:
        raise Refused("the verdict has fields this version does not know, or another spelling", AGAIN)
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
    used: Container[str] = (),
) -> VerifiedVerdict:
    """Check everything a promotion stands on.

    Args:
        envelope: the signed verdict, byte for byte.
        trust: the committed trust file.
        sha: the entry's canonical SHA, of bytes hashed just now.
        baseline: the committed baseline, byte for byte; it names the eval set in force.
        stable: the entry in production now, with its report; None where there is none.
        floor: the best entry that was ever in production, with its report; None where there is none.
        hash_at: the hash of this ledger's event of a seq, None where there is no such event.
        now: the time.
        used: digests of verdicts that have served a promotion already.

    Raises:
        Refused: one thing does not hold, with what and why.
    """
    signed = read_verdict(envelope, trust)
    said = signed.statement.predicate
    same_subject(signed.statement.subject[0], said, sha)
    fresh(said, now)
    if signed.digest in used:
        raise Refused("this verdict has served a promotion already", AGAIN)
    if said.ledger.seq < 1 or hash_at(said.ledger.seq) != said.ledger.hash:
        raise Refused(f"it was decided on another ledger: event #{said.ledger.seq} here has another hash", AGAIN)
    if CODE.fullmatch(said.code) is None:
        raise Refused("the verdict does not name the code it was decided by", AGAIN)
    try:
        unmoved(said, baseline, stable, floor)
        decision = decided_again(said, against_now(sha, baseline, stable, floor))
    except BadInput as error:
        raise Refused(f"it cannot be checked: {error.message}", error.hint) from error
    if decision.result != "pass":
        why = decision.reasons[0] if decision.reasons else "no reason is given"
        claim = "says pass, and its own counts say" if said.result == "pass" else "says"
        raise Refused(f"the verdict {claim} {decision.result}: {why}", "mend the candidate; the gate decides")
    if said.result != "pass":
        raise Refused(f"the verdict says {visible(said.result, 20)!r}, not pass", AGAIN)
    return VerifiedVerdict(signed, decision, token=_TOKEN)
