"""DSSE envelopes with one Ed25519 signature, in one spelling: no byte of an envelope can change unnoticed.

The signature is over the pre-authentication encoding of type and payload, as the DSSE 1.0 specification says.
It does not know what the payload means.
"""

from __future__ import annotations

import base64

import msgspec

from modelspine.attestation.keys import SigningKey, Trust, TrustedKey, from_base64
from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput, Refused
from modelspine.text import visible

MAX_BYTES = 2**24
_HINT = "take the file the gate wrote, byte for byte; `spine gate REF --sign` makes a new one"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, base64, and the id of the key that made it."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The envelope as JSON; ``payload`` is base64."""

    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: tuple[Signature, ...]


def pae(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed: each part behind its length, so that none can run into the next."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def seal(payload: bytes, kind: str, key: SigningKey) -> bytes:
    """The envelope's bytes, RFC 8785."""
    signature = Signature(keyid=key.id, sig=_base64(key.sign(pae(kind, payload))))
    envelope = Envelope(payload=_base64(payload), payload_type=kind, signatures=(signature,))
    return canonical(msgspec.to_builtins(envelope))


def unseal(raw: bytes, kind: str, trust: Trust) -> tuple[bytes, TrustedKey]:
    """The payload of an envelope that a trusted key signed, and that key.

    Raises:
        Refused: it is no envelope, is spelled another way, is of another type, or no trusted key signed it.
    """
    envelope = _read(raw)
    if envelope.payload_type != kind:
        raise Refused(f"the envelope holds {visible(envelope.payload_type, 60)!r}, not {kind}", _HINT)
    if len(envelope.signatures) != 1:
        raise Refused(f"the envelope has {len(envelope.signatures)} signatures, not one", _HINT)
    signature = envelope.signatures[0]
    key = trust.find(signature.keyid)
    if key is None:
        raise Refused(
            f"the key {visible(signature.keyid, 40)!r} is not in the trust file",
            "only keys of the committed trust file count; adding one is a reviewed change",
        )
    try:
        payload, mark = from_base64(envelope.payload), from_base64(signature.sig)
    except ValueError as error:
        raise Refused("the envelope's payload or signature is not base64 in its usual spelling", _HINT) from error
    if not key.accepts(mark, pae(kind, payload)):
        raise Refused(f"the signature is not one that {visible(key.name, 60)} ({key.id}) made over this", _HINT)
    return payload, key


def _read(raw: bytes) -> Envelope:
    if len(raw) > MAX_BYTES:
        raise Refused(f"the envelope has {len(raw):,} bytes, over {MAX_BYTES:,}", _HINT)
    try:
        envelope = msgspec.convert(parse_json(raw, what="the envelope"), Envelope)
        spelled = canonical(msgspec.to_builtins(envelope))
    except (BadInput, msgspec.ValidationError, ValueError) as error:
        raise Refused(f"this is not a signed envelope: {visible(str(error), 160)}", _HINT) from error
    if spelled != raw:
        raise Refused("the envelope is not spelled as the gate spells it, or has fields it does not have", _HINT)
    return envelope


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
