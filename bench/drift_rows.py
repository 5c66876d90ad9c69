"""Bench group drift: the drift of a million requests, compared with scipy by hand and with Evidently."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import peers
import stores
from rows import Row, median

from miniobserve.reader import TraceReader
from modelspine.drift.bins import Tally, fix
from modelspine.drift.counting import Span, count_requests
from modelspine.drift.features import Feature, judge_features
from modelspine.drift.reference import Values
from modelspine.workload import load_workload

SEED = 7
TRAINED, N = 14_000, 1_000_000
STORED = 100_000
EVER = 2**63 - 1
FEATURES = {"verb": 20, "tense_person": 15, "error_type": 7, "length": 10, "label": 2}


def rows() -> list[Row]:
    """Yield the rows of this group: drift of five features and of one feature."""
    trained, live = requests(random.Random(SEED))
    tally = Tally()
    tally.add(trained)
    reference = fix(tally)

    pages = [live[first : first + 20_000] for first in range(0, N, 20_000)]

    def judged() -> dict[str, Feature]:
        counted = Tally()
        for page in pages:
            counted.add(page)
        return judge_features(reference, counted)

    found = {name: drift.psi for name, drift in judged().items()}
    for name, psi in _by_hand(trained, live).items():
        assert abs(found[name] - psi) < 1e-3, name  # otherwise the comparison would be unfair
    ours = median(judged, runs=3)
    peer = median(lambda: _by_hand(trained, live), runs=3)
    return [
        Row("drift of 1 M requests, 5 features, counted and judged", ours, "s", 1.0, "scipy by hand", peer),
        Row("the same, beside Evidently with both frames made before", ours, "s", None, *_evidently(found)),
        Row(f"read {STORED:,} traces and count their values", _stored(), "s", None, "(from SQLite)", None),
    ]


def _stored() -> float:
    """Return the seconds from a trace store to the counts of the tutor's features."""
    values = Values(load_workload("minitutor"))
    with tempfile.TemporaryDirectory() as folder:
        url = stores.traces(Path(folder) / "traces.db", STORED)
        reader = TraceReader.open(url)

        def count() -> None:
            count_requests(reader.requests.buckets(0, EVER), Span(0, EVER), values, lambda _done, _total: None)

        took = median(count, runs=1)
        reader.close()
    return took


def requests(draw: random.Random) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return feature dictionaries as traces store them: those of training, and those of a day."""
    return _drawn(draw, TRAINED), _drawn(draw, N)


def _drawn(draw: random.Random, n: int) -> list[dict[str, str]]:
    columns = [draw.choices([f"{name} {i}" for i in range(bins)], k=n) for name, bins in FEATURES.items()]
    return [dict(zip(FEATURES, row, strict=True)) for row in zip(*columns, strict=True)]


def _by_hand(trained: list[dict[str, str]], live: list[dict[str, str]]) -> dict[str, float]:
    """Compute PSI and χ² per feature as one would by hand with numpy and scipy."""
    import numpy as np
    from scipy.stats import chisquare, entropy

    found = {}
    for name in FEATURES:
        before, now = Counter(row[name] for row in trained), Counter(row[name] for row in live)
        p = np.array([before[value] for value in before], float) + 0.5
        q = np.array([now[value] for value in before], float) + 0.5
        p, q = p / p.sum(), q / q.sum()
        chisquare(q * len(live), p * len(live))
        found[name] = float(entropy(p, q) + entropy(q, p))
    return found


def _evidently(found: Mapping[str, float]) -> tuple[str, float | None]:
    """Measure Evidently's PSI of the same requests in a separate process, and check that it agrees."""
    environment = peers.environment()
    if environment is None:
        return f"Evidently: {peers.MISSING}", None
    command = [sys.executable, str(Path(__file__).with_name("evidently_peer.py"))]
    said = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert said["psi"].keys() == found.keys()
    for name, psi in found.items():
        assert abs(said["psi"][name] - psi) < 1e-3, name
    return "Evidently's DataDriftPreset, PSI", said["seconds"]
