"""Runs one report in a process of its own, twice, and prints its seconds, processor seconds and peak memory as JSON.

python bench/reports_run.py ROOT cost|drift|route|look DAY [BEFORE]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peak_memory import peak_mb

from modelspine.spine import Spine, open_spine


def report(spine: Spine, what: str, day: str, before: str) -> Any:
    """Call what the command calls."""
    now = datetime.now(UTC)
    if what == "cost":
        from modelspine.cost.query import measured

        return measured(spine, day, now).requests
    if what == "drift":
        from modelspine.drift.measurement import measure

        return measure(spine, day, against_day=before).window.n
    if what == "look":
        from modelspine.traffic.canary import decision_now

        decision, problem = decision_now(spine.registry, lambda: spine.traces, now)
        assert decision is not None, problem
        return decision.verdict
    from modelspine.traffic.epochs import epochs
    from modelspine.traffic.rollout_report import route_report

    events = spine.registry.events()
    known = epochs(spine.registry.state(), events)
    return sum(arm.requests for arm in route_report(spine.traces, known, events, known[0], now=now).arms)


def timed(call: Callable[[], Any]) -> dict[str, Any]:
    """Return what the call returned, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return {"found": found, "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main(words: list[str]) -> None:
    """Print both runs: the first one copies the hours that no report has needed yet."""
    root, what, day, *before = words
    with open_spine(Path(root), readonly=True) as spine:
        runs = [timed(lambda: report(spine, what, day, *(before or [""]))) for _ in range(2)]
    print(json.dumps({"first": runs[0], "again": runs[1], "memory": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1:])
