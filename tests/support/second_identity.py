"""A second implementation of bundle/1, written only from the specification: struct, json and hashlib, nothing of core.

It takes a folder's files as bytes in memory, has no size limits and gives no reasons, only `Refused`.
"""

from __future__ import annotations

import hashlib
import json
import string
import struct
from typing import Any

WIDTHS = {4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ"}
WIDTHS |= {16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "C64 F64 I64 U64"}
BITS = {name: width for width, names in WIDTHS.items() for name in names.split()}
NAME = set(string.ascii_letters + string.digits + "_.")
JSON = {"config.json", "tokenizer.json", "train_manifest.json", "corpus_manifest.json", "eval_report.json"}


class Refused(Exception):
    """This is not a bundle/1."""


def need(condition: object) -> None:
    if not condition:
        raise Refused


class Int(str):
    """An integer as written."""


class Real(str):
    """Any other number as written."""


class Pairs(list):  # type: ignore[type-arg]
    """An object's members in order, including repeated keys."""


def constant(name: str) -> Any:
    raise Refused(name)


def read_json(raw: bytes) -> Any:
    try:
        tree = json.loads(
            raw.decode(), object_pairs_hook=Pairs, parse_int=Int, parse_float=Real, parse_constant=constant
        )
    except (ValueError, RecursionError) as exc:
        raise Refused from exc
    return settle(tree, 0)


def settle(node: Any, depth: int) -> Any:
    """Convert a parsed tree into a value, refusing whatever is ambiguous."""
    if isinstance(node, Int):
        need(len(node) < 20 and abs(int(node)) < 2**53)
        return float("-0.0") if node == "-0" else int(node)
    if isinstance(node, Real):
        need(float(node) not in (float("inf"), float("-inf")))
        return float(node)
    if isinstance(node, str):
        need(not any(0xD800 <= ord(char) < 0xE000 for char in node))
        return node
    if isinstance(node, list):
        need(depth < 64)
        if not isinstance(node, Pairs):
            return [settle(item, depth + 1) for item in node]
        need(len({key for key, _ in node}) == len(node))
        return {settle(key, depth): settle(item, depth + 1) for key, item in node}
    return node


def canonical(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{canonical(v)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """Format a double as ECMAScript's Number::toString does."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def frame(tag: str, *parts: bytes) -> bytes:
    return hashlib.sha256(tag.encode() + b"\0" + b"".join(struct.pack("<Q", len(p)) + p for p in parts)).digest()


def tensors(raw: bytes) -> dict[str, bytes]:
    """The digest of every tensor of one safetensors file."""
    need(len(raw) >= 8)
    (length,) = struct.unpack("<Q", raw[:8])
    need(length <= 1024 * 1024 and 8 + length <= len(raw))
    text, data = raw[8 : 8 + length], raw[8 + length :]
    need(text.startswith(b"{"))
    header = read_json(text)
    metadata = header.pop("__metadata__", {})
    need(isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()))
    covered = []
    found = {}
    for name, info in header.items():
        need(0 < len(name) <= 128 and set(name) <= NAME)
        need(isinstance(info, dict) and sorted(info) == ["data_offsets", "dtype", "shape"])
        dtype, shape, span = info["dtype"], info["shape"], info["data_offsets"]
        need(isinstance(dtype, str) and dtype in BITS and isinstance(shape, list) and isinstance(span, list))
        need(all(type(n) is int and n >= 0 for n in shape + span) and len(span) == 2)
        bits = BITS[dtype]
        for dim in shape:
            bits *= dim
            need(bits < 2**64)
        start, stop = span
        need(start <= stop <= len(data) and (stop - start) * 8 == bits)
        covered.append((start, stop))
        dims = b"".join(struct.pack("<Q", dim) for dim in shape)
        content = hashlib.sha256(data[start:stop]).digest()
        found[name] = frame("spine.tensor/1", name.encode(), dtype.encode(), dims, content)
    edge = 0
    for start, stop in sorted(covered):
        need(start == edge)
        edge = stop
    need(edge == len(data))
    return found


def identity(files: dict[str, bytes]) -> str:
    """The canonical SHA of a folder's files."""
    table: dict[str, bytes] = {}
    shards = [name for name in files if name.lower().endswith(".safetensors")]
    need(shards and "config.json" in files)
    need(all(name.endswith(".safetensors") for name in shards) and len({s.lower() for s in shards}) == len(shards))
    need(all(name in JSON for name in files if name.lower() in JSON))
    for shard in shards:
        found = tensors(files[shard])
        need(not found.keys() & table.keys())
        table |= found
    need(len(table) <= 4096)
    config = read_json(files["config.json"])
    need(isinstance(config, dict))
    tokenizer = None
    if "tokenizer.json" in files:
        tokenizer = hashlib.sha256(canonical(read_json(files["tokenizer.json"])).encode()).hexdigest()
    parent = b""
    if "train_manifest.json" in files:
        manifest = read_json(files["train_manifest.json"])
        need(isinstance(manifest, dict))
        if manifest.get("parent_sha") is not None:
            digits = manifest["parent_sha"]
            need(isinstance(digits, str) and len(digits) == 64 and set(digits) <= set("0123456789abcdef"))
            parent = bytes.fromhex(digits)
    weights = frame("spine.weights/1", *(table[name] for name in sorted(table)))
    settings = hashlib.sha256(canonical({"config": config, "tokenizer": tokenizer}).encode()).digest()
    return frame("spine.entry/1", weights, settings, parent).hex()
