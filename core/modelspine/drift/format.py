"""How drift reads in a terminal: a figure, a trend as a line, and what a day rests on.

Pure, and the same for commands and console; names from reports are made visible here. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelspine.drift.report import DriftReport, Feature
from modelspine.text import short, visible

BARS = "▁▂▃▄▅▆▇█"


def figure(value: float | None) -> str:
    """A PSI or a KL with three decimals; one too small for them as its power of ten."""
    return "–" if value is None else (f"{value:.3f}" if value >= 0.0005 or value == 0 else f"{value:.0e}")


def chance(p: float | None) -> str:
    """A p with three decimals; what is smaller is only called small."""
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def percent(value: float | None) -> str:
    """A share in per cent, with one decimal."""
    return "–" if value is None else f"{100 * value:.1f} %"


def part(contribution: float, psi: float | None) -> str:
    """A bin's signed part of its feature's PSI."""
    return f"{100 * contribution / psi if psi else 0:+.0f} %"


def sparkline(values: Sequence[float | None], top: float) -> str:
    """One sign a value, from 0 to ``top`` and above; a dot where there is none."""
    last = len(BARS) - 1
    return "".join("·" if v is None else BARS[min(last, max(0, int(v / top * last)))] for v in values)


def source(report: DriftReport) -> str:
    """Whether a day's requests came live; one with any that carry simulated time is a replay."""
    return "replay" if report.window.replayed else "live"


def missing(feature: Feature) -> str:
    """How many requests a feature lacks before it is judged; nothing where it has enough."""
    return f"{feature.missing:,} of {feature.needed:,} missing" if feature.missing else ""


def told(report: DriftReport) -> str:
    """A day in one line: its status, its worst feature, and the accuracy to expect."""
    worst = report.worst
    text = f"{report.status}, n {report.window.n:,}"
    if worst is not None and worst[1].psi is not None:
        text += f", worst {worst[0]} PSI {worst[1].psi:.3f} (p {chance(worst[1].p)})"
    if report.expected_accuracy is not None:
        text += f", expected accuracy {100 * report.expected_accuracy:.1f} %"
    return text


def facts(report: DriftReport) -> list[tuple[str, str]]:
    """What a day's report rests on: its requests, its reference, and the accuracy to expect."""
    window, against = report.window, report.reference
    replayed = f", {window.replayed:,} of them replayed" if window.replayed else ""
    learners = ""
    if window.learners:
        heaviest = f"{100 * window.heaviest / window.n:.0f} %" if window.n else "–"
        learners = f"; {window.learners:,} learners, the busiest sent {heaviest}"
    hashes = ", ".join(visible(h[:12], 12) for h in against.corpora)
    found = [
        ("requests", f"{window.n:,} answered{replayed}{learners}"),
        ("reference", f"{short(report.entry_sha)}: {against.n:,} rows of {hashes}"),
    ]
    if report.expected_accuracy is not None:
        found.append(("expected accuracy", _expected(report)))
    return found


def _expected(report: DriftReport) -> str:
    parts = []
    for name, expected in report.expected.items():
        before = f" (trained on: {percent(expected.reference)})" if expected.reference is not None else ""
        parts.append(f"{visible(name, 24)} {percent(expected.live)}{before}")
    covered = f"{percent(report.coverage or 0)} of requests are in an evaluated bucket"
    return f"{percent(report.expected_accuracy)} at worst: {', '.join(parts)}; {covered}"
