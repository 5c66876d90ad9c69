"""Strict parsing of the header of one safetensors file, so that a file has exactly one interpretation.

It accepts a subset of what the format's own readers accept: they also allow unknown fields, repeated names and a
leading space. It does not read tensor data and does not know what a bundle is.
"""

from __future__ import annotations

import re
import struct
from typing import Any, NoReturn

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BundleRefused
from modelspine.text import visible

PREFIX = 8
MAX_HEADER = 2**24
MAX_TENSORS = 20_000
BITS = {
    dtype: bits
    for bits, dtypes in (
        (4, "F4"),
        (6, "F6_E2M3 F6_E3M2"),
        (8, "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ"),
        (16, "I16 U16 F16 BF16"),
        (32, "I32 U32 F32"),
        (64, "C64 F64 I64 U64"),
    )
    for dtype in dtypes.split()
}
"""Bits per element of each dtype; the names are those of the safetensors format."""

MAX_NAME = 512
"""Length of a tensor's name in bytes of UTF-8."""

# C0 and C1 controls, and the characters that reorder the text around them on a screen.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FIELDS = {"dtype", "shape", "data_offsets"}
_MAX_BITS = 2**64 - 1
_HINT = "the file is damaged or was written by hand: fetch it again, or save it again with the safetensors library"
_NAMING = "load the tensors, rename this one and save them again: `safetensors.numpy.load_file` and `save_file`"
_DELETE = "remove the file from the folder, or fetch it again"
_FEWER = "put the file into a sub-folder, where it is hashed and stored as it is"


class Slot(msgspec.Struct, frozen=True):
    """The location of one tensor: ``begin`` counts bytes from the end of the header, ``size`` is in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    size: int


def header_length(prefix: bytes, file_size: int, *, what: str) -> int:
    """The length of the header in bytes, as declared by the file's first eight bytes.

    Raises:
        BundleRefused: the file is shorter than its header, or the header is larger than 16 MiB.
    """
    if len(prefix) < PREFIX:
        _refuse(what, "is shorter than the 8 bytes that declare its header's length")
    length: int = struct.unpack("<Q", prefix)[0]
    if length > MAX_HEADER:
        _refuse(what, f"declares a header of {length:,} bytes, over 16 MiB", _FEWER)
    if length > file_size - PREFIX:
        _refuse(what, f"declares a header of {length:,} bytes, but the file ends before that")
    return length


def parse_header(raw: bytes, data_size: int, *, what: str, allow_empty: bool = False) -> tuple[Slot, ...]:
    """The tensors that a header describes, in the order of their data, which they cover without gap or overlap.

    ``allow_empty`` allows a file without tensors.

    Raises:
        BundleRefused: the header is not allowed; the message names the file and the tensor.
    """
    if raw[:1] != b"{":
        _refuse(what, "has a header that does not start with “{”")
    header = parse_json(raw, what=f"the header of {what}", error=BundleRefused)
    _check_metadata(header.pop("__metadata__", {}), what)
    if len(header) > MAX_TENSORS:
        _refuse(what, f"holds {len(header):,} tensors, over {MAX_TENSORS:,}", _FEWER)
    if not header and not allow_empty:
        _refuse(what, "holds no tensors", _DELETE)
    # Data that no tensor covers, or that two cover, could change without changing any digest or with two: both are
    # refused. Sorting by size as well puts empty tensors before the one that starts at the same byte.
    slots = sorted((_slot(name, entry, what) for name, entry in header.items()), key=lambda s: (s.begin, s.size))
    end = 0
    for slot in slots:
        if slot.begin != end:
            kind = "a hole before" if slot.begin > end else "an overlap at"
            _refuse(
                what,
                f"has {kind} tensor {visible(slot.name, 120)}: data ends at {end}, the tensor begins at {slot.begin}",
            )
        end += slot.size
    if end > data_size:
        _refuse(what, f"is cut short: its tensors take {end:,} bytes, it has {data_size:,}")
    if end < data_size:
        _refuse(what, f"has {data_size - end:,} trailing bytes that belong to no tensor")
    return tuple(slots)


def _refuse(what: str, reason: str, hint: str = _HINT) -> NoReturn:
    raise BundleRefused(f"{visible(what, 120)} {reason}", hint)


def _check_metadata(metadata: Any, what: str) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(what, "has a __metadata__ that is not a map of strings")


def _slot(name: str, entry: Any, what: str) -> Slot:
    _check_name(name, what)
    shown = visible(name, 120)
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        fields = ", ".join(sorted(visible(key, 40) for key in entry)[:5]) if isinstance(entry, dict) else "no object"
        _refuse(
            what, f"describes tensor {shown} by {fields or 'nothing'}; expected dtype, shape and data_offsets alone"
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(what, f"gives tensor {shown} the unknown dtype {visible(str(dtype), 40)}")
    if not _naturals(shape):
        _refuse(what, f"gives tensor {shown} a shape that is not a list of whole numbers from 0")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(what, f"gives tensor {shown} data_offsets that are not [begin, end]")
    begin, end = offsets
    if _bits(shown, dtype, shape, what) != 8 * (end - begin):
        _refuse(what, f"gives tensor {shown} {end - begin:,} bytes, which is not the size of its shape and dtype")
    return Slot(name, dtype, tuple(shape), begin, end - begin)


def _check_name(name: str, what: str) -> None:
    if not 1 <= len(name.encode()) <= MAX_NAME:
        reason = f"with {len(name.encode()):,} bytes, outside 1 to {MAX_NAME}"
    elif _UNSEEN.search(name):
        reason = "with a control or bidirectional character"
    elif name.startswith("/") or ".." in name.split("/"):
        reason = "which starts with “/” or has the part “..”"
    else:
        return
    _refuse(what, f"has a tensor named “{visible(name, 60)}”, {reason}", _NAMING)


def _naturals(value: Any) -> bool:
    """Whether ``value`` is a list of non-negative integers; booleans and floats do not count as integers."""
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _bits(name: str, dtype: str, shape: list[int], what: str) -> int:
    """The tensor's size in bits; refused if any partial product overflows the 64-bit integers of other readers."""
    bits = BITS[dtype]
    count = 1
    for dim in shape:
        count *= dim
        if count * bits > _MAX_BITS:
            _refuse(what, f"gives tensor {name} a shape beyond 2^64 bits")
    return count * bits
