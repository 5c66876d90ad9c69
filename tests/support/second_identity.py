"""A second implementation of a bundle's identity, written only from the specification, with nothing of core.

It takes a folder's files as bytes in memory, has no size limits and gives no reasons, only `Refused`.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import unicodedata
from typing import Any

WIDTHS = {4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ"}
WIDTHS |= {16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "C64 F64 I64 U64"}
BITS = {name: width for width, names in WIDTHS.items() for name in names.split()}
BIDI = {0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
EVIDENCE = {"train_manifest.json", "corpus_manifest.json", "eval_report.json"}
LEFT_OUT = {".gitattributes", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "trainer_state.json"}
LEFT_OUT |= {"training_args.bin"}
LEFT_OUT_FOLDERS = {".git", ".cache", "__pycache__"}


class Refused(Exception):
    """This is not a bundle."""


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


def read_json(raw: bytes, constants: Any = constant) -> Any:
    try:
        tree = json.loads(
            raw.decode(), object_pairs_hook=Pairs, parse_int=Int, parse_float=Real, parse_constant=constants
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


def control(char: str) -> bool:
    return ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0


def tensors(raw: bytes) -> dict[str, bytes]:
    """The digest of every tensor of one safetensors file."""
    need(len(raw) >= 8)
    (length,) = struct.unpack("<Q", raw[:8])
    need(length <= 16 * 1024 * 1024 and 8 + length <= len(raw))
    text, data = raw[8 : 8 + length], raw[8 + length :]
    need(text.startswith(b"{"))
    header = read_json(text)
    metadata = header.pop("__metadata__", {})
    need(isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()))
    covered = []
    found = {}
    for name, info in header.items():
        need(0 < len(name.encode()) <= 512 and not name.startswith("/") and ".." not in name.split("/"))
        need(not any(control(char) or ord(char) in BIDI for char in name))
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


def left_out(path: str) -> bool:
    """Whether a file is a by-product."""
    *folders, name = path.split("/")
    if folders:
        return bool(LEFT_OUT_FOLDERS & set(folders))
    starts = name.startswith(("README", "LICENSE")) and not name.endswith((".safetensors", ".safetensors.index.json"))
    return starts or name in LEFT_OUT or (name.startswith("rng_state") and name.endswith(".pth"))


def whole(shards: set[str], table: dict[str, str], indexes: list[bytes]) -> None:
    """Refuse shards that are not exactly those that the indexes and the numbers in their names say."""
    for raw in indexes:
        index = read_json(raw)
        need(isinstance(index, dict) and index.get("weight_map") == table and set(table.values()) == shards)
    numbered = {name: re.fullmatch(r"(?s)(.*)-([0-9]+)-of-([0-9]+)\.safetensors", name) for name in shards}
    if any(numbered.values()):
        need(all(numbered.values()))
        found = [match.groups() for match in numbered.values() if match is not None]
        need(len({(stem, count) for stem, _, count in found}) == 1)
        count = int(found[0][2])
        need(sorted(int(number) for _, number, _ in found) in (list(range(1, count + 1)), list(range(count))))


def parent_of(files: dict[str, bytes]) -> bytes:
    if "train_manifest.json" not in files:
        return b""
    manifest = read_json(files["train_manifest.json"])
    need(isinstance(manifest, dict))
    if manifest.get("parent_sha") is None:
        return b""
    digits = manifest["parent_sha"]
    need(isinstance(digits, str) and len(digits) == 64 and set(digits) <= set("0123456789abcdef"))
    return bytes.fromhex(digits)


def identity(files: dict[str, bytes]) -> str:
    """The canonical SHA of a folder's files, by their paths."""
    need(not any(path.split("/")[0] in ("spine.toml", ".spine") for path in files))
    files = {path: raw for path, raw in files.items() if not left_out(path)}
    need(all(len(path.encode()) <= 1024 - len("cache/") - 64 - len("/") and "\\" not in path for path in files))
    need(not any(control(char) or ord(char) in BIDI | {0x2028, 0x2029} for path in files for char in path))
    need(all(0 < len(part.encode()) <= 255 for path in files for part in path.split("/")))
    need(len({unicodedata.normalize("NFC", path).casefold() for path in files}) == len(files))
    shards = {path for path in files if path.endswith(".safetensors") and "/" not in path}
    indexes = {path for path in files if path.endswith(".safetensors.index.json") and "/" not in path}
    digests: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    for shard in shards:
        found = tensors(files[shard])
        need(found and not found.keys() & digests.keys())
        digests |= found
        owners |= dict.fromkeys(found, shard)
    need(len(digests) <= 20_000)
    whole(shards, owners, [files[path] for path in indexes])
    config, strange = None, []
    if "config.json" in files:
        config = read_json(files["config.json"], lambda name: strange.append(name) or name)
        need(isinstance(config, dict))
    known = shards | indexes | EVIDENCE | {"tokenizer.json"} | (set() if strange else {"config.json"})
    assets = sorted((path.encode(), hashlib.sha256(files[path]).digest()) for path in files.keys() - known)
    need(assets or (shards and "config.json" in files))
    tokenizer = None
    if "tokenizer.json" in files:
        tokenizer = hashlib.sha256(canonical(read_json(files["tokenizer.json"])).encode()).hexdigest()
    weights = frame("spine.weights/1", *(digests[name] for name in sorted(digests, key=str.encode)))
    both = {"config": None if strange else config, "tokenizer": tokenizer}
    settings = hashlib.sha256(canonical(both).encode()).digest()
    if not assets:
        return frame("spine.entry/1", weights, settings, parent_of(files)).hex()
    listed = frame("spine.assets/1", *(frame("spine.asset/1", *asset) for asset in assets))
    return frame("spine.entry/2", weights, settings, listed, parent_of(files)).hex()
