"""Bench group gate: comparing reports of many buckets, compared with the same ratios in a pandas data frame.

As in the command, garbage collection is off. The peer does much less: its ratios are floats and its result is one word,
without flips, confidence intervals, compatibility checks or reasons.
"""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Iterator
from typing import Any

from rows import Row, median

from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.decision import judge
from modelspine.gate.eval_report import read_report

TOLERANCE = 2


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    gc.disable()
    try:
        yield from _rows()
    finally:
        gc.enable()


def _rows() -> Iterator[Row]:
    for count, items in ((41, 3_000), (10_000, 100_000)):
        before, now = report(count, items, seed=1), report(count, items, seed=2)
        base = baseline_bytes(baseline_of(read_report(before), reason="x", approved_in="#1", entry_sha="a" * 64))
        runs = 20 if count < 1_000 else 5
        ours = 1000 * median(lambda base=base, now=now: judge(now, baseline=base, stable=None), runs=runs)
        both = 1000 * median(
            lambda base=base, now=now, before=before: judge(now, baseline=base, stable=before), runs=runs
        )
        peer = 1000 * median(lambda before=before, now=now: framed(before, now), runs=runs)
        what = f"gate of {count:,} buckets, {items:,} items"
        yield Row(what, ours, "ms", 1000.0, "pandas: read, divide, compare", peer)
        budget = 1000.0 if count < 1_000 else None
        yield Row("the same, against production as well", both, "ms", budget, "pandas, once", peer)


def report(count: int, items: int, *, seed: int) -> bytes:
    """Return a report in which every item counts in three buckets and one item in forty is wrong."""
    draw = random.Random(seed)
    n = dict.fromkeys((f"bucket/{number}" for number in range(count)), 0)
    k = dict(n)
    failed: list[dict[str, Any]] = []
    for item in range(items):
        names = sorted({f"bucket/{(item * step + step) % count}" for step in (1, 3, 7)})
        right = draw.random() >= 1 / 40
        for name in names:
            n[name] += 1
            k[name] += right
        if not right:
            failed.append({"id": f"item-{item}", "buckets": names})
    made = {
        "schema": "spine.eval/1",
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": "d" * 32, "sha256": "e" * 64, "n": items},
        "decoding": {"method": "greedy"},
        "total": {"k": items - len(failed), "n": items},
        "buckets": {name: {"k": k[name], "n": n[name]} for name in n},
        "failed": failed,
    }
    return json.dumps(made).encode()


def framed(before: bytes, now: bytes) -> bool:
    """Compare by hand: the ratios side by side, and whether one fell by more than the tolerance."""
    import pandas as pd

    one, two = (
        pd.DataFrame.from_dict(json.loads(raw)["buckets"], orient="index").eval("k / n") for raw in (before, now)
    )
    return bool((100 * (one - two) > TOLERANCE).any())
