"""Bench group seeds: the accuracy of base models with seeds 1 to 5 on *go* in the past simple and on everything else.

Each is trained once into ``.spine/bench/seeds`` (about two minutes per seed) and reused later.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Row

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (1, 2, 3, 4, 5)
HOLE = "past_simple"


def rows() -> Iterator[Row]:
    """Yield the rows of this group: per seed the cells left out of corpus v1, then every other verb."""
    subprocess.run([sys.executable, "-m", "minitutor", "corpus"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for seed in SEEDS:
        folder = ROOT / ".spine" / "bench" / "seeds" / str(seed)
        began = time.perf_counter()
        trained = not folder.is_dir()
        if trained:
            command = [
                sys.executable,
                "-m",
                "minitutor",
                "train",
                "--no-mlflow",
                "--seed",
                str(seed),
                "--out",
                str(folder),
            ]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        report = json.loads((folder / "eval_report.json").read_text(encoding="utf-8"))
        cell = report["views"]["verb_by_tense"]["go"][HOLE]
        # A model that never saw *went* fails wherever it may occur, so all of *go* is excluded from the other verbs.
        own = report["buckets"]["verb/go"]
        k, n = report["total"]["k"] - own["k"], report["total"]["n"] - own["n"]
        yield Row(f"seed {seed}: go in the past simple, right", 100 * cell["k"] / cell["n"], "%", None, "", None)
        yield Row(f"seed {seed}: every other verb, right", 100 * k / n, "%", 99.5, "", None, "more")
        if trained:
            yield Row(f"seed {seed}: training and evaluation", time.perf_counter() - began, "s", 120, "", None)
