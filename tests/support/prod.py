"""A prod ledger with one entry in production, a candidate and a verdict that would promote it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bundles import eval_report, write_bundle
from gating import as_dict
from modelspine.attestation.dsse import seal
from modelspine.attestation.keys import SigningKey, Trust, new_key, trust_bytes, trusted
from modelspine.attestation.statement import Run, Statement, statement
from modelspine.attestation.verdict import PAYLOAD_TYPE, sign
from modelspine.canonical_json import canonical
from modelspine.cli import main
from modelspine.errors import SpineError
from modelspine.gate.baseline import baseline_bytes, baseline_of, read_baseline
from modelspine.gate.eval_report import read_report
from modelspine.git import git_output
from modelspine.ledger.store import Draft, Event
from modelspine.release.promotion import Attempt, current_floor, stable_of
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger

KEPT = Path(".spine") / "denied.json"
_NAMES = ("first", "good", "other", "bad", "held", "buried", "corrupt", "gated")
_AS = ("-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Prod:
    """The project, its CI key, and its entries by name: ``first`` is in production."""

    root: Path
    key: SigningKey
    entries: Mapping[str, str]
    used: bytes = b""
    """The envelope with which ``first`` was promoted."""

    def open(self, env: str | None = None) -> Spine:
        """Open its spine as a process with this ``SPINE_ENV`` would."""
        environ = {"SPINE_ROOT": str(self.root), "SPINE_ACTOR": "tester", **({"SPINE_ENV": env} if env else {})}
        return Spine(load(environ=environ), readonly=False)

    def git(self, *words: str) -> None:
        """Run git in it."""
        subprocess.run(["git", *_AS, *words], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def trust(self, *keys: SigningKey) -> None:
        """Write a trust file with these keys; it is not committed."""
        lines = tuple(trusted(key, name="ci", added="2026-11-01") for key in keys)
        (self.root / "spine.trust.json").write_bytes(trust_bytes(Trust(keys=lines)))

    def statement(self, name: str = "good", **more: Any) -> Statement:
        """Return the statement that the gate would make now about an entry."""
        with self.open() as spine:
            registry = spine.registry
            baseline = (self.root / "eval_baseline.json").read_bytes()
            sha = self.entries[name]
            report = registry.state().entries[sha].registered.body["evidence"]["eval_report"]
            given: dict[str, Any] = {
                "sha": sha,
                "candidate": spine.ledger.get(report),
                "baseline": baseline,
                "stable": stable_of(spine, registry.state()),
                "floor": current_floor(spine, registry.state(), read_baseline(baseline)),
                "never_regress": None,
                "code": git_output(self.root, "rev-parse", "HEAD").decode().strip(),
                "head": spine.ledger.head(),
                "run": Run(id="8841", url="https://ci.example.org/runs/8841"),
                "issued": datetime.now(UTC) - timedelta(minutes=5),
            }
        return statement(**{**given, **more})

    def signed(self, name: str = "good", **more: Any) -> bytes:
        """Return the envelope that CI would write now."""
        return sign(self.statement(name, **more), self.key)

    def data(self, name: str = "good", **more: Any) -> dict[str, Any]:
        """Return that statement as JSON."""
        return as_dict(self.statement(name, **more))

    def reseal(self, data: Any, key: SigningKey | None = None) -> bytes:
        """An envelope over any statement, signed by a key (CI's own)."""
        return seal(canonical(data), PAYLOAD_TYPE, key or self.key)

    def copy(self, to: Path) -> Prod:
        """The same project in another folder."""
        shutil.copytree(self.root, to)
        return replace(self, root=to)


def make_prod(root: Path) -> Prod:
    """Make it: a git repository, a committed baseline of 95 in 100 and a committed key."""
    key = new_key()
    root.mkdir(parents=True)
    create_ledger(load(root, environ={"SPINE_ROOT": str(root)}), "prod")
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    raw = baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
    (root / "eval_baseline.json").write_bytes(raw)
    (root / ".gitignore").write_text(".spine/\n")
    made = Prod(root, key, {})
    made.git("init", "-q")
    made.trust(key)
    made.commit()
    with made.open() as spine:
        entries = {}
        for number, name in enumerate(_NAMES, 1):
            folder = write_bundle(root / ".spine" / "made" / name, number, k=80 if name == "bad" else 95)
            entries[name] = spine.registry.register(folder).sha
        folder = write_bundle(root / ".spine" / "made" / "unevaluated", 99, report=False)
        entries["unevaluated"] = spine.registry.register(folder).sha
        made = replace(made, entries=entries)
        used = made.signed("first")
        spine.registry.promote(entries["first"], "v1.0.0", reason="first", verdict=Attempt(spine, used))
        spine.registry.tombstone(entries["buried"], reason="wrong corpus")
        report = spine.registry.state().entries[entries["gated"]].registered.body["evidence"]["eval_report"]
        spine.registry.gated(
            entries["gated"], result="fail", report=report, baseline=spine.ledger.put(raw), stable=None
        )
        hold(spine, entries["held"])
    weights = root / ".spine" / "cache" / entries["corrupt"] / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    return replace(made, used=used)


def hold(spine: Spine, sha: str) -> None:
    """Hold an entry, as a rollback away from it does."""
    spine.ledger.append([Draft(kind="held", body={"sha": sha, "reason": "answers nonsense"})], expected=None)


def pointers(spine: Spine) -> tuple[str | None, dict[str, str]]:
    """Return the pointers that a refusal must not change."""
    state = spine.registry.state()
    return state.production, dict(state.semvers)


def digest(envelope: bytes) -> str:
    """The name a verdict is written down under."""
    return hashlib.sha256(envelope).hexdigest()


def attempt(
    prod: Prod, spine: Spine, envelope: bytes, *, name: str = "good", key: str | None = None
) -> tuple[SpineError, Event]:
    """Try to promote by the registry: it is refused, nothing moved, and the refusal is written, once."""
    before, head = pointers(spine), spine.ledger.head()
    error: SpineError | None = None
    try:
        spine.registry.promote(prod.entries[name], "v2.0.0", reason="try", verdict=Attempt(spine, envelope), key=key)
    except SpineError as found:
        error = found
    assert error is not None, "it was promoted"
    assert pointers(spine) == before
    event = spine.ledger.events(head)
    assert [each.kind for each in event] == ["denied"]
    assert event[0].body["verdict"] == digest(envelope)
    assert event[0].body.get("idempotency_key") == key
    return error, event[0]


def promote(prod: Prod, envelope: bytes | None, *words: str, name: str = "good") -> tuple[int, list[Event]]:
    """Promote by the command line: the exit code, and the events it left."""
    file = prod.root / KEPT
    if envelope is not None:
        file.write_bytes(envelope)
        words = ("--verdict", str(file), *words)
    with prod.open() as spine:
        head = spine.ledger.head()
    words = words if "--semver" in words else ("--semver", "v2.0.0", *words)
    before = Path.cwd()
    os.chdir(prod.root)
    try:
        code = main(["promote", prod.entries[name], "--reason", "try", *words])
    finally:
        os.chdir(before)
    with prod.open() as spine:
        return code, spine.ledger.events(head)
