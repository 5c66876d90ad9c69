"""What differs between two entries: config, tensors, corpora, and the buckets of their evaluation reports.

It compares what was recorded when the entries were registered and hashes nothing again. It does not judge a
difference: that is the gate's task.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec

from modelspine.canonical_json import canonical
from modelspine.gate.eval_report import Count
from modelspine.identity.bundle import File
from modelspine.identity.tensors import Tensor
from modelspine.registry.entries import Detail, manifest_corpora

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
T = TypeVar("T")
N = TypeVar("N", Tensor, File)
_ABSENT = object()
"""Marks a key that one side lacks; None would be the JSON value null."""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket's counts in both reports; None if a report lacks the bucket."""

    name: str
    a: Count | None
    b: Count | None

    @property
    def pp(self) -> float | None:
        """B − A in percentage points; None unless both sides counted something."""
        left, right = (side.ratio if side else None for side in (self.a, self.b))
        return None if left is None or right is None else 100 * (right - left)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Both models, part by part: A's and B's side of each part, None where a side lacks it."""

    settings: tuple[tuple[str, str | None, str | None], ...]
    """The config: JSON path, value in A, value in B. Values are canonical JSON."""
    tensors: tuple[tuple[Tensor | None, Tensor | None], ...]
    assets: tuple[tuple[File | None, File | None], ...]
    parents: tuple[str | None, str | None]
    """The parents' SHAs."""

    @property
    def config(self) -> tuple[tuple[str, str | None, str | None], ...]:
        """The settings that differ."""
        return tuple(each for each in self.settings if each[1] != each[2])

    @property
    def parent(self) -> tuple[str | None, str | None] | None:
        """The parents' SHAs; None if they are equal."""
        return self.parents if self.parents[0] != self.parents[1] else None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The names of what B adds, removes and changes, and how many parts are the same."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of entry B from entry A; ``a`` and ``b`` are their SHAs."""

    a: str
    b: str
    content: Content
    tokenizer_changed: bool | None
    """None if the records do not show it."""
    corpora: tuple[tuple[dict[str, Any] | None, dict[str, Any] | None], ...]
    """The corpora of both, by hash; None on the side that was not trained on it."""
    deltas: tuple[Delta, ...]
    """``total`` and ``false_accept`` first, then the buckets by name."""


def compare(a: Detail, b: Detail) -> Comparison:
    """Compare two entries."""
    before, after = ({str(c.get("dvc_hash")): c for c in manifest_corpora(side)} for side in (a, b))
    return Comparison(
        a=a.entry.sha,
        b=b.entry.sha,
        content=Content(
            settings=tuple(config_values(a.config, b.config)),
            tensors=_aligned({each.name: each for each in a.tensors}, {each.name: each for each in b.tensors}),
            assets=_aligned({each.name: each for each in a.assets}, {each.name: each for each in b.assets}),
            parents=(a.entry.parent_sha, b.entry.parent_sha),
        ),
        tokenizer_changed=_tokenizer_changed(a, b),
        corpora=_aligned(before, after),
        deltas=_deltas(a, b),
    )


def _aligned(a: Mapping[str, T], b: Mapping[str, T]) -> tuple[tuple[T | None, T | None], ...]:
    """Both sides of each part, in the order of A, then what only B has."""
    return tuple((a.get(name), b.get(name)) for name in {**a, **b})


def tensor_changes(content: Content) -> Changes:
    """Which tensors differ; name, type, shape and bytes all count."""
    return _changes(content.tensors, lambda tensor: tensor.digest)


def asset_changes(content: Content) -> Changes:
    """Which further files differ."""
    return _changes(content.assets, lambda file: file.sha256)


def _changes(pairs: Sequence[tuple[N | None, N | None]], digest: Callable[[N], object]) -> Changes:
    shared = [(a.name, digest(a) == digest(b)) for a, b in pairs if a is not None and b is not None]
    return Changes(
        added=tuple(b.name for a, b in pairs if a is None and b is not None),
        removed=tuple(a.name for a, b in pairs if b is None and a is not None),
        changed=tuple(name for name, same in shared if not same),
        same=sum(same for _, same in shared),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The JSON of ``spine diff --json``."""
    content, assets = comparison.content, asset_changes(comparison.content)
    return {
        "a": comparison.a,
        "b": comparison.b,
        "config": [{"path": path, "a": left, "b": right} for path, left, right in content.config],
        "tensors": msgspec.to_builtins(tensor_changes(content)),
        "assets": {name: getattr(assets, name) for name in ("added", "removed", "changed")},
        "parent": content.parent,
        "tokenizer_changed": comparison.tokenizer_changed,
        "corpora": {
            "added": [b for a, b in comparison.corpora if a is None],
            "removed": [a for a, b in comparison.corpora if b is None],
        },
        "buckets": {
            delta.name: {"a": _counts(delta.a), "b": _counts(delta.b), "delta_pp": delta.pp}
            for delta in comparison.deltas
        },
    }


def config_values(a: Any, b: Any, path: str = "$") -> Iterator[tuple[str, str | None, str | None]]:
    """The deepest JSON paths (``$.layers[0].dim``) of two values, with both values there as canonical JSON.

    Compared in canonical form, because 1 and 1.0 are the same number to RFC 8785 and so to the canonical SHA.
    """
    if isinstance(a, dict) and isinstance(b, dict) and (a or b):
        for key in sorted(a.keys() | b.keys()):
            step = f".{key}" if _IDENTIFIER.fullmatch(key) else f"[{json.dumps(key)}]"
            yield from config_values(a.get(key, _ABSENT), b.get(key, _ABSENT), path + step)
    elif isinstance(a, list) and isinstance(b, list) and (a or b):
        for index, (left, right) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from config_values(left, right, f"{path}[{index}]")
    else:
        before, after = (None if value is _ABSENT else _text_of(value) for value in (a, b))
        yield path, before, after


def _text_of(value: Any) -> str:
    """A JSON value in canonical form; in ASCII where it has none, as a string with half a character."""
    try:
        return canonical(value).decode()
    except ValueError:
        return json.dumps(value, sort_keys=True)


def _tokenizer_changed(a: Detail, b: Detail) -> bool | None:
    """Whether the tokenizers differ, inferred from the config digests, which cover config and tokenizer together."""
    if a.config == b.config:
        return a.config_digest != b.config_digest
    try:
        without = [side.config_digest == _digest_without_tokenizer(side.config) for side in (a, b)]
    except ValueError:  # a config without a canonical form, which no bundle has
        return None
    # With different configs only the absence of a tokenizer can be recognised; two tokenizers remain unknown.
    return None if not any(without) else without[0] != without[1]


def _digest_without_tokenizer(config: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({"config": config, "tokenizer": None})).hexdigest()


def _deltas(a: Detail, b: Detail) -> tuple[Delta, ...]:
    if a.eval_report is None and b.eval_report is None:
        return ()
    before, after = (side.eval_report.buckets if side.eval_report else {} for side in (a, b))
    return (
        Delta(name="total", a=a.entry.total, b=b.entry.total),
        Delta(name="false_accept", a=a.entry.false_accept, b=b.entry.false_accept),
        *(Delta(name=name, a=before.get(name), b=after.get(name)) for name in sorted(before | after)),
    )


def _counts(count: Count | None) -> dict[str, int] | None:
    return {"k": count.k, "n": count.n} if count else None
