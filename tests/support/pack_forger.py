"""A forger of packs, who changes or removes every value in the JSON of a pack; the verifier runs in this process."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

Place = tuple[str | int, ...]
RECORDED = {
    "accepted", "cost", "currency", "embedding", "error", "feedback", "graded", "in_scope", "input", "input_price",
    "input_sha256", "input_tokens", "label", "output_price", "output_tokens", "price_version", "priced_by",
    "rate_per_hour", "retry_of", "said_text", "score", "seconds", "source", "span_id", "stages", "started_ns",
    "status", "trace_id", "unit_hash", "unpriced", "values_by", "workers",
}  # fmt: skip
"""What a server recorded of a request and nothing else in a pack shows, so that only the digest of the list protects
it where it is changed in every place at once."""


def verdict(folder: Path, program: CodeType) -> tuple[int, str]:
    """The exit code of a pack's verifier and what it prints."""
    out = io.StringIO()
    with mock.patch.object(sys, "argv", ["verify.py"]), contextlib.redirect_stdout(out):
        try:
            exec(program, {"__file__": str(folder / "verify.py"), "__name__": "__main__"})
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue()
    raise AssertionError("the verifier did not exit")


def program_of(folder: Path) -> CodeType:
    """The verifier in a pack, compiled once."""
    return compile((folder / "verify.py").read_bytes(), "verify.py", "exec")


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every value within a document that is no object or list, and every empty one of these."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not (found := list(inner)):
        yield at
    for key, each in found:
        yield from places(each, (*at, key))


def lies(value: Any) -> list[Any]:
    """Other values of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    if isinstance(value, str):
        swapped = {"verified": "recorded", "recorded": "verified"}.get(value)
        return [swapped] if swapped else [f"{value}0", ("1" if value[:1] == "0" else "0") + value[1:]]
    return ["x"] if value is None else [[{"sha": "x"}] if isinstance(value, list) else {"x": 1}]


def forged(document: Any, place: Place) -> Iterator[Any]:
    """The document with other values at a place, and without that place."""
    for lie in [*lies(_at(document, place)), ...]:
        made = copy.deepcopy(document)
        holder = _at(made, place[:-1])
        if lie is ...:
            del holder[place[-1]]
        else:
            holder[place[-1]] = lie
        yield made


def unnoticed(folder: Path, name: str) -> set[str]:
    """The places of a file where some lie is neither found nor reported as not checked.

    The forger makes the rest agree with it: the trace is changed in walk.json too, and the list of files and the chain
    of events are made again.
    """
    program, wrong = program_of(folder), set()
    honest = verdict(folder, program)[1].count("not checked")
    kept = {file: (folder / file).read_bytes() for file in (name, "walk.json", "pack.json", "SHA256SUMS")}
    document = _read(name, kept[name])
    for place in places(document):
        for made in forged(document, place):
            _write(folder, name, made, json.loads(kept["walk.json"]), json.loads(kept["pack.json"]))
            relist(folder)
            code, out = verdict(folder, program)
            if code == 0 and out.count("not checked") == honest:
                wrong.add(named(document, place))
    for file, raw in kept.items():
        (folder / file).write_bytes(raw)
    return wrong


def named(document: Any, place: Place) -> str:
    """A place as text: answers by their number, other members of lists by ``*``."""
    parts = ["*" if isinstance(part, int) else part for part in place]
    if place[0] == "answers":
        parts[:2] = [f"answer{_at(document, place[:2])['n']}"]
    return ".".join(parts)


def _read(name: str, raw: bytes) -> Any:
    return [json.loads(line) for line in raw.splitlines()] if name.endswith("jsonl") else json.loads(raw)


def _write(folder: Path, name: str, made: Any, walk: Any, pack: Any) -> None:
    if name == "ledger.jsonl":
        lines, prev = [], pack["before"]
        for event in made:
            lines.append(json.dumps({**event, "prev": prev} if isinstance(event, dict) else event))
            prev = hashlib.sha256(lines[-1].encode()).hexdigest()
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        (folder / "pack.json").write_text(json.dumps(pack | {"ledger": f"{len(made) + pack['from'] - 1}:{prev}"}))
        return
    (folder / name).write_text(json.dumps(made))
    if name == "trace.json":
        (folder / "walk.json").write_text(json.dumps(walk | {"trace": made}))


def relist(folder: Path) -> None:
    """Make the list of files again."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _at(document: Any, place: Place) -> Any:
    for part in place:
        document = document[part]
    return document
