"""What differs between two entries: config, tensors, corpora, and every bucket of their reports.

It reads what was recorded when the entries were registered and hashes nothing again. It does not judge a
difference: that is the gate's.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from modelspine.canonical_json import canonical
from modelspine.gate.eval_report import Count
from modelspine.identity.bundle import Bundle, Difference, diff
from modelspine.registry.entries import Detail, manifest_corpora


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket in both reports; None where a report lacks it."""

    name: str
    a: Count | None
    b: Count | None

    @property
    def pp(self) -> float | None:
        """B − a in percentage points, where both counted something."""
        left, right = (side.ratio if side else None for side in (self.a, self.b))
        return None if left is None or right is None else 100 * (right - left)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What ``b`` has that ``a`` has not."""

    a: str
    b: str
    content: Difference
    tokenizer_changed: bool | None
    """None where it cannot be told from what was recorded."""
    corpora_added: tuple[dict[str, Any], ...]
    corpora_removed: tuple[dict[str, Any], ...]
    deltas: tuple[Delta, ...]
    """``total`` and ``false_accept`` first, then the buckets by name."""


def compare(a: Detail, b: Detail) -> Comparison:
    """What changed from ``a`` to ``b``."""
    before, after = ({str(c.get("dvc_hash")): c for c in manifest_corpora(side)} for side in (a, b))
    return Comparison(
        a=a.entry.sha,
        b=b.entry.sha,
        content=diff(_recorded(a), _recorded(b)),
        tokenizer_changed=_tokenizer_changed(a, b),
        corpora_added=tuple(corpus for name, corpus in after.items() if name not in before),
        corpora_removed=tuple(corpus for name, corpus in before.items() if name not in after),
        deltas=_deltas(a, b),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as programs read it."""
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
        "parent": content.parent,
        "tokenizer_changed": comparison.tokenizer_changed,
        "corpora": {"added": comparison.corpora_added, "removed": comparison.corpora_removed},
        "buckets": {d.name: {"a": _pair(d.a), "b": _pair(d.b), "delta_pp": d.pp} for d in comparison.deltas},
    }


def _recorded(detail: Detail) -> Bundle:
    """An entry's bundle as its tensor table tells it; the tokenizer is not in there and compared apart."""
    return Bundle(
        sha=detail.entry.sha,
        weights=detail.weights,
        config=detail.config_digest,
        tokenizer=None,
        parent_sha=detail.entry.parent_sha,
        tensors=detail.tensors,
        files=(),
        config_json=detail.config,
        evidence={},
    )


def _tokenizer_changed(a: Detail, b: Detail) -> bool | None:
    """The config digest covers the tokenizer's, so it tells wherever the configs themselves are equal."""
    if a.config == b.config:
        return a.config_digest != b.config_digest
    without = [side.config_digest == _digest_without(side.config) for side in (a, b)]
    return None if not any(without) else without[0] != without[1]


def _digest_without(config: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({"config": config, "tokenizer": None})).hexdigest()


def _deltas(a: Detail, b: Detail) -> tuple[Delta, ...]:
    first, second = a.eval_report, b.eval_report
    if first is None and second is None:
        return ()
    names = sorted((first.buckets if first else {}) | (second.buckets if second else {}))
    buckets = [
        Delta(name=name, a=first.buckets.get(name) if first else None, b=second.buckets.get(name) if second else None)
        for name in names
    ]
    total = Delta(name="total", a=a.entry.total, b=b.entry.total)
    passed = Delta(name="false_accept", a=a.entry.false_accept, b=b.entry.false_accept)
    return (total, passed, *buckets)


def _pair(count: Count | None) -> dict[str, int] | None:
    return {"k": count.k, "n": count.n} if count else None
