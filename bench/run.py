"""`just bench [GROUP…]`: measures every budget, and what one would use instead, in the same run.

Groups: core, traces, days, traffic, serving, overload, evaluation, identity, gate, promotion, drift, console,
labels. On request: seeds (five trainings, 8 min), drift-study (writes docs/img/drift-study.svg and the table of
docs/DRIFT.md, about a minute), judge-study (writes the table of docs/STATISTICS.md, about three minutes), console-scale
(every screen with 100,000 entries and a million requests: some ten minutes, and 2 GB under the folder for temporary
files), traces-10m (ten million traces: minutes, and 16 GB there), reports (a day of a million requests) and reports-20m
(twenty million requests of closed days: minutes, and 12 GB there).
"""

from __future__ import annotations

import importlib
import math
import os
import platform
import sys

GROUPS = (
    "core", "traces", "days", "traffic", "serving", "overload", "evaluation", "identity", "gate", "promotion", "drift",
    "console", "labels",
)  # fmt: skip
ON_REQUEST = ("seeds", "drift-study", "judge-study", "console-scale", "traces-10m", "reports", "reports-20m")


def main(wanted: list[str]) -> int:
    """Print every row of the requested groups; returns 2 for an unknown group."""
    from rows import show

    unknown = sorted(set(wanted) - set(GROUPS) - set(ON_REQUEST))
    if unknown:
        print(f"bench: unknown group {unknown[0]!r}\ngroups: {', '.join(GROUPS + ON_REQUEST)}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"  {'':<58} {'Spine':>10} {'':<7} {'budget':>8} {'ratio':>9}  peer, in the same run")
    missed = unmeasured = 0
    for group in wanted or GROUPS:
        for row in importlib.import_module(f"{group.replace('-', '_')}_rows").rows():
            print(show(row), flush=True)
            missed += row.met is False
            unmeasured += math.isnan(row.figure)
    print(f"\n{missed} over budget" if missed else "\nevery budget met" if not unmeasured else "")
    if unmeasured:
        print(f"{unmeasured} not measured")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
