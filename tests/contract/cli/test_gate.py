"""``spine gate``: what it compares, what it writes down, and that a refused entry is not promoted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from modelspine.cli import main
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.spine import open_spine

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def gated(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose committed baseline is 95 of 100."""
    monkeypatch.chdir(project)
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    raw = baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
    (project / "eval_baseline.json").write_bytes(raw)
    return project


def register(project: Path, bundle: Path) -> str:
    with open_spine(project) as spine:
        return spine.registry.register(bundle).sha


def gate(capsys: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["gate", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def kinds(project: Path) -> list[str]:
    with open_spine(project, readonly=True) as spine:
        return [event.kind for event in spine.registry.events()]


def test_an_equal_entry_passes_and_may_be_promoted(gated: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = register(gated, make_bundle(1))
    code, found = gate(capsys, sha[:8])
    assert (code, found["result"], found["sha"]) == (0, "pass", sha)
    assert found["buckets"]["verb/go"]["base"] == {"k": 47, "n": 50}
    assert kinds(gated)[-1] == "gated"
    assert main(["promote", sha[:8], "--semver", "v0.1.0", "--reason", "passed"]) == 0


def test_a_regressed_entry_fails_is_written_down_and_cannot_be_promoted(
    gated: Path, make_bundle: Make, capsys: Capture, tmp_path: Path
) -> None:
    sha = register(gated, make_bundle(2, k=90))
    code, found = gate(capsys, sha[:8], "--md", str(tmp_path / "summary.md"))
    assert (code, found["result"]) == (1, "fail")
    assert any(row["blocked"] for row in found["buckets"].values())
    assert "verb/go" in (tmp_path / "summary.md").read_text()
    assert main(["promote", sha[:8], "--semver", "v0.1.0", "--reason", "anyway"]) == 1
    assert "failed the gate" in capsys.readouterr().err
    assert kinds(gated)[-2:] == ["gated", "denied"]
    with open_spine(gated, readonly=True) as spine:
        assert spine.registry.state().semvers == {}


def test_what_was_mended_in_production_cannot_come_back_through_an_old_baseline(
    gated: Path, make_bundle: Make, capsys: Capture
) -> None:
    better = register(gated, make_bundle(3, k=100))
    assert main(["promote", better, "--semver", "v1.0.0", "--reason", "mends go"]) == 0
    capsys.readouterr()
    old = register(gated, make_bundle(4, k=95))
    code, found = gate(capsys, old)
    assert (code, found["result"], found["stable"]) == (1, "fail", better)
    assert {row["against"] for row in found["buckets"].values() if row["blocked"]} == {"stable"}


def test_it_says_what_was_compared_also_where_two_of_them_are_one_entry(
    gated: Path, make_bundle: Make, capsys: Capture
) -> None:
    def said(ref: str) -> str:
        main(["gate", ref])
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("compared with "))

    raw = (gated / "eval_baseline.json").read_bytes()
    baseline = f"the baseline {hashlib.sha256(raw).hexdigest()[:12]} (of {'a' * 12})"
    weak = register(gated, make_bundle(1, k=95))
    assert said(weak) == f"compared with {baseline}; nothing is in production"
    with open_spine(gated) as spine:
        spine.registry.promote(weak, "v0.1.0", reason="x")
    strong = register(gated, make_bundle(2, k=98))
    one = f"v0.1.0 {weak[:12]}"
    assert said(strong) == (f"compared with {baseline}, production {one}, the floor {one} (the entry in production)")
    with open_spine(gated) as spine:
        spine.registry.promote(strong, "v0.2.0", reason="x")
        spine.routing.single(strong, reason="x")
        spine.routing.rollback(weak, reason="x")
    other = f"v0.2.0 {strong[:12]}"
    assert said(register(gated, make_bundle(3, k=96))) == (
        f"compared with {baseline}, production {one}, the floor {other}"
    )
    assert said(weak) == f"compared with {baseline}, production {one} (this entry), the floor {other}"
    assert said(strong) == f"compared with {baseline}, production {one}, the floor {other} (this entry)"


def test_a_report_of_no_entry_is_compared_and_nothing_is_written(gated: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "report.json").write_text(json.dumps(eval_report(80, 100)))
    code, found = gate(capsys, str(tmp_path / "report.json"))
    assert (code, found["result"], found["seq"]) == (1, "fail", None)
    assert kinds(gated) == ["opened"]
    assert gate(capsys, str(tmp_path / "report.json"), "--tolerance-pp", "30")[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"eval_set": {"path": "data/eval.jsonl", "dvc_hash": "0" * 32, "sha256": "0" * 64, "n": 100}},
        {"decoding": {"method": "sampled"}},
        {"buckets": {"verb/go": {"k": 47, "n": 50}}},
        {"schema": "spine.eval/2"},
    ],
)
def test_what_cannot_be_compared_is_an_error_and_no_failure(
    gated: Path, tmp_path: Path, capsys: Capture, change: dict[str, Any]
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(eval_report(95, 100, **change)))
    code, found = gate(capsys, str(tmp_path / "report.json"))
    assert (code, found["result"]) == (2, "error")
    assert found["reasons"]


def test_without_a_baseline_nothing_passes_and_nothing_is_written(
    gated: Path, make_bundle: Make, capsys: Capture
) -> None:
    (gated / "eval_baseline.json").unlink()
    sha = register(gated, make_bundle(1))
    assert gate(capsys, sha)[0] == 2
    assert kinds(gated)[-1] == "registered", "a run that compared nothing says nothing about the entry"


def test_a_trial_under_another_policy_stands_for_nothing(
    gated: Path, make_bundle: Make, capsys: Capture, tmp_path: Path
) -> None:
    """A pass with a wider tolerance, or against a weaker baseline, does not undo what the gate refused."""
    sha = register(gated, make_bundle(2, k=80))
    assert gate(capsys, sha)[0] == 1
    before = kinds(gated)
    weak = tmp_path / "weak.json"
    report = read_report(json.dumps(eval_report(80, 100)).encode())
    weak.write_bytes(baseline_bytes(baseline_of(report, reason="weak", approved_in="–", entry_sha="a" * 64)))
    for words in (("--tolerance-pp", "100"), ("--baseline", str(weak))):
        code, found = gate(capsys, sha, *words)
        assert (code, found["result"], found["seq"]) == (0, "pass", None)
        assert main(["gate", sha, *words]) == 0
        assert "dry run with another baseline or tolerance; nothing is recorded" in capsys.readouterr().out
    assert kinds(gated) == before
    assert gate(capsys, sha, "--baseline", "eval_baseline.json")[1]["seq"] is not None, "that is the project's own"
    assert main(["promote", sha, "--semver", "v0.1.0", "--reason", "tried"]) == 1
    assert "failed the gate" in capsys.readouterr().err


def test_a_baseline_of_an_earlier_eval_set_still_reads() -> None:
    from modelspine.gate.baseline import read_baseline

    old = read_baseline((Path(__file__).parents[2] / "fixtures" / "baseline-1" / "eval_baseline.json").read_bytes())
    assert (old.total.k, old.total.n, old.decoding["method"]) == (2921, 3000, "greedy")
    assert "vocabulary/seen" not in old.buckets


def test_the_committed_baseline_reads() -> None:
    from modelspine.gate.baseline import read_baseline

    baseline = read_baseline((Path(__file__).parents[3] / "eval_baseline.json").read_bytes())
    assert baseline.total.n == 3000
    assert baseline.tolerance_pp == 2
    assert min(count.n for name, count in baseline.buckets.items() if name.startswith("verb/")) >= 100
