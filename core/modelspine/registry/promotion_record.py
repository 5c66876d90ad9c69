"""What a promotion stands on, and what is written down of one that was refused: bodies of events and their words.

    promoted   verdict = {signed: true, digest, key, report}
               verdict = {signed: false, report, gated} and, where a failed gate was passed over, override = true
    denied     verb, sha, semver, reason, and as far as the attempt had them: verdict, signer, idempotency_key

It decides nothing: ``registry.rules`` and ``attestation.verdict`` do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from modelspine.errors import Refused, SpineError
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, Event
from modelspine.registry.floor import Read, floor_of

if TYPE_CHECKING:
    from modelspine.attestation.verdict import VerifiedVerdict

Standing = Literal["signed", "unsigned", "overridden"]

WORDS: dict[Standing, str] = {
    "signed": "signed",
    "unsigned": "unsigned (dev)",
    "overridden": "gate overridden (dev)",
}
"""How each is told; what no trusted key signed for says so wherever it is named."""

_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_LONGEST_REASON = 360
_LONGEST_KEY = 120


def standing(event: Event) -> Standing:
    """What a ``promoted`` event stands on; one that does not say is unsigned."""
    if event.body.get("override"):
        return "overridden"
    verdict = event.body.get("verdict")
    return "signed" if isinstance(verdict, dict) and verdict.get("signed") is True else "unsigned"


def on_verdict(verdict: VerifiedVerdict, sha: str, state: State, read: Read) -> dict[str, Any]:
    """What the event says of a signed verdict, which is checked against the state once more.

    ``read`` reads the reports that the floor is derived from.

    Raises:
        Refused: it is no verified verdict, or does not fit this entry and this state.
    """
    from modelspine.attestation.verdict import VerifiedVerdict

    if type(verdict) is not VerifiedVerdict or not hasattr(verdict, "decision"):
        raise Refused("only a verified verdict promotes", "give the signed file: `spine promote REF --verdict F`")
    said = verdict.predicate
    floor = floor_of(state, read, said.eval_set, said.decoding, excluded(said.policy))
    verdict.check(sha, state.production, floor.entry_sha if floor is not None else None)
    counts = verdict.predicate.candidate.sha256
    return {"signed": True, "digest": verdict.signed.digest, "key": verdict.signed.key.id, "report": counts}


def excluded(policy: Mapping[str, Any]) -> list[str]:
    """The entries that a verdict's policy takes out of the floor."""
    return [str(entry.get("entry_sha")) for entry in policy.get("floor_excludes", ())]


def denied(verb: str, sha: str, error: SpineError, attempt: object, **asked: str | None) -> Draft:
    """The event of a refusal. Whatever was asked for, its body fits: a long key is no way around the record.

    Args:
        verb: what was refused.
        sha: the entry.
        error: why.
        attempt: what was to check the verdict; its ``claims`` name an envelope's digest and signer, unverified.
        asked: further texts of the request; None where there was none.
    """
    body: dict[str, Any] = {"verb": verb, "sha": sha, "reason": _cut(error.message, _LONGEST_REASON)}
    for name, text in asked.items():
        if text is not None:
            body[name] = _cut(text, _LONGEST_KEY)
    claims = getattr(attempt, "claims", None)
    for name, text in claims.items() if isinstance(claims, dict) else ():
        if name in ("verdict", "signer") and isinstance(text, str):
            body[name] = _cut(text, 64)
    return Draft(kind="denied", body=body)


def signer(envelope: Any) -> str | None:
    """The key id that an envelope's JSON claims, where it looks like one."""
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    first = signatures[0] if isinstance(signatures, list) and signatures else None
    found = first.get("keyid") if isinstance(first, dict) else None
    return found if isinstance(found, str) and _KEY_ID.fullmatch(found) else None


def _cut(text: str, limit: int) -> str:
    """As much of a text as fits into ``limit`` bytes of canonical JSON, without what no UTF-8 can hold."""
    whole = text.encode("utf-8", "replace").decode()
    if _room(whole) <= limit:
        return whole
    kept, left = [], limit - _room("…")
    for char in whole:
        left -= _room(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def _room(text: str) -> int:
    """Bytes of a text as JSON: a control character takes six."""
    return sum(6 if char < " " else 2 if char in '"\\' else len(char.encode()) for char in text)
