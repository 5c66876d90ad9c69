"""Formatting of drift reports for command line and console: figures, sparklines and one-line summaries.

Pure. Control characters in names from reports are made visible here. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelspine.drift.report import DriftReport, Feature
from modelspine.text import short, visible

BARS = "▁▂▃▄▅▆▇█"


def figure(value: float | None) -> str:
    """Format a PSI or KL with three decimals, or as a power of ten where that would show 0."""
    return "–" if value is None else (f"{value:.3f}" if value >= 0.0005 or value == 0 else f"{value:.0e}")


def chance(p: float | None) -> str:
    """Format a p-value with three decimals, or as ``< 0.001``."""
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def percent(value: float | None) -> str:
    """Format a share as a percentage with one decimal."""
    return "–" if value is None else f"{100 * value:.1f} %"


def part(contribution: float, psi: float | None) -> str:
    """Format a bin's signed share of its feature's PSI."""
    return f"{100 * contribution / psi if psi else 0:+.0f} %"


def sparkline(values: Sequence[float | None], top: float) -> str:
    """Draw one block character per value, full height at ``top`` and above; a dot where there is no value."""
    last = len(BARS) - 1
    return "".join("·" if v is None else BARS[min(last, max(0, int(v / top * last)))] for v in values)


def source(report: DriftReport) -> str:
    """``replay`` where any of the day's requests carries simulated time, otherwise ``live``."""
    return "replay" if report.window.replayed else "live"


def missing(feature: Feature) -> str:
    """How many requests are missing before a feature can be judged; empty where it has enough."""
    return f"{feature.missing:,} of {feature.needed:,} missing" if feature.missing else ""


def summary(report: DriftReport) -> str:
    """Summarise a day in one line: its status, its worst feature and the expected accuracy."""
    worst = report.worst
    text = f"{report.status}, n {report.window.n:,}"
    if worst is not None and worst[1].psi is not None:
        text += f", worst {worst[0]} PSI {worst[1].psi:.3f} (p {chance(worst[1].p)})"
    if report.expected_accuracy is not None:
        text += f", expected accuracy {100 * report.expected_accuracy:.1f} %"
    return text


def facts(report: DriftReport) -> list[tuple[str, str]]:
    """The basis of a day's report as name and value: its requests, its reference and the expected accuracy."""
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
    return f"{percent(report.expected_accuracy)} (lowest of: {', '.join(parts)}); {covered}"
