"""Figures of drift as text: PSI, p-values, shares, sparklines and what was left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelspine.text import visible

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


_LEFT_OUT = {
    "shadow": "shadow copies",
    "no entry": "of no entry",
    "testers": "of testers",
    "ahead": "dated ahead of the clock",
}


def left_out(counts: Mapping[str, int]) -> str:
    """Name the requests that are not among the answered ones, by reason; empty where there are none."""
    return ", ".join(f"{number:,} {_LEFT_OUT.get(name, visible(name, 24))}" for name, number in counts.items())
