"""A project with a fortnight of requests in which one person's past tense takes over, reports on all but the newest
day, and prices of two speeds: what the Drift and Cost screens are looked at with."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console_seed import TENSES, VERBS, bundle, settings_of
from console_tiny import Tiny
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.drift.days import record
from modelspine.drift.measurement import measure
from modelspine.ledger.route import assign
from modelspine.spine import Spine, create_ledger
from modelspine.workload import Probe
from observed import record_uptime

PERSONS = ("1sg", "2sg", "3sg")
DAY_NS = 86_400_000_000_000
FIRST_NS = 1_793_836_800_000_000_000
"""2026-11-05T00:00:00Z."""
MANY = 400
"""Requests a day."""


class Talker(Tiny):
    """A workload whose texts are ``verb tense person number``."""

    def features(self, text: str) -> dict[str, str]:
        """Return verb, tense and person."""
        words = text.split()
        return dict(zip(("verb", "tense", "person"), words, strict=False)) if len(words) >= 4 else {}

    def drift_values(self, text: str | None, features: Mapping[str, str], accepted: bool | None) -> dict[str, Any]:
        """Return tense and person combined, the verb, and the length of the text."""
        del accepted
        if "verb" not in features:
            return {}
        found: dict[str, Any] = {"tense_person": f"{features['tense']} {features['person']}", "verb": features["verb"]}
        return found | ({"length": float(len(text.split()))} if text is not None else {})

    def drift_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the drift values of a row."""
        text = str(row["text"])
        return self.drift_values(text, self.features(text), None)

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """Say which buckets a text with these features counts in."""
        del text
        names = tuple(f"{name}/{features[name]}" for name in ("verb", "tense") if name in features)
        return Probe(label="x", pattern="x", expected="x", buckets=names, mark="x")


def sentence(rng: random.Random, shifted: float) -> str:
    """One text; a shifted one is in the past and about somebody else."""
    past = rng.random() < shifted
    tense, person = ("past_simple", "3sg") if past else (rng.choice(TENSES), rng.choice(PERSONS))
    return " ".join([rng.choice(VERBS), tense, person, *["x"] * rng.randint(1, 6)])


def corpus(root: Path) -> dict[str, str]:
    """One corpus of every tense and person alike; returns hashes by the names bundles ask for."""
    rng = random.Random(11)
    (root / "data").mkdir()
    raw = "".join(json.dumps({"id": str(n), "text": sentence(rng, 0)}) + "\n" for n in range(3_000)).encode()
    (root / "data/train.jsonl").write_bytes(raw)
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    described = f"outs:\n- md5: {md5}\n  size: {len(raw)}\n  hash: md5\n  path: train.jsonl\n"
    (root / "data/train.jsonl.dvc").write_text(described)
    return {"train_v1": md5, "train_v2": md5, "eval": "e" * 32}


def make(root: Path, *, days: int = 14) -> dict[str, str]:
    """Make it; returns SHAs by name."""
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text(".spine/\nbundles/\n")
    (root / "spine.toml").write_text('actor = "ada"\n')
    create_ledger(settings_of(root), "dev")
    hashes = corpus(root)
    with Spine(settings_of(root), readonly=False) as spine:
        spine.__dict__["workload"] = Talker()

        def add(name: str, seed: int, **more: Any) -> str:
            return spine.registry.register(bundle(root / "bundles" / name, seed, hashes=hashes, **more)).sha

        shas = {"base": add("base", 1, went=False)}
        spine.registry.promote(shas["base"], "v0.1.0", reason="the first")
        shas["lora"] = add("lora", 3, went=True, parent=shas["base"], variant="lora r8")
        spine.registry.promote(shas["lora"], "v0.3.0", reason="learned went")
        shas["int8"] = add("int8", 2, went=False, parent=shas["base"], variant="int8")
        names = [requests(spine, day, shas) for day in range(days)]
        record_uptime(spine.settings.traces, FIRST_NS - FIRST_NS % DAY_NS, days * DAY_NS // 10**9)
        for name in names[:-1]:
            record(spine, measure(spine, name))
    return shas


def requests(spine: Spine, day: int, shas: Mapping[str, str]) -> str:
    """A day's requests, most by the first entry; returns its name."""
    rng = random.Random(day)
    route = spine.registry.route()
    assert route is not None
    writer = TraceWriter(spine.settings.traces)
    waiting = []
    for number in range(MANY):
        text = sentence(rng, 0.04 * max(0, day - 4))
        lora = number % 4 == 3
        speed = (2.2 if lora else 1.0) * (0.9 + rng.random() / 5)
        stages = {"queue": 0.0004, "tokenise": 0.0001, "prefill": 0.0011 * speed, "decode": 0.0024 * speed}
        words = dict(zip(("verb", "tense", "person"), text.split(), strict=False))
        learner = f"learner-{number % 30}"
        trace = Trace(
            request_id=f"req-{day:03}-{number:06}", trace_id=f"{number:032x}", span_id=f"{number:016x}",
            started_ns=FIRST_NS + day * DAY_NS + number * 60_000_000_000,
            entry_sha=shas["lora" if lora else "base"], intended_sha=shas["lora" if lora else "base"],
            semver="v0.3.0" if lora else "v0.1.0", assignment=assign(route, learner, sticky=True),
            input=text, output=text, accepted=True, features=words, stages=stages,
            seconds=sum(stages.values()), input_tokens=9, output_tokens=8,
            cost=(sum(stages.values()) - stages["queue"]) * 0.05 / 3600, rate_per_hour=0.05, price_version="2026-01",
            priced_by="busy/1",
            source="replay" if day < 3 else "live", unit_hash=learner,
        )  # fmt: skip
        waiting.append(writer.submit(trace))
    for each in waiting:
        each.result()
    writer.close()
    return f"2026-11-{5 + day:02}"
