"""Builds the store that ``spine demo`` shows: a simulated week of the tutor, in a few seconds and without training.

The sentences are those of the simulated learners, and ledger, routes, drift reports and traces are written by the real
code with a simulated clock. Invented are the models and what they answered: there are no weights behind the entries.
The same sources give the same content, event for event and trace for trace, on every machine; a test compares it.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import random
import socket
import sqlite3
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import Future, wait
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from safetensors.numpy import save_file

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from minitutor import corpus, grid, learners
from minitutor.workload import Minitutor
from modelspine.drift.days import record
from modelspine.drift.measurement import measure
from modelspine.errors import SpineError
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.ledger.route import assign
from modelspine.ledger.store import Draft, Ledger
from modelspine.release.gate_run import gate_entry
from modelspine.settings import Settings, load
from modelspine.spine import Spine
from modelspine.traffic.ladder import read_ladder

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "console" / "modelspine_console" / "demo" / "store.zip"
MONDAY = date(2026, 1, 12)
END = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
"""Nothing in the store is later. It is long past: requests ahead of a machine's clock are left out of reports."""
DAYS = (150, 150, 150, 150, 150, 180, 170)
"""Requests of each day, from Monday on."""
WEEKEND = 0.7
INCIDENT = "Yesterday he goed to school."
LADDER = {
    "horizon": 120,
    "steps": [{"weight_bp": bp, "min_seconds": 14_400, "min_samples": 200} for bp in (3_000, 6_000)],
}


class Clock:
    """The simulated time. It advances a second whenever it is read, so that no two events are at the same time."""

    def __init__(self) -> None:
        self.now = datetime.combine(MONDAY, datetime.min.time(), UTC)

    def __call__(self) -> datetime:
        """The next second."""
        self.now += timedelta(seconds=1)
        return self.now

    def to(self, day: int, hour: int, minute: int = 0) -> None:
        """Advance to a time of a day."""
        self.now = datetime.combine(MONDAY, datetime.min.time(), UTC) + timedelta(days=day, hours=hour, minutes=minute)


def settings_of(root: Path) -> Settings:
    """The settings of the store, whatever the environment says."""
    return load(root, environ={"SPINE_ROOT": str(root), "SPINE_ACTOR": "demo"})


