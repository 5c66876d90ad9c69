"""A row of the bench: Spine's figure, its budget, and the figure of what one would use instead, in the same run."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple


class Row(NamedTuple):
    """A figure and its peer's. ``budget`` has the figure's unit; the ratio is figure over peer."""

    what: str
    figure: float
    unit: str
    budget: float | None
    peer: str
    peer_figure: float | None
    better: Literal["less", "more"] = "less"

    @property
    def met(self) -> bool | None:
        """Whether the figure is within its budget; None without a budget, or where nothing was measured."""
        if self.budget is None or math.isnan(self.figure):
            return None
        return self.figure <= self.budget if self.better == "less" else self.figure >= self.budget


def show(row: Row) -> str:
    """Format the row as a line of aligned columns."""
    met = {True: "✔", False: "✖", None: " "}[row.met]
    sign = "<" if row.better == "less" else "≥"
    budget = f"{sign} {row.budget:g}" if row.budget is not None else ""
    peer = f"{row.peer_figure:>10,.2f} {row.peer}" if row.peer_figure is not None else row.peer
    ratio = f"{row.figure / row.peer_figure:>8.3f}×" if row.peer_figure else f"{'':>9}"
    return f"{met} {row.what:<58} {row.figure:>10,.2f} {row.unit:<7} {budget:>8} {ratio}  {peer}"


def wall(command: Sequence[str], *, runs: int = 5, **more: object) -> float:
    """Return the median wall-clock seconds of a whole process, after one warm-up run."""
    times = []
    for number in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
        if number:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def median(call: Callable[[], object], *, runs: int) -> float:
    """Return the median wall-clock seconds of a call, after one warm-up call."""
    call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
