"""How the ledger records the verdict of a promotion, and a refused promotion.

    promoted   verdict = {signed: true, digest, key, report}
               verdict = {signed: false, report, gated} and, if a failed gate was overridden, override = true
    denied     verb, sha, semver, reason, and if the attempt had them: verdict, signer, idempotency_key

It makes no decisions: ``registry.rules`` and ``attestation.verdict`` do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from modelspine.errors import BadInput, Damaged, Refused, SpineError
from modelspine.gate.eval_report import read_report
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, Event
from modelspine.registry.floor import Read, floor_of

if TYPE_CHECKING:
    from modelspine.attestation.verdict import VerifiedVerdict

VerdictKind = Literal["signed", "unsigned", "overridden"]

WORDS: dict[VerdictKind, str] = {
    "signed": "signed",
    "unsigned": "unsigned (dev)",
    "overridden": "gate overridden (dev)",
}
"""The words shown for each kind; a promotion without a trusted signature is always marked as such."""

_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_LONGEST_REASON = 360
_LONGEST_KEY = 120


def verdict_kind(event: Event) -> VerdictKind:
    """The kind of verdict of a ``promoted`` event; unsigned if the event does not say."""
    if event.body.get("override"):
        return "overridden"
    verdict = event.body.get("verdict")
    return "signed" if isinstance(verdict, dict) and verdict.get("signed") is True else "unsigned"


def load_notes(promoted: Event, read: Read) -> tuple[str, ...]:
    """A warning that nothing shows that a promoted entry can be loaded; none if the report it stands on records it."""
    verdict = promoted.body.get("verdict")
    digest = verdict.get("report") if isinstance(verdict, dict) else None
    try:
        checked = digest is not None and read_report(read(str(digest))).was_loaded(str(promoted.body["sha"]))
    except (BadInput, Damaged):
        checked = False
    return () if checked else (_NOT_LOADED,)


_NOT_LOADED = (
    "load not checked: its report does not record that the stored copy was loaded; `spine evaluate` records it, for a "
    "model that can be loaded here"
)


def verdict_record(verdict: VerifiedVerdict, sha: str, state: State, read: Read) -> dict[str, Any]:
    """The event's record of a signed verdict, after checking it once more against the state.

    ``read`` reads the reports that the floor is derived from.

    Raises:
        Refused: it is not a ``VerifiedVerdict``, or does not match this entry and this state.
    """
    from modelspine.attestation.verdict import VerifiedVerdict

    # The exact type and a set attribute: an object made with __new__ has the type, but was never verified.
    if type(verdict) is not VerifiedVerdict or not hasattr(verdict, "decision"):
        raise Refused("the verdict was not verified", "give the signed file: `spine promote REF --verdict F`")
    predicate = verdict.predicate
    floor = floor_of(state, read, predicate.eval_set, predicate.decoding, excluded(predicate.policy))
    verdict.check(sha, state.production, floor.entry_sha if floor is not None else None)
    counts = verdict.predicate.candidate.sha256
    return {"signed": True, "digest": verdict.signed.digest, "key": verdict.signed.key.id, "report": counts}


def excluded(policy: Mapping[str, Any]) -> list[str]:
    """The entries that a verdict's policy excludes from being the floor."""
    return [str(entry.get("entry_sha")) for entry in policy.get("floor_excludes", ())]


def denial(verb: str, sha: str, error: SpineError, attempt: object, **asked: str | None) -> Draft:
    """The draft of the event that records a refusal.

    Args:
        verb: the refused operation.
        sha: the entry.
        error: the reason.
        attempt: the verifier of the verdict; its ``claims``, if any, name the envelope's digest and signer, unverified.
        asked: further fields of the request; None is left out.
    """
    # Texts are cut so that the body always fits into an event: a long key must not prevent the record.
    body: dict[str, Any] = {"verb": verb, "sha": sha, "reason": _cut(error.message, _LONGEST_REASON)}
    for name, text in asked.items():
        if text is not None:
            body[name] = _cut(text, _LONGEST_KEY)
    claims = getattr(attempt, "claims", None)
    for name, text in claims.items() if isinstance(claims, dict) else ():
        # From an unverified envelope, so only these names and only short texts are recorded.
        if name in ("verdict", "signer") and isinstance(text, str):
            body[name] = _cut(text, 64)
    return Draft(kind="denied", body=body)


def signer(envelope: Any) -> str | None:
    """The key id that an envelope's JSON claims, unverified; None if it does not look like one."""
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    first = signatures[0] if isinstance(signatures, list) and signatures else None
    found = first.get("keyid") if isinstance(first, dict) else None
    return found if isinstance(found, str) and _KEY_ID.fullmatch(found) else None


def _cut(text: str, limit: int) -> str:
    """As much of a text as fits into ``limit`` bytes of canonical JSON; lone surrogates become ``?``."""
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
    """The bytes that a text takes in JSON, where a control character takes up to six."""
    return sum(6 if char < " " else 2 if char in '"\\' else len(char.encode()) for char in text)
