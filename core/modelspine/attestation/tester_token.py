"""Tester tokens: they let their holder choose the arm that answers, and keep the holder out of every comparison.

A token names the tester, the ledger it is for and when it expires, and is signed with an Ed25519 key. The keys that
count are in a file of their own (``spine.testers.json``): a key for testers can sign no verdict, and the other way
round. It knows no routes and no HTTP.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta

import msgspec

from modelspine.attestation.keys import SigningKey, Trust
from modelspine.errors import BadInput, Refused
from modelspine.text import visible

SCHEMA = "spine.tester/1"
LONGEST = timedelta(days=31)
"""A token may not be valid for longer: it cannot be revoked by itself, only together with its key."""
_SIGNED = SCHEMA.encode() + b"\n"
"""Precedes the signed bytes, so that a signature over anything else, such as a verdict, is never one over a token."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")
_MOST_CHARS = 1024
_HINT = "ask for a new token: `spine route tester NAME`"


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    schema: str
    tester: str
    ledger: str
    """Hash of the ledger's first event: a token for one ledger is worth nothing at another."""
    key: str
    expires: int
    """Seconds since 1970, UTC."""


def sign_tester(key: SigningKey, tester: str, *, ledger: str, now: datetime, valid: timedelta) -> str:
    """A token for a tester.

    Raises:
        BadInput: the name is malformed, or the token would be valid for too long or not at all.
    """
    if _NAME.fullmatch(tester) is None:
        raise BadInput(f"{visible(tester, 40)!r} is not a tester's name", "use up to 40 of A-Z a-z 0-9 . _ @ -")
    if not timedelta() < valid <= LONGEST:
        raise BadInput(f"a token may be valid for up to {LONGEST.days} days", "give --hours a number from 1 to 744")
    claims = _Claims(schema=SCHEMA, tester=tester, ledger=ledger, key=key.id, expires=int((now + valid).timestamp()))
    body = json.dumps(msgspec.to_builtins(claims), sort_keys=True, separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(key.sign(_SIGNED + body))}"


def read_tester(token: str, trust: Trust, *, ledger: str, now: datetime) -> str:
    """The name in a token that is valid now.

    Raises:
        Refused: it is malformed, expired, for another ledger, or not signed by a key of the testers file.
    """
    body, _, signature = token.partition(".")
    try:
        if len(token) > _MOST_CHARS:
            raise ValueError
        raw, signed = _bytes(body), _bytes(signature)
        claims = msgspec.json.decode(raw, type=_Claims)
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise Refused("the tester token is malformed", _HINT) from error
    key = trust.find(claims.key)
    # The signature first: nothing else in the token is worth a word before it holds.
    if claims.schema != SCHEMA or key is None or not key.accepts(signed, _SIGNED + raw):
        raise Refused("the tester token is not signed by a key of the testers file", _HINT)
    if claims.ledger != ledger:
        raise Refused("the tester token is for another ledger", _HINT)
    left = claims.expires - now.timestamp()
    if left <= 0:
        raise Refused("the tester token has expired", _HINT)
    if left > LONGEST.total_seconds():
        raise Refused(f"the tester token is valid for too long: more than {LONGEST.days} days", _HINT)
    if _NAME.fullmatch(claims.tester) is None:
        raise Refused(f"the tester token's name {visible(claims.tester, 60)!r} is not a valid name", _HINT)
    return claims.tester


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError("not canonical")
    return raw
