"""The tensors of a bundle's safetensors files, and the digests that identify them, whatever the files' layout.

It does not know which files are in a bundle, or what the tensors mean.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import msgspec

from modelspine.errors import BundleRefused
from modelspine.identity.hashing import Range, Sink, framed, hash_ranges
from modelspine.identity.safetensors_header import MAX_TENSORS, PREFIX, Slot, header_length, parse_header
from modelspine.identity.untrusted_files import Source
from modelspine.text import visible


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: ``size`` in bytes, ``data_sha256`` over its bytes, ``digest`` over name, dtype, shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    data_sha256: str
    digest: str


class Shard(NamedTuple):
    """An open safetensors file: its header's bytes, length prefix included, and the tensors they describe."""

    source: Source
    head: bytes
    slots: tuple[Slot, ...]


def read_shards(sources: Sequence[Source], *, allow_empty: bool = False) -> list[Shard]:
    """The headers of all shards, checked: no tensor name appears twice."""
    shards: list[Shard] = []
    owner: dict[str, str] = {}
    for source in sources:
        name = source.name
        prefix = source.read(0, min(PREFIX, source.size))
        header = source.read(PREFIX, header_length(prefix, source.size, what=name))
        head = prefix + header
        slots = parse_header(header, source.size - len(head), what=name, allow_empty=allow_empty)
        for slot in slots:
            if slot.name in owner:
                both = f"{visible(owner[slot.name])} and {visible(name)}"
                _refuse(f"tensor {visible(slot.name, 120)} is in both {both}", _TWICE)
            owner[slot.name] = name
        shards.append(Shard(source, head, slots))
        if len(owner) > MAX_TENSORS:  # checked per shard too, but 128 shards could each be at the limit
            _refuse(f"the shards contain more than {MAX_TENSORS:,} tensors", _MANY)
    return shards


def hash_tensors(shards: list[Shard], sink: Sink | None, threads: int | None) -> tuple[Tensor, ...]:
    """All tensors with their digests, in ascending order of names; the hashed bytes also go to ``sink``, if given."""
    ranges: list[Range] = []
    for shard in shards:
        target = sink.add(shard.source.name, shard.head) if sink is not None else None
        ranges += (Range(shard.source, len(shard.head) + slot.begin, slot.size, target) for slot in shard.slots)
    slots = [slot for shard in shards for slot in shard.slots]
    table = (_tensor(slot, data) for slot, data in zip(slots, hash_ranges(ranges, threads), strict=True))
    return tuple(sorted(table, key=lambda tensor: tensor.name))


def _tensor(slot: Slot, data: bytes) -> Tensor:
    """A tensor with its digest; ``data`` is the SHA-256 of its bytes."""
    # The dimensions as fixed-width integers, so that shapes (12, 3) and (1, 23) cannot encode alike.
    dims = struct.pack(f"<{len(slot.shape)}Q", *slot.shape)
    digest = framed("spine.tensor/1", slot.name.encode(), slot.dtype.encode(), dims, data)
    return Tensor(slot.name, slot.dtype, slot.shape, slot.size, data.hex(), digest.hex())


def weights_digest(tensors: tuple[Tensor, ...]) -> bytes:
    """The digest of all tensors; it does not depend on how they are distributed over shards."""
    return framed("spine.weights/1", *(bytes.fromhex(tensor.digest) for tensor in tensors))


def _refuse(reason: str, hint: str) -> NoReturn:
    raise BundleRefused(reason, hint)


_TWICE = "remove the file that the model does not read, or put it into a sub-folder, where it is hashed as it is"
_MANY = "put the files into a sub-folder, where each is hashed and stored as it is"
