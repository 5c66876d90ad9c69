"""Who a tester token lets through: its holder, at its ledger, until it expires, and nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from modelspine.attestation.keys import SigningKey, Trust, new_key, trusted
from modelspine.attestation.tester_token import LONGEST, read_tester, sign_tester
from modelspine.errors import BadInput, Refused

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LEDGER = "a" * 64
KEY = new_key()
TRUST = Trust(keys=(trusted(KEY, name="testers", added="2026-11-29"),))
HOUR = timedelta(hours=1)


def token(key: SigningKey = KEY, ledger: str = LEDGER, valid: timedelta = HOUR) -> str:
    return sign_tester(key, "alice", ledger=ledger, now=NOW, valid=valid)


def read(text: str, now: datetime = NOW, trust: Trust = TRUST) -> str:
    return read_tester(text, trust, ledger=LEDGER, now=now)


def test_a_valid_token_names_its_tester() -> None:
    assert read(token()) == "alice"
    assert read(token(), NOW + HOUR - timedelta(seconds=1)) == "alice"


def forged(**changed: object) -> str:
    """The same token with other claims and the old signature."""
    body, _, signature = token().partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | changed
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + "." + signature


def signed_as_something_else() -> str:
    """The right key signed the same bytes, but not as a tester token."""
    body = token().partition(".")[0]
    signature = KEY.sign(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: token(new_key()), "not signed"),
        (lambda: token(ledger="b" * 64), "another ledger"),
        (lambda: forged(tester="mallory"), "not signed"),
        (lambda: forged(expires=2_000_000_000), "not signed"),
        (signed_as_something_else, "not signed"),
        (lambda: "", "malformed"),
        (lambda: "a.b", "malformed"),
        (lambda: token() + "=", "malformed"),
        (lambda: "ü" * 20, "malformed"),
        (lambda: "a" * 5_000, "malformed"),
    ],
)
def test_any_other_token_is_refused(made: Callable[[], str], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read(made())


def test_it_expires_and_its_key_can_be_withdrawn() -> None:
    with pytest.raises(Refused, match="expired"):
        read(token(), NOW + HOUR)
    with pytest.raises(Refused, match="too long"):
        read(token(valid=LONGEST), NOW - timedelta(days=2))
    with pytest.raises(Refused, match="not signed"):
        read(token(), trust=Trust())


@pytest.mark.parametrize("valid", [timedelta(), -HOUR, LONGEST + HOUR])
def test_no_token_lasts_for_ever_or_not_at_all(valid: timedelta) -> None:
    with pytest.raises(BadInput, match="up to 31 days"):
        token(valid=valid)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "-x", "a" * 41, "jos\u00e9"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(BadInput, match="tester's name"):
        sign_tester(KEY, name, ledger=LEDGER, now=NOW, valid=HOUR)
