"""Keys, the trust file and the envelope: one spelling, one key, nothing accepted that was not signed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from modelspine.attestation.dsse import pae, seal, unseal
from modelspine.attestation.keys import Trust, new_key, read_key, read_trust, trust_bytes, trusted, with_key
from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Refused

KIND = "text/plain"
KEY = new_key()
TRUST = Trust(keys=(trusted(KEY, name="ci-2026", added="2026-11-01"),))
L = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519's group."""


def test_the_encoding_is_the_specifications() -> None:
    """The example of the DSSE protocol page."""
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_what_is_sealed_is_unsealed_and_the_signature_is_plain_ed25519() -> None:
    raw = seal(b"{}", KIND, KEY)
    assert unseal(raw, KIND, TRUST) == (b"{}", TRUST.keys[0])
    envelope = json.loads(raw)
    assert envelope["payloadType"] == KIND
    assert base64.b64decode(envelope["payload"]) == b"{}"
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, b"DSSEv1 10 text/plain 2 {}")
    assert envelope["signatures"][0]["keyid"] == KEY.id == hashlib.sha256(KEY.public).hexdigest()[:16]
    assert seal(b"{}", KIND, KEY) == raw


def test_a_private_key_round_trips_and_is_not_shown() -> None:
    again = read_key(KEY.pem())
    assert (again.id, again.public) == (KEY.id, KEY.public)
    assert repr(KEY) == f"SigningKey({KEY.id})"
    assert new_key().id != new_key().id


def test_other_private_keys_are_refused_without_showing_them() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")
    )
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (
        "",
        "x",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        locked.decode(),
        other.decode(),
    ):
        with pytest.raises(BadInput) as caught:
            read_key(pem)
        assert "AAAA" not in caught.value.message + caught.value.hint
        assert str(caught.value.__cause__) == "None"


def test_the_trust_file_round_trips_and_keys_are_added_once() -> None:
    other = trusted(new_key(), name="ci-2027", added="2027-01-01")
    two = with_key(TRUST, other)
    assert with_key(two, other) is two
    assert read_trust(trust_bytes(two)) == two
    assert trust_bytes(two).decode("ascii").endswith("}\n")
    assert read_trust(trust_bytes(Trust())) == Trust()
    with pytest.raises(Refused, match="not in the trust file"):
        unseal(seal(b"{}", KIND, KEY), KIND, Trust())


def short_key(size: int) -> dict[str, str]:
    public = b"x" * size
    return {"id": hashlib.sha256(public).hexdigest()[:16], "public": base64.b64encode(public).decode()}


LINE = {"id": KEY.id, "public": base64.b64encode(KEY.public).decode(), "name": "ci", "added": "2026"}


@pytest.mark.parametrize(
    "data",
    [
        {"schema": "spine.trust/2", "keys": []},
        {"keys": []},
        [],
        {"schema": "spine.trust/1", "keys": {}},
        {"schema": "spine.trust/1", "keys": [{**LINE, "id": "0" * 16}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, "id": KEY.id.upper()}]},
        {"schema": "spine.trust/1", "keys": [LINE, LINE]},
        {"schema": "spine.trust/1", "keys": [{**LINE, "public": LINE["public"].rstrip("=")}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, "public": LINE["public"] + "\n"}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, "public": "é"}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, **short_key(31)}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, **short_key(33)}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, **short_key(0)}]},
        {"schema": "spine.trust/1", "keys": [{**LINE, "public": ""}]},
        {"schema": "spine.trust/1", "keys": [{k: v for k, v in LINE.items() if k != "name"}]},
        {"schema": "spine.trust/1", "keys": [KEY.id]},
    ],
)
def test_a_trust_file_that_is_not_right_trusts_nobody(data: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_trust(json.dumps(data).encode())
    assert caught.value.hint


def test_a_key_that_is_no_point_accepts_nothing() -> None:
    public = b"\xff" * 32
    line = {**LINE, "id": hashlib.sha256(public).hexdigest()[:16], "public": base64.b64encode(public).decode()}
    key = read_trust(json.dumps({"schema": "spine.trust/1", "keys": [line]}).encode()).keys[0]
    assert not key.accepts(b"\0" * 64, b"")


def spoiled(**more: Any) -> bytes:
    return canonical({**json.loads(seal(b"{}", KIND, KEY)), **more})


def signature(**more: str) -> list[dict[str, str]]:
    return [{**json.loads(seal(b"{}", KIND, KEY))["signatures"][0], **more}]


SIG = base64.b64decode(signature()[0]["sig"])
MALLEABLE = SIG[:32] + (int.from_bytes(SIG[32:], "little") + L).to_bytes(32, "little")
ENVELOPES = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "another payload": spoiled(payload=base64.b64encode(b"[]").decode()),
    "an empty payload": spoiled(payload=""),
    "a payload that is no base64": spoiled(payload="e30"),
    "a payload in the other alphabet": spoiled(payload="__8="),
    "a payload with other padding bits": spoiled(payload="e31="),
    "a payload with a line break": spoiled(payload="e30=\n"),
    "another type": spoiled(payloadType="text/html"),
    "no signatures": spoiled(signatures=[]),
    "the signature twice": spoiled(signatures=signature() * 2),
    "signatures of another kind": spoiled(signatures={"sig": 1}),
    "another key id": spoiled(signatures=signature(keyid="0" * 16)),
    "no key id": spoiled(signatures=signature(keyid="")),
    "no signature": spoiled(signatures=signature(sig="")),
    "a signature cut short": spoiled(signatures=signature(sig=base64.b64encode(SIG[:-1]).decode())),
    "a signature of zeros": spoiled(signatures=signature(sig=base64.b64encode(bytes(64)).decode())),
    "the same signature plus the group's order": spoiled(
        signatures=signature(sig=base64.b64encode(MALLEABLE).decode())
    ),
    "a field more": spoiled(extra=1),
    "a field more in the signature": spoiled(signatures=signature(extra="1")),
    "a line break behind": seal(b"{}", KIND, KEY) + b"\n",
    "indented": json.dumps(json.loads(seal(b"{}", KIND, KEY)), indent=1).encode(),
    "a key twice": seal(b"{}", KIND, KEY)[:-1] + b',"payload":"e30="}',
    "nested deeply": b"[" * 100_000,
    "too long": b" " * (2**24 + 1),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_spoiled_envelope_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        unseal(ENVELOPES[name], KIND, TRUST)
    assert caught.value.message
    assert caught.value.hint


def test_every_single_byte_of_an_envelope_counts() -> None:
    raw = seal(b'{"a":1}', KIND, KEY)
    for place in range(len(raw)):
        for flip in (1, 32, 128):
            with pytest.raises(Refused):
                unseal(raw[:place] + bytes([raw[place] ^ flip]) + raw[place + 1 :], KIND, TRUST)
        with pytest.raises(Refused):
            unseal(raw[:place], KIND, TRUST)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_no_bytes_make_a_reader_fall_over(raw: bytes) -> None:
    for read in (lambda: unseal(raw, KIND, TRUST), lambda: read_trust(raw)):
        with pytest.raises(Refused):
            read()