def report(right: dict[str, float], eval_hash: str) -> dict[str, Any]:
    """An evaluation report over 3,000 items, with these shares of right answers by cell (0.99 for others)."""
    draw = random.Random(1)  # the same items are hard for every model, so a better one is better in every cell
    verbs = sorted({verb for verb, *_ in grid.cells()})
    tenses = ("infinitive", "present_simple", "past_simple", "past_participle", "simple_future")
    cells = {
        (verb, tense): sum(draw.random() < right.get(f"{verb}/{tense}", right.get(tense, 0.99)) for _ in range(30))
        for verb in verbs
        for tense in tenses
    }
    buckets = {f"verb/{v}": {"k": sum(cells[v, t] for t in tenses), "n": 150} for v in verbs}
    buckets |= {f"tense/{t}": {"k": sum(cells[v, t] for v in verbs), "n": 30 * len(verbs)} for t in tenses}
    wrong = 3_000 - sum(cells.values())
    return {
        "schema": "spine.eval/1",
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": eval_hash, "sha256": "e" * 64, "n": 3_000},
        "decoding": {"kind": "greedy"},
        "total": {"k": 3_000 - wrong, "n": 3_000},
        "buckets": buckets,
        "false_accept": {"k": wrong // 2, "n": 1_800},
        "views": {"verb_by_tense": {v: {t: {"k": cells[v, t], "n": 30} for t in tenses} for v in verbs}},
    }


def bundle(folder: Path, seed: int, made: dict[str, Any], corpus_of: tuple[str, str, int], **more: Any) -> Path:
    """A bundle with a tensor of a few numbers in place of a model."""
    folder.mkdir(parents=True)
    path, digest, rows = corpus_of
    save_file({"weights": np.arange(8, dtype=np.float32) + seed}, folder / "model.safetensors")
    files = {
        "config.json": {"workload": "minitutor", "variant": more.get("variant", "fp32"), "layers": 4, "width": 128},
        "train_manifest.json": {
            "parent_sha": more.get("parent"),
            "corpora": [{"path": path, "dvc_hash": digest, "rows": rows}],
            "code": {"git_sha": "3f9e2d1" + "0" * 33, "dirty": False},
            "seed": str(seed),
            "hyperparameters": {"lr": 0.001, "steps": 2000},
            "mlflow_run_id": f"{seed:032x}",
        },
        "eval_report.json": made,
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def corpora(root: Path) -> dict[str, tuple[str, str, int]]:
    """A quarter of the tutor's corpora and of its eval set. Returns path, MD5 and rows by name."""
    (root / "data").mkdir()
    found = {}
    for design in (corpus.V1, corpus.V2, corpus.EVAL):
        raw = corpus.canonical(corpus.rows(design)[::4])
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        (root / design.path).write_bytes(raw)
        described = f"outs:\n- md5: {digest}\n  size: {len(raw)}\n  hash: md5\n  path: {Path(design.path).name}\n"
        (root / f"{design.path}.dvc").write_text(described)
        found[design.name] = (design.path, digest, raw.count(b"\n"))
    return found


def fill(root: Path) -> None:
    """Make the store in a folder."""
    clock = Clock()
    pool = functools.cache(learners._pool)  # noqa: SLF001  (the same sentences every day, and slow to make)
    with mock.patch.object(socket, "gethostname", return_value="demo"), mock.patch.object(learners, "_pool", pool):
        (root / "spine.toml").write_text('actor = "demo"\n')
        subprocess.run(["git", "init", "-q", str(root)], check=True)  # corpora are looked up in a repository
        (root / ".spine").mkdir()
        with closing(Ledger(settings_of(root).ledger, actor="demo", create=True, clock=clock)) as ledger:
            ledger.append([Draft(kind="opened", body={"env": "dev"})], expected=0)
        made_from = corpora(root)
        with Spine(settings_of(root), readonly=False) as spine:
            spine.ledger._clock = clock  # noqa: SLF001  (only the builder has a reason to)
            _Week(root, spine, clock, made_from).run()
    for name in ("ledger.db", "traces.db"):
        with sqlite3.connect(root / ".spine" / name) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("VACUUM")
        db.close()


class _Week:
    """What happens, day by day."""

    def __init__(self, root: Path, spine: Spine, clock: Clock, made_from: dict[str, tuple[str, str, int]]) -> None:
        self._root, self._spine, self._clock, self._made_from = root, spine, clock, made_from
        self._workload = Minitutor()

    def run(self) -> None:
        """The week."""
        registry, clock = self._spine.registry, self._clock
        weak = {"go/past_simple": 0.3, "be/past_participle": 0.9, "go/past_participle": 0.8}
        clock.to(0, 7)
        base = self._register("base", 1, weak, "train_v1")
        self._first_baseline(base)
        self._gate(base)
        registry.promote(base, "v0.1.0", reason="the first model")
        self._answers(0)
        clock.to(1, 9)
        int8 = self._register("int8", 2, weak, "train_v1", variant="int8", parent=base)
        self._gate(int8)
        registry.promote(int8, "v0.2.0", reason="half the cost at the same quality")
        self._answers(1)
        clock.to(2, 9)
        self._refuse(self._register("regressed", 3, {"simple_future": 0.8, **weak}, "train_v1"))
        self._answers(2)
        clock.to(3, 9)
        registry.tombstone(self._register("split", 4, weak, "train_v1"), reason="trained on the wrong split")
        self._answers(3)
        self._answers(4)
        self._answers(5)
        clock.to(6, 6)
        lora = self._register("lora", 5, {}, "train_v2", variant="lora r8", parent=base)
        self._gate(lora)
        registry.promote(lora, "v0.3.0", reason="trained on the corpus that holds went")
        ladder = self._root / "ladder.json"
        ladder.write_text(json.dumps(LADDER))
        self._spine.routing.canary(lora, reason="it knows went", ladder=read_ladder(ladder))
        ladder.unlink()
        self._answers(6)

    def _register(self, name: str, seed: int, right: dict[str, float], corpus_name: str, **more: Any) -> str:
        made = report(right, self._made_from["eval"][1])
        folder = bundle(self._root / "bundles" / name, seed, made, self._made_from[corpus_name], **more)
        return str(self._spine.registry.register(folder).sha)

    def _first_baseline(self, sha: str) -> None:
        raw = (self._root / "bundles" / "base" / "eval_report.json").read_bytes()
        made = baseline_of(read_report(raw), reason="the first", approved_in="v0.1.0", entry_sha=sha)
        (self._root / "eval_baseline.json").write_bytes(baseline_bytes(made))

    def _gate(self, sha: str, expected: str = "pass") -> None:
        gated = gate_entry(self._spine, sha, baseline=self._root / "eval_baseline.json")
        if gated.decision.result != expected:
            raise AssertionError(f"the gate's result is {gated.decision.result}: {gated.decision.reasons}")

    def _refuse(self, sha: str) -> None:
        self._gate(sha, "fail")
        try:
            self._spine.registry.promote(sha, "v0.2.1", reason="a faster schedule")
        except SpineError:
            return
        raise AssertionError("an entry that failed the gate was promoted")

    def _answers(self, day: int) -> None:
        """A day's requests, and on all but the last day its drift report."""
        wanted = learners.Traffic(
            n=DAYS[day], seed=7, day=MONDAY + timedelta(days=day), weekend=WEEKEND if day > 4 else 0.0,
            asking=INCIDENT if day == 3 else "",
        )  # fmt: skip
        route = self._spine.registry.route()
        assert route is not None
        draw = random.Random(day)
        with mock.patch("time.time_ns", return_value=int(self._clock.now.timestamp()) * 10**9):
            writer = TraceWriter(self._spine.settings.traces, queue=2_000)
            waiting: list[Future[Any]] = []
            for number, ask in enumerate(learners.asks(wanted)):
                if datetime.fromisoformat(ask.at) >= END:
                    continue
                made = self._trace(draw, day * 1_000 + number, ask, route)
                waiting.append(writer.submit(made))
                if ask.says:
                    passed = bool(made.accepted) and ask.sentence != ask.correction
                    waiting.append(writer.feedback(ask.request_id, ask.outcome(passed=passed)))  # type: ignore[arg-type]
            wait(waiting, 60)
            writer.close()
        for each in waiting:
            each.result()
        if day < len(DAYS) - 1:
            self._clock.to(day + 1, 1)
            record(self._spine, measure(self._spine, (MONDAY + timedelta(days=day)).isoformat()))

    def _trace(self, draw: random.Random, number: int, ask: learners.Ask, route: Any) -> Trace:
        given = assign(route, ask.learner, sticky=True)
        arm = next(each for each in route.arms if each.name == given.arm)
        knows = given.arm == "canary"
        fooled = "goed" in ask.sentence or draw.random() < (0.2 if " will " in ask.sentence.lower() else 0.02)
        answer = ask.sentence if fooled and not knows else ask.correction
        speed = (1.15 if knows else 1.0) * (0.9 + draw.random() / 5)
        stages = {"queue": 0.0004, "tokenise": 0.0001, "prefill": 0.0011 * speed, "decode": 0.0024 * speed}
        seconds = sum(stages.values())
        started = datetime.fromisoformat(ask.at)
        return Trace(
            request_id=ask.request_id, trace_id=f"{number + 1:032x}", span_id=f"{number + 1:016x}",
            started_ns=int(started.timestamp() * 1_000_000) * 1_000, entry_sha=arm.sha, intended_sha=arm.sha,
            semver=arm.semver, assignment=given, input=ask.sentence, output=answer,
            accepted=answer == ask.sentence, features=self._workload.features(ask.sentence),
            graded=answer == ask.correction, stages=stages, seconds=seconds,
            input_tokens=len(ask.sentence) // 4, output_tokens=len(answer) // 4, cost=seconds * 0.05 / 3600,
            rate_per_hour=0.05, price_version="2026-01", source="replay",
            unit_hash=hashlib.sha256(ask.learner.encode()).hexdigest()[:16],
        )  # fmt: skip


def write(store: Path) -> None:
    """Make the store and pack what belongs to it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root)
        kept = ["spine.toml", "eval_baseline.json", ".spine/ledger.db", ".spine/traces.db"]
        kept += [f"data/{name}.jsonl{end}" for name in ("train_v1", "train_v2") for end in ("", ".dvc")]
        kept += sorted(path.relative_to(root).as_posix() for path in (root / "drift_reports").iterdir())
        with zipfile.ZipFile(store, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for name in kept:
                packed.writestr(zipfile.ZipInfo(name, (2026, 1, 18, 18, 30, 0)), (root / name).read_bytes(),
                                zipfile.ZIP_DEFLATED, 9)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STORE)
    began = time.monotonic()
    target = parser.parse_args().out
    write(target)
    print(f"{target}: {target.stat().st_size / 1e3:.0f} kB in {time.monotonic() - began:.1f} s")
