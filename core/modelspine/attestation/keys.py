"""Ed25519 keys: the private key that CI signs with, and the trust file ``spine.trust/1`` that lists public keys.

A key's id is the first 16 hex digits of the SHA-256 of its 32 public bytes. It does not know what is signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Refused
from modelspine.text import visible

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = "spine.trust/1"
_HINT = "use the committed trust file; `spine keys new` makes a key and adds it to the file"


class SigningKey:
    """A private key. Its text form is an unencrypted PKCS #8 PEM; ``repr`` shows only the id."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: 64 bytes."""
        return self._private.sign(message)

    def pem(self) -> str:
        """The private key as PEM text. This is the secret: whoever has it can sign."""
        from cryptography.hazmat.primitives import serialization as form

        raw = self._private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        return raw.decode("ascii")


class TrustedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key whose signed verdicts are accepted."""

    id: str
    public: str
    """Base64 of its 32 bytes."""
    name: str
    added: str

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message was made with this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(from_base64(self.public)).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """The trust file."""

    schema: str = SCHEMA
    keys: tuple[TrustedKey, ...] = ()

    def find(self, wanted: str) -> TrustedKey | None:
        """The key with an id, or None."""
        return next((key for key in self.keys if key.id == wanted), None)


def new_key() -> SigningKey:
    """A new private key from the operating system's random numbers."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SigningKey(Ed25519PrivateKey.generate())


def read_key(pem: str) -> SigningKey:
    """Decode a private key from PEM text.

    Raises:
        BadInput: the text is not an unencrypted Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(pem.encode("utf-8", "replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        # No part of the text goes into the message, which may end up in a public CI log.
        raise BadInput("the signing key is not an unencrypted Ed25519 key in PEM", "make one: `spine keys new`")
    return SigningKey(private)


def key_id(public: bytes) -> str:
    """The id of a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def trusted(key: SigningKey, *, name: str, added: str) -> TrustedKey:
    """The trust file's record of a key; ``added`` is a date."""
    return TrustedKey(id=key.id, public=base64.b64encode(key.public).decode("ascii"), name=name, added=added)


def read_trust(raw: bytes) -> Trust:
    """Decode a trust file; unknown fields are ignored.

    Raises:
        Refused: it is not a trust file, a key's id does not match its bytes, or a key appears twice.
    """
    try:
        data = parse_json(raw, what="the trust file")
        trust = msgspec.convert(data, Trust)
    except (BadInput, msgspec.ValidationError) as error:
        raise Refused(f"the trust file cannot be used: {visible(str(error), 160)}", _HINT) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise Refused(f"the trust file's schema is not {SCHEMA!r}", _HINT)
    seen: set[str] = set()
    for key in trust.keys:
        who = visible(key.id, 40)
        try:
            public = from_base64(key.public)
        except ValueError as error:
            raise Refused(f"the trust file's key {who} is not base64", _HINT) from error
        if len(public) != 32 or key_id(public) != key.id:
            raise Refused(f"the trust file's key {who} has an id that does not match its bytes", _HINT)
        if key.id in seen:
            raise Refused(f"the trust file has the key {who} twice", _HINT)
        seen.add(key.id)
    return trust


def with_key(trust: Trust, key: TrustedKey) -> Trust:
    """The trust file with a key added; a key that is already there is left unchanged."""
    return trust if trust.find(key.id) else msgspec.structs.replace(trust, keys=(*trust.keys, key))


def trust_bytes(trust: Trust) -> bytes:
    """The bytes of the trust file, sorted and indented for review."""
    data: Any = msgspec.to_builtins(trust)
    return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=True).encode() + b"\n"


def from_base64(text: str) -> bytes:
    """Decode standard base64, accepting only the canonical encoding of the bytes.

    Raises:
        ValueError: the text is not base64, or not canonical.
    """
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("not base64") from error
    # Unused bits of the last character may be set in other encodings of the same bytes: then a byte of a signed file
    # could change without invalidating its signature.
    if base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("not canonical base64")
    return raw
