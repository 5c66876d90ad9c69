"""One line of the bench: what Spine takes, its budget, and what a user would pick instead takes in the same run."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple


class Row(NamedTuple):
    """A figure beside its peer's. ``budget`` is in the figure's own unit; the ratio is figure over peer."""

    what: str
    figure: float
    unit: str
    budget: float | None
    peer: str
    peer_figure: float | None
    better: Literal["less", "more"] = "less"

    @property
    def met(self) -> bool | None:
        """Whether the figure is within its budget; None where it has none."""
        if self.budget is None:
            return None
        return self.figure <= self.budget if self.better == "less" else self.figure >= self.budget


def show(row: Row) -> str:
    """The row as a line of aligned columns."""
    met = {True: "✔", False: "✖", None: " "}[row.met]
    sign = "<" if row.better == "less" else "≥"
    budget = f"{sign} {row.budget:g}" if row.budget is not None else ""
    peer = f"{row.peer_figure:>10,.2f} {row.peer}" if row.peer_figure is not None else row.peer
    ratio = f"{row.figure / row.peer_figure:>8.3f}×" if row.peer_figure else f"{'':>9}"
    return f"{met} {row.what:<58} {row.figure:>10,.2f} {row.unit:<7} {budget:>8} {ratio}  {peer}"


def wall(command: Sequence[str], *, runs: int = 5, **more: object) -> float:
    """Median wall seconds of a whole process, after one run that is not counted."""
    times = []
    for number in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
        if number:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def median(call: Callable[[], object], *, runs: int) -> float:
    """Median wall seconds of a call, after one that is not counted."""
    call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
