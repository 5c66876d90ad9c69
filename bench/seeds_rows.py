"""Five base models, seeds 1 to 5: how little each knows of *go* in the past simple, and how much of all else.

Trains each once into ``.spine/bench/seeds`` (about two minutes a seed) and reuses what stands there.
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
    """Rows of this group: the hole, then every other verb, per seed."""
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
        # What the hole teaches is missing wherever *went* may stand: every bucket of the verb shows it.
        own = report["buckets"]["verb/go"]
        k, n = report["total"]["k"] - own["k"], report["total"]["n"] - own["n"]
        yield Row(f"seed {seed}: go in the past simple, right", 100 * cell["k"] / cell["n"], "%", None, "", None)
        yield Row(f"seed {seed}: every other verb, right", 100 * k / n, "%", 99.5, "", None, "more")
        if trained:
            yield Row(f"seed {seed}: training and evaluation", time.perf_counter() - began, "s", 120, "", None)
