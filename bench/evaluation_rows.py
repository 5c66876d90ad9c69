"""Bench group evaluation: the NumPy engine compared with the same weights in eager PyTorch, with and without batching.

The clone's first model answers part of the eval set. The peer scores the same forms, one sentence at a time or in
batches; both run on one thread, and their answers are compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Row

from modelspine.evaluating import Task, run_apart
from modelspine.model_pool import cores

ROOT = Path(__file__).resolve().parent.parent
BASE, INT8 = (ROOT / "demo" / ".spine" / "bundles" / name for name in ("base", "int8"))
ITEMS = 300


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    if not BASE.is_dir():
        yield Row("evaluation, items", float("nan"), "/s", None, "make a model: ./run demo", None)
        return
    from minitutor import corpus, pins

    pins.pin(pins.SERVING)
    items = corpus.rows(corpus.EVAL)[:: 3000 // ITEMS]
    sentences = [row.text for row in items]
    command = [sys.executable, str(ROOT / "bench" / "eager.py"), str(BASE)]
    ran = subprocess.run(command, input=json.dumps(sentences), check=True, capture_output=True, text=True)
    peer = json.loads(ran.stdout)
    figure, answers = _ours(BASE, sentences)
    equal = sum(own == other for own, other in zip(answers, peer["answers"], strict=True))
    what = f"evaluation of {ITEMS} items, {equal} answers as the peer's"
    yield Row(what, figure, "/s", None, "eager torch, batched", ITEMS / peer["batched"], "more")
    yield Row("  the same", figure, "/s", None, "eager torch, one by one", ITEMS / peer["alone"], "more")
    if INT8.is_dir():
        int8, _ = _ours(INT8, sentences)
        yield Row("  the same from INT8 weights, float32 once loaded", int8, "/s", None, "FP32", figure, "more")
    one, several = _seconds(1), _seconds(cores())
    said = f"one process; {'equal' if one[1] == several[1] else 'OTHER'} answers"
    yield Row(f"the whole eval set, answered by {cores()} processes", several[0], "s", one[0] / 1.8, said, one[0])


def _seconds(workers: int) -> tuple[float, str]:
    """Return the seconds in which so many processes answer the eval set, the faster of two runs, and the digest."""
    eval_set = str(ROOT / "demo" / "data" / "eval.jsonl")
    task = Task(workload="minitutor", folder=str(BASE), eval_set=eval_set, runs=2, workers=workers)
    reports = run_apart(task, lambda *_: None).reports
    return min(float(each["runtime"]["seconds"]) for each in reports), str(reports[0]["answers_sha256"])


def _ours(bundle: Path, sentences: list[str]) -> tuple[float, list[str]]:
    """Return the engine's items per second, used as the evaluation does, and its answers."""
    from minitutor.workload import Minitutor

    tutor = Minitutor().load(bundle, None)
    tutor.answer(sentences[:8])
    order = sorted(range(len(sentences)), key=lambda at: len(sentences[at]))
    started = time.perf_counter()
    found = dict(zip(order, tutor.answer([sentences[at] for at in order]), strict=True))
    return len(sentences) / (time.perf_counter() - started), [found[at].output for at in range(len(sentences))]
