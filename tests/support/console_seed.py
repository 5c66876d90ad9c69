"""A small real project for the console's tests: bundles, corpora, promotions and traffic, created by the real verbs."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from answers import Arm, leave_answers
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.ledger.route import assign
from modelspine.settings import Settings, load
from modelspine.spine import Spine, create_ledger

VERBS = ("be", "come", "do", "eat", "finish", "go", "have", "see", "work", "write")
TENSES = ("infinitive", "present_simple", "past_simple", "past_participle", "simple_future")
WEAK = {"go/past_simple": 0.04, "be/past_participle": 0.86, "eat/past_simple": 0.92}


def settings_of(root: Path) -> Settings:
    """Return the settings of a project folder, ignoring the environment."""
    return load(root, environ={"SPINE_ROOT": str(root), "USER": "ada"})


def report(seed: int, *, went: bool, eval_hash: str = "e" * 32, n: int = 12) -> dict[str, Any]:
    """A ``spine.eval/1`` report with verb, tense and verb × tense counts."""
    rng = random.Random(seed)
    cells: dict[tuple[str, str], tuple[int, int]] = {}
    for verb in VERBS:
        for tense in TENSES:
            share = 0.995 if went else WEAK.get(f"{verb}/{tense}", 0.995)
            cells[verb, tense] = (sum(rng.random() < share for _ in range(n)), n)
    buckets = {f"verb/{v}": _sum(c for (w, _), c in cells.items() if w == v) for v in VERBS}
    buckets |= {f"tense/{t}": _sum(c for (_, u), c in cells.items() if u == t) for t in TENSES}
    buckets["error/already_right"] = {"k": 118, "n": 120}
    table = {v: {t: {"k": cells[v, t][0], "n": n} for t in TENSES} for v in VERBS}
    return {
        "schema": "spine.eval/1",
        "eval_set": {"path": "data/eval.jsonl", "dvc_hash": eval_hash, "sha256": "e" * 64, "n": n * len(cells)},
        "decoding": {"kind": "greedy"},
        "total": _sum(cells.values()),
        "buckets": buckets,
        "false_accept": {"k": 1 if went else 9, "n": 240},
        "views": {"verb_by_tense": table},
    }


def bundle(
    folder: Path, seed: int, *, went: bool, hashes: dict[str, str], parent: str | None = None, variant: str = "fp32"
) -> Path:
    """A small bundle directory with its evidence."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    tensors = {f"layer{i}.{part}": rng.normal(size=(8, 8)).astype("float32") for i in range(4) for part in ("w", "b")}
    save_file(tensors, folder / "model.safetensors")
    version = "v2" if went else "v1"
    files = {
        "config.json": {"variant": variant, "layers": 4, "width": 8, "vocab": 512 + seed % 2},
        "train_manifest.json": {
            "parent_sha": parent,
            "corpora": [{"path": f"data/train_{version}.jsonl", "dvc_hash": hashes[f"train_{version}"]}],
            "code": {"git_sha": "3f9e2d1" + "0" * 33, "dirty": False},
            "seed": str(seed),
            "hyperparameters": {"lr": 0.001, "steps": 2000},
            "mlflow_run_id": f"{seed:032x}",
        },
        "corpus_manifest.json": {"rows": 14_210, "templates": 96},
        "eval_report.json": report(seed, went=went, eval_hash=hashes["eval"]),
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def corpora(root: Path) -> dict[str, str]:
    """Two versions of a corpus and an eval set, each with its .dvc file; returns their hashes by name."""
    data = root / "data"
    data.mkdir(exist_ok=True)
    rng = random.Random(3)
    hashes = {}
    for name, size, went in (("train_v1", 1200, 0), ("train_v2", 1248, 48), ("eval", 600, 0)):
        rows = []
        for number in range(size):
            verb = rng.choice([v for v in VERBS if v != "go"])
            word = "went" if number < went else f"will {verb}"
            text = f"She {word} there, sentence {number}."
            rows.append(json.dumps({"id": f"{name}-{number}", "text": text, "correct_form": text}))
        raw = ("\n".join(rows) + "\n").encode()
        (data / f"{name}.jsonl").write_bytes(raw)
        digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        (data / f"{name}.jsonl.dvc").write_text(
            f"outs:\n- md5: {digest}\n  size: {len(raw)}\n  hash: md5\n  path: {name}.jsonl\n"
        )
        hashes[name] = digest
    return hashes


def small(root: Path) -> dict[str, str]:
    """A project with four entries, two of them promoted, and an hour of traffic; returns SHAs by name."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text(".spine/\nbundles/\n")
    (root / "spine.toml").write_text('actor = "ada"\n')
    create_ledger(settings_of(root), "dev")
    hashes = corpora(root)
    shas: dict[str, str] = {}

    def add(name: str, seed: int, **more: Any) -> str:
        folder = bundle(root / "bundles" / name, seed, hashes=hashes, **more)
        shas[name] = spine.registry.register(folder).sha
        return shas[name]

    with open_project(root) as spine:
        base = add("base", 1, went=False)
        spine.registry.promote(base, "v0.1.0", reason="first model")
        add("int8", 2, went=False, parent=base, variant="int8")
        lora = add("lora", 3, went=True, parent=base, variant="lora r8")
        spine.registry.promote(lora, "v0.3.0", reason="learned went")
        spine.registry.tombstone(add("old", 4, went=False), reason="trained on the wrong split")
        traffic(spine, 240)
    return shas


def open_project(root: Path) -> Spine:
    """Open the spine of a folder, ignoring the environment."""
    return Spine(settings_of(root), readonly=False)


def traffic(spine: Spine, count: int) -> None:
    """Write traces of the route in force, with feedback of some learners."""
    route = spine.registry.route()
    if route is None:
        raise ValueError("nothing is in production")
    rng = random.Random(7)
    start = int((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1e9)
    writer = TraceWriter(spine.settings.traces)
    for number in range(count):
        verb, tense = rng.choice(VERBS), rng.choice(TENSES)
        wrong = number % 40 == 7
        sentence = "Yesterday he goed to school." if wrong else f"She will {verb} it, sentence {number}."
        learner = f"learner-{number % 30}"
        sha = route.stable.sha
        writer.submit(
            Trace(
                request_id=f"req-{number:08x}",
                trace_id=f"{number:032x}",
                span_id=f"{number:016x}",
                started_ns=start + number * 15_000_000_000,
                entry_sha=sha,
                intended_sha=sha,
                semver=route.stable.semver,
                assignment=assign(route, learner, sticky=True),
                input=sentence,
                output=sentence,
                accepted=True,
                features={"verb": "go" if wrong else verb, "tense": "past_simple" if wrong else tense},
                stages={"queue": 0.0002, "prefill": 0.0011, "decode": 0.0024, "format": 0.0001},
                seconds=0.004 + rng.random() / 500,
                input_tokens=9,
                output_tokens=8,
                cost=5e-8,
                rate_per_hour=0.05,
                price_version="2026-01",
                priced_by="busy/1",
            )
        ).result()
        if wrong:
            writer.feedback(f"req-{number:08x}", "dismissed").result()
    writer.close()


def _sum(counts: Any) -> dict[str, int]:
    pairs = [(c["k"], c["n"]) if isinstance(c, dict) else c for c in counts]
    return {"k": sum(k for k, _ in pairs), "n": sum(n for _, n in pairs)}


NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""When the traffic of ``try_out`` begins; it lasts ten minutes."""


def try_out(root: Path, strategy: str, sha: str, *, failed: float = 0.0, **more: Any) -> None:
    """Run an entry next to the stable one, which fails on a share, on 1,200 graded requests of 200 learners."""
    with open_project(root) as spine:
        registry = spine.registry
        start = {"canary": spine.routing.canary, "ab": spine.routing.ab, "shadow": spine.routing.shadow}[strategy]
        start(sha, reason="it knows went", **more)
        route = registry.route()
        if route is None or route.candidate is None:
            raise ValueError("no rollout is in progress")
        arms = {
            "stable": Arm(right=0.9, failed=failed, accepted=0.06, dismissed=0.03, seconds=0.004),
            route.candidate.name: Arm(right=0.99, failed=0.02, accepted=0.2, seconds=0.006),
        }
        start_ns = int(NOON.timestamp()) * 10**9
        leave_answers(spine.settings.traces, route, arms, start_ns=start_ns, seconds=600, requests=1_200, learners=200)
