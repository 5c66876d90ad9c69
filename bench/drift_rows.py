"""Drift of a million requests, beside the same figure by hand with scipy and beside Evidently."""

from __future__ import annotations

import importlib.util
import random
import tempfile
from collections import Counter
from pathlib import Path

import stores
from rows import Row, median

from core.drift import judge_features
from core.driftbins import Tally, fix
from core.driftvalues import Values
from core.workload import load_workload
from miniobserve.daily import Request
from miniobserve.reader import TraceReader

N = 1_000_000
STORED = 100_000
FEATURES = {"verb": 20, "tense_person": 15, "error_type": 7, "length": 10, "label": 2}


def rows() -> list[Row]:
    """Counting and judging five features of a million requests, and of one feature."""
    draw = random.Random(7)
    trained = _requests(draw, 14_000)
    live = _requests(draw, N)
    tally = Tally()
    tally.add(trained)
    reference = fix(tally)

    def spine(requests: list[dict[str, str]]) -> object:
        counted = Tally()
        counted.add(requests)
        return judge_features(reference, counted)

    pages = [live[first : first + 20_000] for first in range(0, N, 20_000)]

    def paged() -> object:
        counted = Tally()
        for page in pages:
            counted.add(page)
        return judge_features(reference, counted)

    found, by_hand = spine(live), _by_hand(trained, live)
    for name, psi in by_hand.items():
        assert abs(found[name].psi - psi) < 1e-3, name  # type: ignore[index]  # the peer computes the same thing
    ours = median(paged, runs=3)
    peer = median(lambda: _by_hand(trained, live), runs=3)
    return [
        Row("drift of 1 M requests, 5 features, counted and judged", ours, "s", 1.0, "scipy by hand", peer),
        Row("the same beside Evidently", ours, "s", None, *_evidently(trained, live)),
        Row(f"read {STORED:,} traces, name their values, count them", _stored(), "s", None, "(from SQLite)", None),
    ]


def _stored() -> float:
    """Seconds from a store of traces to the counts of the tutor's features."""
    values = Values(load_workload("minitutor"))
    with tempfile.TemporaryDirectory() as folder:
        url = stores.traces(Path(folder) / "traces.db", STORED)
        reader = TraceReader.open(url)

        def counted() -> None:
            tally = Tally()
            for page in reader.requests.pages(0, 2**63 - 1, Request):
                tally.add(values.of_requests(page))
                values.count_buckets(page)

        took = median(counted, runs=1)
        reader.close()
    return took


def _requests(draw: random.Random, n: int) -> list[dict[str, str]]:
    """Feature dictionaries as traces hold them."""
    columns = [draw.choices([f"{name} {i}" for i in range(bins)], k=n) for name, bins in FEATURES.items()]
    return [dict(zip(FEATURES, row, strict=True)) for row in zip(*columns, strict=True)]


def _by_hand(trained: list[dict[str, str]], live: list[dict[str, str]]) -> dict[str, float]:
    """PSI and χ² a feature, as one would write them with numpy and scipy."""
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


def _evidently(trained: list[dict[str, str]], live: list[dict[str, str]]) -> tuple[str, float | None]:
    if importlib.util.find_spec("evidently") is None:
        return "Evidently: not installed here", None
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = DataDefinition(categorical_columns=list(FEATURES))
    sets = [Dataset.from_pandas(pd.DataFrame(rows), data_definition=columns) for rows in (live, trained)]
    return "Evidently DataDriftPreset, PSI", median(lambda: Report([DataDriftPreset(method="psi")]).run(*sets), runs=1)
