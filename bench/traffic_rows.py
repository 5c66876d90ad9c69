"""Bench group traffic: assigning a unit to an arm, and measuring the arms of an epoch with many requests."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import stores
from rows import Row, median

from miniobserve.reader import TraceReader
from modelspine.ledger.route import Arm, Route, assign
from modelspine.traffic.canary import look
from modelspine.traffic.ladder import default_ladder

CALLS = 100_000
COUNT = 200_000


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    arms = tuple(Arm(name=n, sha=n * 10, semver="", weight_bp=w) for n, w in (("stable", 9_000), ("canary", 1_000)))
    route = Route(strategy="canary", epoch=3, salt="3", arms=arms, ladder=default_ladder())
    units = [f"learner-{number}" for number in range(1_000)]
    ours = _each(lambda n: assign(route, units[n % 1_000], sticky=True))
    draw = random.Random(1)
    drawn = _each(lambda _: "canary" if draw.random() < 0.1 else "stable")
    jar = [f"arm={'canary' if number % 10 == 0 else 'stable'}; session={number}" for number in range(1_000)]
    cookie = _each(lambda n: SimpleCookie(jar[n % 1_000])["arm"].value)
    yield Row("assignments a second, sticky and recomputable", ours, "/s", 50_000, "random.random()", drawn, "more")
    yield Row("assignments a second, sticky and recomputable", ours, "/s", 50_000, "cookie parsed", cookie, "more")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        reader = TraceReader.open(stores.traces(path, COUNT))
        looked = median(lambda: look(reader.evidence, route, 2**62), runs=5)
        by_hand = sqlite3.connect(path)
        query = "SELECT arm, u, COUNT(*), SUM(status >= 500), SUM(graded) FROM requests WHERE epoch = 3 GROUP BY arm, u"
        grouped = median(lambda: by_hand.execute(query).fetchall(), runs=5)
        yield Row(
            f"one look at a canary of {COUNT:,} requests", 1000 * looked, "ms", 250, "GROUP BY by hand", 1000 * grouped
        )
        by_hand.close()
        reader.close()


def _each(call: Callable[[int], object]) -> float:
    """Return calls per second."""
    started = time.perf_counter()
    for number in range(CALLS):
        call(number)
    return CALLS / (time.perf_counter() - started)
