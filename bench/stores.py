"""Creates large stores quickly for the bench: a ledger of entries, a trace store, an MLflow store of runs."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

from miniobserve.rows import request_row
from miniobserve.schema import COLUMNS, MINUTE, NAMES
from miniobserve.sql.open import connect
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.ledger.route import Arm, Route, assign
from modelspine.ledger.store import Draft, Ledger
from modelspine.settings import load
from modelspine.spine import create_ledger

WORDS = ("goed", "went", "plays", "played", "watches", "ated", "was", "were")


def ledger(root: Path, entries: int) -> Path:
    """Create a project with ``entries`` registered entries, a tenth of them promoted, one in production."""
    settings = load(root, environ={"SPINE_ROOT": str(root)})
    create_ledger(settings, "dev")
    opened = Ledger(settings.ledger, actor="bench")
    report = opened.put(json.dumps(eval_report()).encode())
    drafts = []
    for number in range(entries):
        sha = hashlib.sha256(f"entry {number}".encode()).hexdigest()
        body = {
            "sha": sha, "weights": sha, "config": sha, "parent": None, "variant": "fp32", "run_id": sha[:32],
            "size": 3_500_000, "evidence": {"eval_report": report}, "corpora": [sha[:32]],
            "total": [2_900 + number % 100, 3_000], "false_accept": [number % 40, 1_800],
        }  # fmt: skip
        drafts.append(Draft(kind="registered", body=body))
        if number % 10 == 0:
            semver = f"v0.{number // 10}.0"
            drafts.append(Draft(kind="promoted", body={"sha": sha, "semver": semver, "reason": "bench", "verdict": {}}))
        if number == 0:
            arm = {"name": "stable", "sha": sha, "semver": "v0.0.0", "weight_bp": 10_000}
            routed = {"sha": sha, "strategy": "single", "arms": [arm], "reason": "bench"}
            drafts.append(Draft(kind="routed", body=routed))
    opened.append(drafts, expected=None)
    opened.close()
    return root


def eval_report() -> dict[str, Any]:
    """Return a ``spine.eval/1`` report of the tutor's size: 20 verbs × 5 tenses, 3,000 items."""
    verbs, tenses, each = [f"verb{n:02}" for n in range(20)], [f"tense{n}" for n in range(5)], 30
    table = {verb: {tense: {"k": each - (n + m) % 3, "n": each} for m, tense in enumerate(tenses)}
             for n, verb in enumerate(verbs)}  # fmt: skip

    def summed(cells: list[dict[str, int]]) -> dict[str, int]:
        return {name: sum(cell[name] for cell in cells) for name in ("k", "n")}

    buckets = {f"verb/{verb}": summed(list(row.values())) for verb, row in table.items()}
    buckets |= {f"tense/{tense}": summed([row[tense] for row in table.values()]) for tense in tenses}
    return {
        "schema": "spine.eval/1", "decoding": {"method": "greedy"}, "buckets": buckets,
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": "e" * 32, "sha256": "e" * 64, "n": 3_000},
        "total": summed(list(buckets.values())[:20]), "false_accept": {"k": 9, "n": 1_800},
        "views": {"verb_by_tense": table},
    }  # fmt: skip


ROUTE = Route(
    strategy="single", epoch=3, salt="3", arms=(Arm(name="stable", sha="a" * 64, semver="v0.1.0", weight_bp=10_000),)
)


def traces(path: Path, count: int, route: Route = ROUTE, start: int = 1_760_000_000_000_000_000) -> str:
    """Create a trace store of ``count`` requests over thirty days from ``start`` (ns) on, and return its URL."""
    url = f"sqlite:///{path}"
    TraceWriter(url).close()
    arm = route.arms[0]
    rng = random.Random(1)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    insert = f"INSERT INTO requests ({', '.join(NAMES)}) VALUES ({', '.join('?' for _ in NAMES)})"
    step = 30 * 86_400_000_000_000 // max(count, 1)
    for first in range(0, count, 20_000):
        made = []
        for number in range(first, min(first + 20_000, count)):
            word = rng.choice(WORDS)
            made.append(Trace(
                request_id=f"req-{number:012d}", trace_id=trace_id(number), span_id="0" * 16,
                started_ns=start + number * step,
                entry_sha=arm.sha, intended_sha=arm.sha, semver=arm.semver,
                assignment=assign(route, f"l{number % 997}", sticky=True),
                input=f"Yesterday he {word} to school.", output="Yesterday he went to school.", accepted=False,
                features={"verb": "go", "tense": "past_simple", "person": "3sg"}, stages={"decode": 0.004},
                seconds=0.005, input_tokens=9, output_tokens=9, cost=1e-8, rate_per_hour=0.05, graded=True,
            ))  # fmt: skip
        connection.execute("BEGIN")
        connection.executemany(insert, map(request_row, made))
        connection.execute("COMMIT")
    connection.execute(f"INSERT INTO touched (minute) SELECT DISTINCT {MINUTE} FROM requests")
    connection.close()
    TraceWriter(url).close()  # makes the sums
    return url


def trace_id(number: int) -> str:
    """The W3C trace id of a request of ``traces``."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def postgres() -> str | None:
    """Create a schema on the PostgreSQL server in ``SPINE_TEST_POSTGRES`` and return its URL; None without a server."""
    import psycopg

    url = os.environ.get("SPINE_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/test")
    name = f"spine_bench_{os.getpid()}"
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
    except psycopg.Error:
        return None
    return f"{url}?schema={name}"


def copied(path: Path, url: str) -> None:
    """Copy every trace of a SQLite store to PostgreSQL."""
    import psycopg

    TraceWriter(url).close()
    bare, _, schema = url.partition("?schema=")
    source, database = sqlite3.connect(path), connect(url)
    for (day,) in source.execute("SELECT DISTINCT day FROM requests").fetchall():
        database.partition("requests", day)
    database.close()
    names = ", ".join(name for name, _ in COLUMNS)
    with psycopg.connect(bare, autocommit=True) as target:
        target.execute(f'SET search_path = "{schema}"')
        with target.cursor().copy(f"COPY requests ({names}) FROM STDIN") as copy:
            for row in source.execute(f"SELECT {names} FROM requests"):
                copy.write_row(row)
        target.execute("ANALYZE requests")
    source.close()


def dropped(url: str) -> None:
    """Drop the schema."""
    import psycopg

    bare, _, schema = url.partition("?schema=")
    with psycopg.connect(bare, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


def mlflow_runs(path: Path, count: int) -> str:
    """Create an MLflow store of ``count`` runs with one metric each: one by MLflow, the rest as SQL copies."""
    from mlflow.tracking import MlflowClient

    url = f"sqlite:///{path}"
    client = MlflowClient(tracking_uri=url)
    experiment = client.create_experiment("bench")
    first = client.create_run(experiment).info.run_id
    client.log_metric(first, "accuracy", 0.97)
    connection = sqlite3.connect(path)
    for table in ("runs", "metrics", "latest_metrics"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        row = connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (first,)).fetchone()
        at = columns.index("run_uuid")
        copies = [
            (*row[:at], hashlib.sha256(str(n).encode()).hexdigest()[:32], *row[at + 1 :]) for n in range(count - 1)
        ]
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in columns)})", copies)
    connection.commit()
    connection.close()
    return url
