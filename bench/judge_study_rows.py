"""`just bench judge-study`: how often the canary's judge aborts an equal canary, and how often a worse one.

It compares the judge, on the same traffic, with one that gives every request the same weight (a confidence sequence of
the ratio) and with a z-test that takes requests as independent. It writes the table between the marks of
docs/STATISTICS.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erfc, sqrt
from pathlib import Path

import numpy as np
from crowds import CROWDS, Crowd, looks
from rows import Row

from miniobserve.evidence import Unit
from modelspine.ledger.route import Guard
from modelspine.stats import difference, sums
from modelspine.traffic.noninferiority import judge_units

RUNS = 60
DROPS = (0.0, 0.05, 0.10, 0.20)
GUARD = Guard()
PAGE = Path(__file__).resolve().parent.parent / "docs" / "STATISTICS.md"
_ARMS = ("stable", "canary")


def ours(units: Sequence[Unit]) -> str:
    """The verdict of the canary's judge."""
    return judge_units(GUARD, units, [], "graded", arms=_ARMS).verdict


def by_weight(units: Sequence[Unit]) -> str:
    """The same test with every request weighed alike."""
    stable, canary = (sums((unit.graded, unit.right) for unit in units if unit.arm == arm) for arm in _ARMS)
    found = difference(stable, canary, horizon=GUARD.horizon)
    margin = GUARD.margin_bp / 10_000
    if found is None:
        return "inconclusive"
    return "fail" if found.high < -margin else "pass" if found.low >= -margin else "inconclusive"


def by_request(units: Sequence[Unit]) -> str:
    """A one-sided z-test at 5 % that takes requests as independent."""
    (n, k), (m, j) = (
        (sum(unit.graded for unit in units if unit.arm == arm), sum(unit.right for unit in units if unit.arm == arm))
        for arm in _ARMS
    )
    if not n or not m:
        return "inconclusive"
    pooled = (k + j) / (n + m)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return "fail" if error and erfc((k / n - j / m) / error / sqrt(2)) / 2 < 0.05 else "inconclusive"


JUDGES: dict[str, Callable[[Sequence[Unit]], str]] = {
    "the judge": ours,
    "weighed by request": by_weight,
    "z-test of requests": by_request,
}


def rows() -> list[Row]:
    """Return the rows of this group, and write the table."""
    lines = [
        "| traffic | canary worse by | the judge: aborted, passed | weighed by request | z-test of requests |",
        "|---|---:|---:|---:|---:|",
    ]
    found: dict[tuple[str, float, str], tuple[int, int]] = {}
    for crowd in CROWDS:
        for drop in DROPS:
            cells = []
            for name, counts in _runs(crowd, drop).items():
                found[crowd.name, drop, name] = counts
                aborted, passed = (round(100 * count / RUNS) for count in counts)
                cells.append(f"{aborted} %" if name == "z-test of requests" else f"{aborted} %, {passed} %")
            lines.append(f"| {crowd.name} | {100 * drop:g} pp | {' | '.join(cells)} |")
    _write(lines)

    def share(drop: float, judge: str) -> float:
        return 100 * sum(found[crowd.name, drop, judge][0] for crowd in CROWDS) / (RUNS * len(CROWDS))

    z, weighed = "z-test of requests", "weighed by request"
    return [
        Row("equal canaries that are aborted", share(0.0, "the judge"), "%", 5, z, share(0.0, z)),
        Row(
            "canaries 10 pp worse that are aborted",
            share(0.1, "the judge"),
            "%",
            None,
            weighed,
            share(0.1, weighed),
            "more",
        ),
        Row(
            "canaries 20 pp worse that are aborted",
            share(0.2, "the judge"),
            "%",
            95,
            weighed,
            share(0.2, weighed),
            "more",
        ),
    ]


def _runs(crowd: Crowd, drop: float) -> dict[str, tuple[int, int]]:
    """Of the runs of one kind of traffic: how many each judge aborted, and passed at some look."""
    rng = np.random.default_rng(17)
    counts = {name: [0, 0] for name in JUDGES}
    for _ in range(RUNS):
        every = list(looks(rng, crowd, drop))
        for name, verdict in JUDGES.items():
            seen = {verdict(units) for units in every}
            counts[name][0] += "fail" in seen
            counts[name][1] += "pass" in seen
    return {name: (aborted, passed) for name, (aborted, passed) in counts.items()}


def _write(lines: Sequence[str]) -> None:
    mark, end = "<!-- judge-study -->", "<!-- /judge-study -->"
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(mark)
    tail = rest.split(end)[1]
    caption = f"{RUNS} runs a line, each looked at fifteen times; a run counts if any look gave the verdict."
    PAGE.write_text("\n".join([f"{head}{mark}", "", *lines, "", caption, "", f"{end}{tail}"]), encoding="utf-8")
