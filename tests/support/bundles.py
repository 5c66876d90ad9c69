"""Writes tiny bundles with manifest and eval report, as a training run would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_bundle(
    folder: Path,
    number: int = 0,
    *,
    parent: str | None = None,
    k: int = 95,
    n: int = 100,
    corpora: list[dict[str, Any]] | None = None,
    report: bool = True,
    run_id: str | None = None,
) -> Path:
    """Write a tiny bundle/1 with its manifest and report."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.full((2, 3), number, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"workload": "echo", "variant": "fp32", "number": number}))
    manifest = {
        "parent_sha": parent,
        "seed": str(number),
        "corpora": corpora or [],
        "code": {"git_sha": "0" * 40, "dirty": False},
        "mlflow_run_id": run_id,
    }
    (folder / "train_manifest.json").write_text(json.dumps(manifest))
    if report:
        (folder / "eval_report.json").write_text(json.dumps(eval_report(k, n)))
    return folder


def write_baseline(root: Path, k: int = 95, n: int = 100) -> Path:
    """A committed-looking ``eval_baseline.json`` of an entry that had ``k`` of ``n`` right."""
    from modelspine.gate.baseline import baseline_bytes, baseline_of
    from modelspine.gate.eval_report import read_report

    report = read_report(json.dumps(eval_report(k, n)).encode())
    made = baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64)
    file = root / "eval_baseline.json"
    file.write_bytes(baseline_bytes(made))
    return file


def eval_report(k: int, n: int, **more: Any) -> dict[str, Any]:
    """Return a small ``spine.eval/1`` report."""
    return {
        "schema": "spine.eval/1",
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": "d" * 32, "sha256": "e" * 64, "n": n},
        "decoding": {"method": "greedy"},
        "total": {"k": k, "n": n},
        "buckets": {"verb/go": {"k": k // 2, "n": n // 2}, "tense/past_simple": {"k": k - k // 2, "n": n - n // 2}},
        "false_accept": {"k": 1, "n": n},
        "failed": [],
        "answers_sha256": "a" * 64,
        "views": {"accuracy_by_verb": {"go": k / n}},
        **more,
    }
