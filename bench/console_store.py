"""Creates the store of the console's bench: many entries and requests, and a production entry with a long lineage."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stores

from modelspine.ledger.route import Arm, Route
from modelspine.ledger.store import Draft, Ledger
from modelspine.settings import load

CHAIN = 16
"""Entries that a walk visits at most: production, its parent, and so on."""
_OTHERS = 4
"""Hops of an entry besides its corpora: itself, its run, its code and its eval set."""
_MONTH_NS = 30 * 86_400 * 10**9


def make(root: Path, *, entries: int, requests: int, hops: int) -> str:
    """Create a project with ``entries`` entries, whose production has a lineage of about ``hops`` hops.

    The requests are of the thirty days before now, all answered by production. Returns production's SHA.
    """
    corpora = max(1, hops // CHAIN - _OTHERS)
    stores.ledger(root, entries - CHAIN)
    _repository(root, corpora)
    settings = load(root, environ={"SPINE_ROOT": str(root)})
    ledger = Ledger(settings.ledger, actor="bench")
    drafts = list(_chain(ledger, corpora, _commit(root)))
    sha = drafts[-1].body["sha"]
    drafts.append(Draft(kind="promoted", body={"sha": sha, "semver": "v1.0.0", "reason": "bench", "verdict": {}}))
    arm = {"name": "stable", "sha": sha, "semver": "v1.0.0", "weight_bp": 10_000}
    routed = {"sha": sha, "strategy": "single", "arms": [arm], "reason": "bench"}
    events, _ = ledger.append([*drafts, Draft(kind="routed", body=routed)], expected=None)
    ledger.close()
    epoch = events[-1].seq
    route = Route(strategy="single", epoch=epoch, salt=str(epoch), arms=(Arm(**arm),))
    stores.traces(root / ".spine" / "traces.db", requests, route, time.time_ns() - _MONTH_NS)
    return str(sha)


def _chain(ledger: Ledger, corpora: int, commit: str) -> Iterator[Draft]:
    """The registrations of a chain of entries, each with the next one's SHA as its child; the last has no child."""
    report, parent = ledger.put(json.dumps(stores.eval_report()).encode()), None
    for number in range(CHAIN):
        sha = hashlib.sha256(f"chain {number}".encode()).hexdigest()
        named = [{"path": path, "dvc_hash": digest, "rows": 20_000} for path, digest in _outs(corpora)]
        manifest: dict[str, Any] = {
            "parent_sha": parent, "mlflow_run_id": sha[:32], "corpora": named, "seed": number,
            "code": {"git_sha": commit, "dirty": False}, "hyper_parameters": {"lr": 0.001, "steps": 2_000},
        }  # fmt: skip
        evidence = {"eval_report": report, "train_manifest": ledger.put(json.dumps(manifest).encode())}
        body = {
            "sha": sha, "weights": sha, "config": sha, "parent": parent, "variant": "lora", "run_id": sha[:32],
            "size": 75_000, "evidence": evidence, "corpora": [digest for _, digest in _outs(corpora)][:4],
            "total": [2_990, 3_000], "false_accept": [2, 1_800],
        }  # fmt: skip
        yield Draft(kind="registered", body=body)
        parent = sha


def _outs(corpora: int) -> list[tuple[str, str]]:
    """Path and hash of each corpus."""
    names = [f"data/part-{number:04}.jsonl" for number in range(corpora)]
    return [(name, hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()) for name in names]


def _repository(root: Path, corpora: int) -> None:
    """A git repository whose ``dvc.lock`` tracks the corpora; the corpora themselves are not on this machine."""
    outs = "".join(f"    - path: {path}\n      hash: md5\n      md5: {digest}\n" for path, digest in _outs(corpora))
    (root / ".dvc").mkdir()
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  prepare:\n    cmd: prepare\n    outs:\n{outs}")
    (root / ".gitignore").write_text(".spine\n")
    _git(root, "init", "-q")
    _git(root, "add", ".")
    _git(root, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-q", "-m", "Track the corpora")


def _commit(root: Path) -> str:
    return _git(root, "rev-parse", "HEAD").strip()


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout
