"""Thousands of damaged and forged bundles: refused or hashed as the recipe says, never a crash, a hang or a doubt.

Every mutant is judged by a second implementation as well: both must refuse it, or both give the same SHA.
``SPINE_FAULTS=long`` runs forty times as many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import forge
import second_identity
from modelspine.errors import BundleRefused
from modelspine.identity.bundle import read_bundle

COUNT = 10_000 * (40 if os.environ.get("SPINE_FAULTS") == "long" else 1)
MODEL, CONFIG, TOKENIZER, MANIFEST = "model.safetensors", "config.json", "tokenizer.json", "train_manifest.json"
LIMIT_S = 1.0  # of processor time; a mutant takes about a millisecond
Identity = Callable[[Path], str]

A: forge.Tensors = {"w.0": ("F32", [2, 3], bytes(range(24))), "w.1": ("I8", [4], b"\1\2\3\4"), "e": ("U8", [0], b"")}
B: forge.Tensors = {f"t{i}": ("U16", [i], bytes(2 * i)) for i in range(12)} | {"f4": ("F4", [2, 2], b"\1\2")}
MANIFESTS = b'{"parent_sha": "%s", "seed": "1", "corpora": [{"path": "x", "n": 1e3}]}'
BASES: list[dict[str, bytes]] = [
    {MODEL: forge.plain(A), CONFIG: b'{"d": 64, "eps": 1e-05, "n": ["\xc3\xa9", "\\ud83d\\ude00", null, true, -0.0]}'},
    {
        MODEL: forge.plain(B),
        CONFIG: json.dumps({"layers": [{"dim": 2**n, "p": 0.1 * n} for n in range(6)]}).encode(),
        TOKENIZER: json.dumps({"vocab": {f"t{i}": i for i in range(20)}, "merges": ["a b"]}).encode(),
        MANIFEST: MANIFESTS % (b"0f" * 32),
    },
    {MODEL: forge.plain({"s": ("F64", [], bytes(8))}), CONFIG: b"{}", MANIFEST: b'{"parent_sha": null}'},
]
TOKENS = [
    *(b"NaN", b"-Infinity", b"1e400", b"1e16", b"-0", b"0", b"1.0", b"9007199254740992", b"18446744073709551616"),
    *(b'"\\ud800"', b'"\\u0000"', b'""', b"null", b"true", b"[]", b"{}", b"[[[[", b"]" * 9, b"\xef\xbb\xbf", b"\xff"),
    *(
        b'"dtype"',
        b'"shape"',
        b'"F32"',
        b'"BOOL"',
        b'"F4"',
        b'"C128"',
        b'"__metadata__":{},',
        b'"a":1,"a":2,',
        b"//",
        b"\x00",
    ),
    *(b" ", b"\n", b"\t", b",", b":", b'"', b"\\", b"-", b"1", b"9" * 40, b"[" * 70 + b"]" * 70, b'"d":', b"\\u0064"),
]


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """One to three small damages."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        a, b = sorted((rng.randint(0, len(raw)), rng.randint(0, len(raw))))
        b = min(b, a + rng.choice((1, 2, 8, 10_000)))
        piece = raw[a:b]
        kind = rng.randrange(7)
        if kind == 0 and piece:
            piece = bytes([piece[0] ^ 1 << rng.randrange(8)]) + piece[1:]
        elif kind == 1:
            piece = b""
        elif kind == 2:
            piece += piece
        elif kind == 3:
            piece = rng.choice(TOKENS)
        elif kind == 4:
            piece = rng.choice(TOKENS) + piece
        elif kind == 5:
            piece = rng.randbytes(len(piece[:8])) + piece[8:]
        elif raw[:a].rstrip()[-1:] in b",:{[":
            piece = rng.choice((b" ", b"\r\n")) + piece
        raw = raw[:a] + piece + raw[b:]
    return raw


def mutate_header(raw: bytes, rng: random.Random) -> bytes:
    """Damage inside the header with its length told right, or a forged field, or one tensor more."""
    length = int.from_bytes(raw[:8], "little")
    text, data = raw[8 : 8 + length], raw[8 + length :]
    if rng.random() < 0.5:
        return forge.safetensors(mutate(text, rng), data)
    header = json.loads(text)
    entry = header[rng.choice(list(header))]
    numbers = (0, 1, 2, -1, 1.0, True, None, "2", 2**31, 2**53, 2**63, 2**64, len(data))
    kind = rng.randrange(5)
    if kind == 0:
        entry["dtype"] = rng.choice([*second_identity.BITS, "f32", "", None, 3, ["F32"]])
    elif kind == 1:
        entry["shape"] = [rng.choice(numbers) for _ in range(rng.randrange(4))]
    elif kind == 2:
        entry["data_offsets"] = [rng.choice(numbers) for _ in range(rng.choice((2, 2, 2, 1, 3)))]
    elif kind == 3:
        entry[rng.choice(("dtype", "x", "shape"))] = rng.choice(numbers)
    else:
        header[rng.choice(("new", "a/b", "", "é", "x" * 129, "__metadata__"))] = rng.choice((entry, {"k": "v"}, None))
    return forge.safetensors(json.dumps(header), data)


