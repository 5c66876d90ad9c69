"""Bench group reports: cost, drift and route report of a big day under way, next to DuckDB, polars and Evidently.

There are a million requests of one day in a live SQLite store, or what the variable REPORT_ROWS says. The peers sum the
same Parquet copies: DuckDB and polars only group and add up, without prices by terms, variances or a decision. CPU
seconds are of the whole process, both cores; where other programs take the processor, trust these. The group
reports-20m does it for twenty million requests of closed days.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import closed_days_store
import peers
import report_store
from report_store import BEFORE, DAY, NUMBER
from rows import Row

from miniobserve.days import date_of

COUNT = int(os.environ.get("REPORT_ROWS", "1000000"))
CLOSED = int(os.environ.get("REPORT_CLOSED_ROWS", "20000000"))
_HERE = Path(__file__).parent
_HOURS = NUMBER * 24
_PEERS = (("cost", "duckdb"), ("cost", "polars"), ("drift", "duckdb"), ("drift", "polars"), ("drift", "evidently"),
          ("route", "duckdb"), ("route", "polars"))  # fmt: skip
_NAMES = {"duckdb": "DuckDB, sums alone", "polars": "polars, sums alone", "evidently": "Evidently, PSI of 3 values"}
_TITLES = {"cost": "cost", "drift": "drift report", "route": "route report", "look": "a look at the canary"}


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        report_store.make(root, COUNT)
        yield from _reports(root, COUNT, DAY, BEFORE, 1.5, None)


def large() -> Iterator[Row]:
    """Yield the rows for closed days."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        report_store.make(root, COUNT)
        _run("cost", root, DAY)  # makes the copies
        slices = [str(file) for file in (root / ".spine/cache/slices").glob("*-1h-*.parquet")]
        before, day = NUMBER - 11, NUMBER - 10
        closed_days_store.make(slices, root / ".spine/parquet", CLOSED // 50, before)
        closed_days_store.make(slices, root / ".spine/parquet", CLOSED, day)
        yield from _reports(root, CLOSED, date_of(day), date_of(before), 10, 1500)


def _reports(root: Path, count: int, day: str, before: str, budget: float, memory: float | None) -> Iterator[Row]:
    live = day == DAY
    found = {}
    for what in ("cost", "drift", "route", "look") if live else ("cost", "drift"):
        found[what] = _run(what, root, day, before)
        own, title = found[what], f"{_TITLES[what]} of {count:,} requests"
        if what == "cost" and live:
            yield Row("the first report, which copies the hours", own["first"]["seconds"], "s", None, "CPU seconds",
                      own["first"]["cpu"])  # fmt: skip
        yield Row(title, own["again"]["seconds"], "s", budget, "its CPU seconds", own["again"]["cpu"])
        yield Row(f"{title}, peak memory", own["memory"], "MB", memory, "", None)
    files, earlier = (_files(root, each) for each in (day, before))
    for what, peer in _PEERS:
        if what not in found:
            continue
        took = _peer(peer, what, files, earlier)
        title = f"{_TITLES[what]}, CPU seconds"
        if took is None:
            yield Row(title, found[what]["again"]["cpu"], "s", None, f"{_NAMES[peer]}: {peers.MISSING}", None)
            continue
        yield Row(title, found[what]["again"]["cpu"], "s", None, _NAMES[peer], took["cpu"])
        yield Row(f"{_TITLES[what]}, peak memory", found[what]["memory"], "MB", None, _NAMES[peer], took["memory"])


def _files(root: Path, day: str) -> str:
    """The glob of a day's Parquet files."""
    closed = root / ".spine/parquet" / f"day={day}"
    if closed.is_dir():
        return f"{closed}/*/*/*.parquet"
    return str(root / ".spine/cache/slices" / ("*-1h-*.parquet" if day == DAY else "*-24h-*.parquet"))


def _run(what: str, root: Path, day: str, before: str = "") -> dict[str, Any]:
    command = [sys.executable, str(_HERE / "reports_run.py"), str(root), what, day, *([before] if before else [])]
    environment = {**os.environ, "SPINE_ROOT": str(root)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peer(peer: str, what: str, files: str, before: str) -> dict[str, float] | None:
    environment = dict(os.environ) if peer == "duckdb" else peers.environment()
    if environment is None:
        return None
    command = [sys.executable, str(_HERE / "reports_peers.py"), peer, what, files, before]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
