"""The header reader knows what the installed safetensors knows, and is never laxer."""

from __future__ import annotations

import json
import time

import pytest
from safetensors import SafetensorError, deserialize

import forge
from modelspine.errors import BundleRefused
from modelspine.identity.safetensors_header import BITS, MAX_HEADER, header_length, parse_header


def installed_knows(dtype: str) -> bool:
    bits = BITS.get(dtype, 8)
    try:
        deserialize(forge.plain({"t": (dtype, [8], bytes(bits))}))
    except SafetensorError:
        return False
    return True


def test_every_dtype_and_its_width_is_the_installed_librarys() -> None:
    assert [dtype for dtype in BITS if not installed_knows(dtype)] == []


def test_a_dtype_the_installed_library_has_and_we_have_not_would_be_seen() -> None:
    with pytest.raises(SafetensorError) as refused:
        deserialize(forge.plain({"t": ("NONE", [8], bytes(8))}))
    message = str(refused.value)
    named = {word.strip("`,.") for word in message.split() if word.startswith("`")} - {"NONE"}
    assert named == set(BITS)


def test_slots_come_in_the_order_of_their_data() -> None:
    tensors: forge.Tensors = {"b": ("U8", [2], b"ab"), "a": ("U16", [1], b"cd"), "none": ("F32", [0], b"")}
    header, data = forge.header_of(tensors)
    slots = parse_header(json.dumps(header).encode(), len(data), what="x")
    assert [(s.name, s.begin, s.size) for s in slots] == [("b", 0, 2), ("a", 2, 2), ("none", 4, 0)]


def test_a_header_of_sixteen_mebibytes_and_not_one_byte_more() -> None:
    def prefix(length: int) -> bytes:
        return length.to_bytes(8, "little")

    assert header_length(prefix(MAX_HEADER), MAX_HEADER + 8, what="x") == MAX_HEADER
    with pytest.raises(BundleRefused, match="over 16 MiB"):
        header_length(prefix(MAX_HEADER + 1), 2**40, what="x")
    with pytest.raises(BundleRefused, match="ends before"):
        header_length(prefix(MAX_HEADER), MAX_HEADER + 7, what="x")


@pytest.mark.parametrize(("dim", "count"), [("9007199254740991", 60_000), ("1", 400_000)])
def test_a_shape_of_a_megabyte_takes_no_time(dim: str, count: int) -> None:
    header = '{"a":{"dtype":"U8","shape":[' + ",".join([dim] * count) + '],"data_offsets":[0,0]}}'
    start = time.thread_time()
    with pytest.raises(BundleRefused):
        parse_header(header.encode(), 0, what="x")
    assert time.thread_time() - start < 1