def mutants(seed: int, count: int) -> Iterator[tuple[int, str, bytes]]:
    """Which base, which of its files, and the bytes it now has, which are always others."""
    rng = random.Random(seed)
    while count:
        base = rng.randrange(len(BASES))
        name = rng.choice((MODEL, *BASES[base]))
        raw = BASES[base][name]
        by_header = name == MODEL and rng.random() < 0.6
        harmed = mutate_header(raw, rng) if by_header else mutate(raw, rng)
        if harmed != raw:
            count -= 1
            yield base, name, harmed


def judge(folder: Path, identity: Identity, files: dict[str, bytes]) -> str:
    """One word for what became of one mutant.

    A slow one is tried twice more: bytes that take long take long each time, and a busy machine does not.
    """
    try:
        expected = second_identity.identity(files)
    except second_identity.Refused:
        expected = None
    for _ in range(3):
        start = time.thread_time()
        outcome = judge_once(folder, identity, expected)
        if time.thread_time() - start < LIMIT_S:
            return outcome
    return "hung"


def judge_once(folder: Path, identity: Identity, expected: str | None) -> str:
    try:
        found = identity(folder)
        again = identity(folder)
    except BundleRefused as refused:
        if not (refused.message.isprintable() and refused.hint and len(refused.message) < 500):
            return "unspoken"
        return "refused" if expected is None else "refused alone"
    except Exception as exc:  # noqa: BLE001  (any other exception is what is looked for)
        return f"crashed: {type(exc).__name__}"
    if expected is None:
        return "accepted alone"
    return "accepted" if found == again == expected else "unstable"


def run(root: Path, identity: Identity, *, count: int, seed: int = 20) -> Counter[str]:
    folders = [forge.write(root / str(at), files) for at, files in enumerate(BASES)]
    outcomes: Counter[str] = Counter()
    for base, name, raw in mutants(seed, count):
        path = folders[base] / name
        path.write_bytes(raw)
        outcomes[judge(folders[base], identity, {**BASES[base], name: raw})] += 1
        path.write_bytes(BASES[base][name])
    return outcomes


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one."""
    ram = Path("/dev/shm")
    folder = ram / f"{tmp_path.name}-{os.getpid()}" if ram.is_dir() else tmp_path / "root"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def sha(folder: Path) -> str:
    return read_bundle(folder, threads=1).sha


@pytest.mark.timeout(120 * max(1, COUNT // 10_000))
def test_every_mutant_is_refused_or_hashed_as_the_recipe_says(root: Path) -> None:
    outcomes = run(root, sha, count=COUNT)
    print(dict(outcomes))
    assert set(outcomes) == {"refused", "accepted"}
    assert outcomes["refused"] > COUNT // 4
    assert outcomes["accepted"] > COUNT // 20
    assert outcomes.total() == COUNT


def lax(folder: Path) -> str:
    """Takes what any JSON parser and any safetensors reader take."""
    from safetensors import SafetensorError, deserialize

    try:
        json.loads((folder / CONFIG).read_bytes())
        deserialize((folder / MODEL).read_bytes())
    except (ValueError, SafetensorError) as exc:
        raise BundleRefused("no", "no") from exc
    return sha(folder)


def careless(folder: Path) -> str:
    json.loads((folder / CONFIG).read_bytes())
    return sha(folder)


def whole_file(folder: Path) -> str:
    import hashlib

    sha(folder)
    return hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()


def forgetful(folder: Path) -> str:
    return second_identity.identity({p.name: p.read_bytes() for p in folder.iterdir() if p.name != MANIFEST})


@pytest.mark.parametrize(
    ("twin", "caught"),
    [(careless, "crashed"), (whole_file, "unstable"), (forgetful, "unstable"), (forgetful, "crashed")],
)
def test_broken_twins_are_caught(root: Path, twin: Identity, caught: str) -> None:
    assert any(outcome.startswith(caught) for outcome in run(root, twin, count=600))


def test_a_twin_that_accepts_what_other_readers_accept_is_caught(root: Path) -> None:
    def accepts(folder: Path) -> str:
        try:
            return lax(folder)
        except BundleRefused as refused:
            if refused.message == "no":
                raise
            return "0" * 64

    assert run(root, accepts, count=1500)["accepted alone"] > 0


def test_a_twin_that_takes_long_each_time_is_caught(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LIMIT_S", 0.02)

    def slow(folder: Path) -> str:
        start = time.thread_time()
        while time.thread_time() - start < 0.03:
            pass
        return sha(folder)

    assert run(root, slow, count=5) == {"hung": 5}
