"""A small project prepared for changes: a committed baseline and, on request, a prod ledger with a signing key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import console_seed
from modelspine.attestation.trust import make_key
from modelspine.gate.baseline import Item, baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.release.gate_run import gate_entry, signed_verdict
from modelspine.spine import Spine, create_ledger

GO = Item(id="first-one", text="Yesterday he goed to school.", correct_form="went")


def commit(root: Path) -> None:
    """Commit everything in a project that git does not ignore."""
    git = ["git", "-C", str(root), "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "as it is", "--allow-empty"], check=True)


def baseline(root: Path, sha: str, *, items: tuple[Item, ...] = ()) -> Path:
    """Write and commit the baseline of an entry."""
    with console_seed.open_project(root) as spine:
        body = spine.registry.state().entries[sha].registered.body
        report = read_report(spine.ledger.get(body["evidence"]["eval_report"]))
    file = root / "eval_baseline.json"
    made = baseline_of(report, reason="the first one", approved_in="#1", entry_sha=sha, never_regress=items)
    file.write_bytes(baseline_bytes(made))
    commit(root)
    return file


def prod(root: Path) -> tuple[str, Path]:
    """A project whose ledger is prod, with one registered entry and the signed verdict on it; returns SHA and file."""
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text(".spine/\nbundles/\nverdict.json\n")
    (root / "spine.toml").write_text('actor = "ada"\n')
    settings = console_seed.settings_of(root)
    create_ledger(settings, "prod")
    hashes = console_seed.corpora(root)
    with Spine(settings, readonly=False) as spine:
        sha = spine.registry.register(console_seed.bundle(root / "bundles/one", 1, went=True, hashes=hashes)).sha
        key, _ = make_key(spine.settings, "ci-test", None)
    baseline(root, sha)
    with Spine(settings, readonly=False) as spine:
        gated = gate_entry(spine, sha, baseline=settings.eval_baseline)
        file = root / "verdict.json"
        file.write_bytes(signed_verdict(spine, gated, key))
    return sha, file


def worse(root: Path, sha: str) -> None:
    """Raise one bucket of the committed baseline above an entry's by more than the tolerance."""
    file = baseline(root, sha)
    data = json.loads(file.read_bytes())
    data["buckets"]["verb/go"]["k"] = data["buckets"]["verb/go"]["n"]
    file.write_bytes(baseline_bytes(data))
    commit(root)
