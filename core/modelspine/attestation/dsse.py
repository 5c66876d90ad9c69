"""DSSE envelopes with one Ed25519 signature, in canonical form only, so that every changed byte is detected.

The signature covers the pre-authentication encoding of payload type and payload (DSSE 1.0). It does not know what the
payload means.
"""

from __future__ import annotations

import base64

import msgspec

from modelspine.attestation.keys import SigningKey, Trust, TrustedKey, from_base64
from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput, Refused
from modelspine.text import visible

MAX_BYTES = 2**24
"""Maximum size of an envelope; a verdict with thousands of buckets is well below it."""
_HINT = "use the file that the gate wrote, byte for byte; `spine gate REF --sign` makes a new one"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature in base64, and the id of the key that made it."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The envelope as JSON; ``payload`` is base64."""

    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: tuple[Signature, ...]


def pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, the bytes that are signed: each part is preceded by its length."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def seal(payload: bytes, kind: str, key: SigningKey) -> bytes:
    """Sign a payload; returns the envelope's bytes (RFC 8785)."""
    signature = Signature(keyid=key.id, sig=_base64(key.sign(pae(kind, payload))))
    envelope = Envelope(payload=_base64(payload), payload_type=kind, signatures=(signature,))
    return canonical(msgspec.to_builtins(envelope))


def unseal(raw: bytes, kind: str, trust: Trust) -> tuple[bytes, TrustedKey]:
    """Verify an envelope; returns its payload and the trusted key that signed it.

    Raises:
        Refused: it is not an envelope, is not in canonical form, has another payload type, or no trusted key signed it.
    """
    envelope = _read(raw)
    if envelope.payload_type != kind:
        raise Refused(f"the envelope's payload type is {visible(envelope.payload_type, 60)!r}, not {kind}", _HINT)
    if len(envelope.signatures) != 1:
        raise Refused(f"the envelope has {len(envelope.signatures)} signatures, not one", _HINT)
    signature = envelope.signatures[0]
    key = trust.find(signature.keyid)
    if key is None:
        raise Refused(
            f"the key {visible(signature.keyid, 40)!r} is not in the trust file",
            "only keys in the committed trust file are accepted; adding one is a reviewed change",
        )
    try:
        payload, signed = from_base64(envelope.payload), from_base64(signature.sig)
    except ValueError as error:
        raise Refused("the envelope's payload or signature is not canonical base64", _HINT) from error
    if not key.accepts(signed, pae(kind, payload)):
        raise Refused(f"the signature does not match the key {visible(key.name, 60)} ({key.id})", _HINT)
    return payload, key


def _read(raw: bytes) -> Envelope:
    """Decode an envelope and require its canonical form."""
    if len(raw) > MAX_BYTES:
        raise Refused(f"the envelope has {len(raw):,} bytes, over {MAX_BYTES:,}", _HINT)
    try:
        envelope = msgspec.convert(parse_json(raw, what="the envelope"), Envelope)
        encoded = canonical(msgspec.to_builtins(envelope))
    except (BadInput, msgspec.ValidationError, ValueError) as error:
        raise Refused(f"this is not a signed envelope: {visible(str(error), 160)}", _HINT) from error
    # The signature does not cover the envelope's own JSON: without this check its whitespace, key order and extra
    # fields could change, and with them the digest under which the ledger records a verdict as used.
    if encoded != raw:
        raise Refused("the envelope is not canonical JSON, or has unknown fields", _HINT)
    return envelope


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
