"""`just bench drift-study`: how drift statuses change as a growing share of a day's requests is shifted.

Days are drawn from the rows of corpus v1; a share ρ of each day's requests is drawn only from its future-tense rows.
Every day goes through the code that makes the reports. It writes docs/img/drift-study.svg and the table between the
marks of docs/DRIFT.md.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from rows import Row

from modelspine.drift.bins import Bins, Tally, Value, fill, fix
from modelspine.drift.features import judge_features
from modelspine.drift.reference import Values
from modelspine.drift.status import ACT, WATCH
from modelspine.workload import load_workload

SHARES = (0.0, 0.05, 0.10, 0.15, 0.25, 0.50)
SEEDS = 100
REQUESTS = 1_000
FEW = 100
REGIME = "simple_future"
DOCS = Path(__file__).resolve().parent.parent / "docs"
_LEVELS = ("stable", "watch", "act")
_COLOURS = {"stable": "#4c9f70", "watch": "#e0a030", "act": "#c8504b"}


class Point(NamedTuple):
    """The results of all seeds at one ρ."""

    share: float
    days: Counter[str]
    psi: list[float]
    """The PSI of tense × person, one value per seed."""


def rows() -> list[Row]:
    points, few = study()
    _write(points, few)
    stable, shifted = points[0].days["stable"], points[-1].days["act"]
    return [
        Row(
            "days without drift that are stable",
            stable,
            f"of {SEEDS}",
            99,
            "fixed cut-offs, n = 100",
            SEEDS - few,
            "more",
        ),
        Row("days with half of them shifted that say act", shifted, f"of {SEEDS}", 99, "", None, "more"),
    ]


def study(seeds: int = SEEDS) -> tuple[list[Point], int]:
    """Return a point for each ρ, and the number of undrifted windows of 100 requests that exceed a fixed cut-off."""
    every = corpus_values()
    tally = Tally(keep_rows=True)
    tally.add(every)
    reference = fix(tally)
    shifted = [row for row in every if str(row["tense_person"]).startswith(REGIME)]

    def day(seed: int, share: float, n: int) -> Tally:
        draw = random.Random(f"drift-study|{seed}|{share}|{n}")
        live = Tally()
        live.add([draw.choice(shifted) if draw.random() < share else draw.choice(every) for _ in range(n)])
        return live

    points = []
    for share in SHARES:
        point = Point(share, Counter(), [])
        for seed in range(seeds):
            found = judge_features(reference, day(seed, share, REQUESTS))
            point.days[max((f.status for f in found.values()), key=("insufficient", *_LEVELS).index)] += 1
            point.psi.append(found["tense_person"].psi or 0.0)
        points.append(point)
    few = 0
    for seed in range(seeds):
        live = day(seed, 0.0, FEW)
        few += any(_bare_psi(reference[name], live, name) >= WATCH for name in reference)
    return points, few


def _bare_psi(bins: Bins, live: Tally, name: str) -> float:
    """Return the textbook PSI, without merging small bins and without regard to the sample size."""
    before, now = bins.counts, fill(bins, live, name).counts[: len(bins.counts)]
    p = [(count + 0.5) / (sum(before) + 0.5 * len(before)) for count in before]
    q = [(count + 0.5) / (sum(now) + 0.5 * len(now)) for count in now]
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def corpus_values() -> list[Mapping[str, Value]]:
    """Return the drift values of every row of corpus v1, which is generated here."""
    from minitutor import corpus

    values = Values(load_workload("minitutor"))
    return [found.values for row in corpus.rows(corpus.V1) if (found := values.of_row(msgspec.to_builtins(row)))]


def table(points: Sequence[Point], few: int) -> list[str]:
    """Return the study as a Markdown table."""
    lines = ["| ρ | stable | watch | act | tense × person PSI, median (5–95 %) |", "|---:|---:|---:|---:|---|"]
    for point in points:
        cuts = statistics.quantiles(point.psi, n=20)
        middle = f"{statistics.median(point.psi):.3f} ({cuts[0]:.3f}–{cuts[-1]:.3f})"
        lines.append(f"| {point.share:.2f} | {' | '.join(str(point.days[s]) for s in _LEVELS)} | {middle} |")
    days = points[0].days.total()
    told = (
        f"{days} seeds a line, {REQUESTS:,} requests a day. The same days without drift, cut to {FEW} requests and "
        f"judged by a bare PSI ≥ {WATCH}: {few} of {days} raise an alarm."
    )
    lines += ["", told]
    return lines


def svg(points: Sequence[Point]) -> str:
    """Draw the median PSI with its 5–95 % band over ρ, the two cut-offs, and the statuses below."""
    wide, high, left, top = 640, 360, 56, 24
    bottom, right = 250, 616
    most = max(max(point.psi) for point in points) * 1.05

    def x(share: float) -> float:
        return left + (right - left) * share / SHARES[-1]

    def y(psi: float) -> float:
        return bottom - (bottom - top) * psi / most

    cuts = [statistics.quantiles(point.psi, n=20) for point in points]
    low = [f"{x(p.share):.1f},{y(c[0]):.1f}" for p, c in zip(points, cuts, strict=True)]
    up = [f"{x(p.share):.1f},{y(c[-1]):.1f}" for p, c in zip(points, cuts, strict=True)]
    line = [f"{x(p.share):.1f},{y(statistics.median(p.psi)):.1f}" for p in points]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        f'<polygon points="{" ".join(up + low[::-1])}" fill="#4878a8" opacity="0.25"/>',
        f'<polyline points="{" ".join(line)}" fill="none" stroke="#4878a8" stroke-width="2"/>',
    ]
    for level, name in ((WATCH, "watch"), (ACT, "act")):
        parts.append(
            f'<path d="M{left} {y(level):.1f}H{right}" stroke="{_COLOURS[name]}" stroke-dasharray="4 3"/>'
            f'<text x="{left + 4}" y="{y(level) - 4:.1f}" fill="{_COLOURS[name]}">{name} {level}</text>'
        )
    parts.append(f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#444444"/>')
    parts.append(
        f'<text x="8" y="{top - 8}">PSI of tense × person: median, 5–95 % of {points[0].days.total()} seeds</text>'
    )
    for point in points:
        at, base = x(point.share), 340.0
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{point.share:.2f}</text>')
        for level in _LEVELS:
            tall = 60 * point.days[level] / max(1, point.days.total())
            base -= tall
            parts.append(
                f'<rect x="{at - 8:.1f}" y="{base:.1f}" width="16" height="{tall:.1f}" fill="{_COLOURS[level]}"/>'
            )
    parts.append(
        f'<text x="{left}" y="{high - 4}">share ρ of shifted requests; bars: days stable, watch, act</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _write(points: Sequence[Point], few: int) -> None:
    (DOCS / "img" / "drift-study.svg").write_text(svg(points), encoding="utf-8")
    page = DOCS / "DRIFT.md"
    begin, end = "<!-- drift-study -->", "<!-- /drift-study -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + "\n".join((begin, "", *table(points, few), "", end)) + after, encoding="utf-8")
