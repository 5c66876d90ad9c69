"""What differs between two entries: config, tensors, corpora, and the buckets of their evaluation reports.

It compares what was recorded when the entries were registered and hashes nothing again. It does not judge a
difference: that is the gate's task.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from modelspine.canonical_json import canonical
from modelspine.gate.eval_report import Count
from modelspine.identity.tensors import Tensor
from modelspine.registry.entries import Detail, manifest_corpora

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
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
    """What differs in the models themselves: a change of config is (JSON path, value in A, value in B).

    Values are canonical JSON, None if a side lacks the path.
    """

    config: tuple[tuple[str, str | None, str | None], ...]
    tensors_added: tuple[str, ...]
    tensors_removed: tuple[str, ...]
    tensors_changed: tuple[str, ...]
    tensors_same: int
    assets_added: tuple[str, ...]
    assets_removed: tuple[str, ...]
    assets_changed: tuple[str, ...]
    parent: tuple[str | None, str | None] | None
    """The parents' SHAs; None if they are equal."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of entry B from entry A; ``a`` and ``b`` are their SHAs."""

    a: str
    b: str
    content: Content
    tokenizer_changed: bool | None
    """None if the records do not show it."""
    corpora_added: tuple[dict[str, Any], ...]
    corpora_removed: tuple[dict[str, Any], ...]
    deltas: tuple[Delta, ...]
    """``total`` and ``false_accept`` first, then the buckets by name."""


def compare(a: Detail, b: Detail) -> Comparison:
    """Compare two entries."""
    before, after = ({str(c.get("dvc_hash")): c for c in manifest_corpora(side)} for side in (a, b))
    parents = a.entry.parent_sha, b.entry.parent_sha
    added, removed, changed, same = tensor_changes(a.tensors, b.tensors)
    files = {file.name: file.sha256 for file in a.assets}, {file.name: file.sha256 for file in b.assets}
    return Comparison(
        a=a.entry.sha,
        b=b.entry.sha,
        content=Content(
            config=tuple(config_changes(a.config, b.config)),
            tensors_added=added,
            tensors_removed=removed,
            tensors_changed=changed,
            tensors_same=same,
            assets_added=tuple(name for name in files[1] if name not in files[0]),
            assets_removed=tuple(name for name in files[0] if name not in files[1]),
            assets_changed=tuple(name for name, sha in files[0].items() if files[1].get(name, sha) != sha),
            parent=parents if parents[0] != parents[1] else None,
        ),
        tokenizer_changed=_tokenizer_changed(a, b),
        corpora_added=tuple(corpus for name, corpus in after.items() if name not in before),
        corpora_removed=tuple(corpus for name, corpus in before.items() if name not in after),
        deltas=_deltas(a, b),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The JSON of ``spine diff --json``."""
    content = comparison.content
    return {
        "a": comparison.a,
        "b": comparison.b,
        "config": [{"path": path, "a": left, "b": right} for path, left, right in content.config],
        "tensors": {
            "added": content.tensors_added,
            "removed": content.tensors_removed,
            "changed": content.tensors_changed,
            "same": content.tensors_same,
        },
        "assets": {
            "added": content.assets_added,
            "removed": content.assets_removed,
            "changed": content.assets_changed,
        },
        "parent": content.parent,
        "tokenizer_changed": comparison.tokenizer_changed,
        "corpora": {"added": comparison.corpora_added, "removed": comparison.corpora_removed},
        "buckets": {
            delta.name: {"a": _counts(delta.a), "b": _counts(delta.b), "delta_pp": delta.pp}
            for delta in comparison.deltas
        },
    }


def config_changes(a: Any, b: Any, path: str = "$") -> Iterator[tuple[str, str | None, str | None]]:
    """The deepest JSON paths (``$.layers[0].dim``) at which two values differ, with both values there."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            step = f".{key}" if _IDENTIFIER.fullmatch(key) else f"[{json.dumps(key)}]"
            yield from config_changes(a.get(key, _ABSENT), b.get(key, _ABSENT), path + step)
    elif isinstance(a, list) and isinstance(b, list):
        for index, (left, right) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from config_changes(left, right, f"{path}[{index}]")
    else:
        # Compared in canonical form, because 1 and 1.0 are the same number to RFC 8785 and so to the canonical SHA.
        before, after = (None if value is _ABSENT else _text_of(value) for value in (a, b))
        if before != after:
            yield path, before, after


def _text_of(value: Any) -> str:
    """A JSON value in canonical form; in ASCII where it has none, as a string with half a character."""
    try:
        return canonical(value).decode()
    except ValueError:
        return json.dumps(value, sort_keys=True)


def tensor_changes(
    a: Sequence[Tensor], b: Sequence[Tensor]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], int]:
    """The names of the tensors that B adds, removes and changes, and how many are the same."""
    before, after = ({tensor.name: tensor.digest for tensor in side} for side in (a, b))
    shared = [name for name in before if name in after]
    changed = tuple(name for name in shared if before[name] != after[name])
    return (
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        changed,
        len(shared) - len(changed),
    )


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
