"""A prod ledger is promoted on signed verdicts and on nothing else; every refusal leaves the pointer and says why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.cli import main
from modelspine.errors import Refused
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.ledger.route import assign
from modelspine.release.eligibility import route_denied
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
PROMOTE = ("--semver", "v1.0.0", "--reason", "the gate passed")


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a prod ledger, a committed baseline of 95 in 100, a key and a trust file."""
    root = tmp_path / "prod"
    root.mkdir()
    monkeypatch.chdir(root)
    create_ledger(load(root, environ={"SPINE_ROOT": str(root)}), "prod")
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    raw = baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
    (root / "eval_baseline.json").write_bytes(raw)
    (root / ".gitignore").write_text(".spine/\nverdict*.json\n")
    assert main(["keys", "new", "--name", "ci", "--out", str(tmp_path / "ci.pem")]) == 0
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    commit(root)
    return root


def commit(root: Path) -> None:
    for words in (["add", "-A"], ["commit", "-qm", "baseline and key"]):
        subprocess.run(["git", *words], cwd=root, check=True)


def registered(root: Path, bundle: Path) -> str:
    with open_spine(root) as spine:
        return spine.registry.register(bundle).sha


def signed(root: Path, sha: str, name: str = "verdict.json", *, code: int = 0, words: Sequence[str] = ()) -> Path:
    key = root.parent / "ci.pem" if (root.parent / "ci.pem").exists() else root.parent.parent / "ci.pem"
    assert main(["gate", sha, "--sign", "--key", str(key), "--out", str(root / name), *words]) == code
    return root / name


def semvers(root: Path) -> dict[str, str]:
    with open_spine(root, readonly=True) as spine:
        return dict(spine.registry.state().semvers)


def refused(root: Path, sha: str, verdict: Path, why: str, capsys: Capture) -> None:
    """Promoting is refused for that reason, the refusal is written, and no pointer moved."""
    before = semvers(root)
    capsys.readouterr()
    assert main(["promote", sha, *PROMOTE, "--verdict", str(verdict)]) == 1
    assert why in capsys.readouterr().err
    assert semvers(root) == before
    with open_spine(root, readonly=True) as spine:
        assert spine.registry.events()[-1].kind == "denied"


def test_a_signed_pass_promotes_and_the_walk_verifies_it(
    prod: Path, make_bundle: Make, echo: None, capsys: Capture
) -> None:
    sha = registered(prod, make_bundle(1))
    assert main(["promote", sha, "--verdict", str(signed(prod, sha)), *PROMOTE]) == 0
    assert semvers(prod) == {"v1.0.0": sha}
    with open_spine(prod) as spine:
        route = spine.registry.route()
        assert route is not None
        trace = Trace(
            request_id="req-signed-1", trace_id="0" * 32, span_id="0" * 16, started_ns=1, entry_sha=sha,
            intended_sha=sha, semver="v1.0.0", assignment=assign(route, "l", sticky=True),
            input="go", output="GO",
        )  # fmt: skip
        writer = TraceWriter(spine.settings.traces)
        writer.submit(trace).result(5)
        writer.close()
        seventh = spine.incident("req-signed-1").answers[6]
        assert (seventh.status, seventh.evidence["key"]["name"]) == ("verified", "ci")
        (prod / "spine.trust.json").write_text('{"schema": "spine.trust/1", "keys": []}')
        assert spine.incident("req-signed-1").answers[6].status == "mismatch"


def test_the_private_key_is_its_owners_alone(prod: Path) -> None:
    assert (prod.parent / "ci.pem").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (prod / "spine.trust.json").read_bytes()


def test_without_a_verdict_prod_refuses(prod: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = registered(prod, make_bundle(1))
    assert main(["promote", sha, *PROMOTE]) == 1
    assert "signed" in capsys.readouterr().err
    assert semvers(prod) == {}


def test_a_signed_fail_another_entrys_or_a_spent_verdict_is_refused(
    prod: Path, make_bundle: Make, capsys: Capture
) -> None:
    good, bad, other = (registered(prod, make_bundle(n, k=k)) for n, k in ((1, 95), (2, 80), (3, 95)))
    verdict = signed(prod, good)
    refused(prod, bad, signed(prod, bad, "verdict-bad.json", code=1), "failed the gate", capsys)
    refused(prod, other, verdict, "the verdict is about", capsys)
    assert main(["promote", good, *PROMOTE, "--verdict", str(verdict)]) == 0
    capsys.readouterr()
    assert main(["promote", good, "--semver", "v1.1.0", "--reason", "x", "--verdict", str(verdict)]) == 1
    assert semvers(prod) == {"v1.0.0": good}


def test_a_changed_baseline_trust_file_or_envelope_is_refused(prod: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = registered(prod, make_bundle(1))
    verdict = signed(prod, sha)
    baseline, trust = prod / "eval_baseline.json", prod / "spine.trust.json"
    for file, change in (
        (baseline, baseline.read_bytes().replace(b'"tolerance_pp": 2', b'"tolerance_pp": 9')),
        (trust, b'{"schema": "spine.trust/1", "keys": []}'),
        (verdict, verdict.read_bytes().replace(b'"payload":"e', b'"payload":"f')),
    ):
        before = file.read_bytes()
        assert before != change
        file.write_bytes(change)
        refused(prod, sha, verdict, "", capsys)
        file.write_bytes(before)
    assert main(["promote", sha, *PROMOTE, "--verdict", str(verdict)]) == 0


def test_production_that_moved_since_is_refused(prod: Path, make_bundle: Make, capsys: Capture) -> None:
    first, second = (registered(prod, make_bundle(n)) for n in (1, 2))
    late = signed(prod, second, "verdict-late.json")
    assert main(["promote", first, *PROMOTE, "--verdict", str(signed(prod, first))]) == 0
    capsys.readouterr()
    assert main(["promote", second, "--semver", "v2.0.0", "--reason", "x", "--verdict", str(late)]) == 1
    assert semvers(prod) == {"v1.0.0": first}
    again = signed(prod, second, "verdict-again.json")
    assert main(["promote", second, "--semver", "v2.0.0", "--reason", "x", "--verdict", str(again)]) == 0


def test_corrupt_bytes_are_not_promoted_on_any_verdict(prod: Path, make_bundle: Make) -> None:
    sha = registered(prod, make_bundle(1))
    verdict = signed(prod, sha)
    weights = prod / ".spine" / "cache" / sha / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    assert main(["promote", sha, *PROMOTE, "--verdict", str(verdict)]) == 5
    assert semvers(prod) == {}


def test_only_the_committed_baseline_is_signed_against(prod: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = registered(prod, make_bundle(1))
    key = ("--sign", "--key", str(prod.parent / "ci.pem"))
    assert main(["gate", sha, *key, "--tolerance-pp", "9"]) == 2
    assert main(["gate", sha, *key, "--baseline", "eval_baseline.json"]) == 2
    baseline = prod / "eval_baseline.json"
    baseline.write_bytes(baseline.read_bytes() + b"\n")
    assert main(["gate", sha, *key]) == 1
    assert "differs from the committed version" in capsys.readouterr().err
    shutil.rmtree(prod / ".git")
    assert main(["gate", sha, *key]) == 1
    assert not (prod / "verdict.json").exists()


def test_a_callable_that_is_no_verifier_promotes_nothing(prod: Path, make_bundle: Make) -> None:
    from modelspine.errors import Refused

    sha = registered(prod, make_bundle(1))
    with open_spine(prod) as spine, pytest.raises(Refused, match="the verdict was not verified"):
        spine.registry.promote(sha, "v1.0.0", verdict=lambda _sha, _state: object())  # type: ignore[arg-type,return-value]
    assert semvers(prod) == {}


def fresh(prod: Path, sha: str, k: int, **more: Any) -> Path:
    """The report that CI made of an entry."""
    file = prod / "fresh.json"
    file.write_text(json.dumps(eval_report(k, 100, entry_sha=sha, **more)))
    return file


def test_production_is_held_against_what_was_measured_and_not_what_its_author_said(
    prod: Path, make_bundle: Make, capsys: Capture
) -> None:
    """A modest report in a bundle would let everything pass after it."""
    modest, worse = registered(prod, make_bundle(1, k=60)), registered(prod, make_bundle(2, k=95))
    measured = signed(prod, modest, words=("--report", str(fresh(prod, modest, 100))))
    assert main(["promote", modest, *PROMOTE, "--verdict", str(measured)]) == 0
    verdict = signed(prod, worse, "verdict-worse.json", code=1)
    capsys.readouterr()
    assert main(["promote", worse, "--semver", "v2.0.0", "--reason", "x", "--verdict", str(verdict)]) == 1
    assert "failed the gate" in capsys.readouterr().err


def test_production_can_be_measured_on_a_new_eval_set(prod: Path, make_bundle: Make, capsys: Capture) -> None:
    """An entry is not compared with itself, or no candidate could be compared after a new eval set."""
    new = {"eval_set": {"path": "data/eval.jsonl", "dvc_hash": "1" * 32, "sha256": "2" * 64, "n": 100}}
    first, second = registered(prod, make_bundle(1)), registered(prod, make_bundle(2))
    assert main(["promote", first, *PROMOTE, "--verdict", str(signed(prod, first))]) == 0
    report = read_report(json.dumps(eval_report(90, 100, **new)).encode())
    (prod / "eval_baseline.json").write_bytes(
        baseline_bytes(baseline_of(report, reason="a new eval set", approved_in="#2", entry_sha=first))
    )
    commit(prod)
    words = ("--report", str(fresh(prod, second, 90, **new)))
    assert main(["gate", second, *words]) == 2
    again = signed(prod, first, "again.json", words=("--report", str(fresh(prod, first, 90, **new))))
    assert main(["promote", first, "--semver", "v1.0.1", "--reason", "new eval set", "--verdict", str(again)]) == 0
    verdict = signed(prod, second, "second.json", words=("--report", str(fresh(prod, second, 90, **new))))
    assert main(["promote", second, "--semver", "v2.0.0", "--reason", "x", "--verdict", str(verdict)]) == 0
    assert main(["verify"]) == 0


def test_a_project_in_a_folder_of_a_repository_has_its_own_committed_files(
    prod: Path, make_bundle: Make, capsys: Capture
) -> None:
    """What stands at the repository's top is another project's."""
    top = prod / "eval_baseline.json"
    (prod / "inner").mkdir()
    shutil.move(prod / ".spine", prod / "inner" / ".spine")
    for name in ("eval_baseline.json", "spine.trust.json"):
        shutil.copy(prod / name, prod / "inner" / name)
    (prod / "inner" / "spine.toml").write_text("# a project of its own\n")
    commit(prod)
    top.write_bytes(top.read_bytes() + b"\n")
    os.chdir(prod / "inner")
    sha = registered(prod / "inner", make_bundle(1))
    verdict = signed(prod / "inner", sha)
    assert main(["promote", sha, *PROMOTE, "--verdict", str(verdict)]) == 0


@pytest.mark.parametrize("name", ["SPINE_EVAL_BASELINE", "SPINE_TRUST"])
def test_a_variable_chooses_no_other_committed_file(
    name: str, prod: Path, make_bundle: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = registered(prod, make_bundle(1))
    verdict = signed(prod, sha)
    for file in ("eval_baseline.json", "spine.trust.json"):
        shutil.copy(prod / file, prod / f"other-{file}")
    commit(prod)
    monkeypatch.setenv(name, "other-eval_baseline.json" if "BASE" in name else "other-spine.trust.json")
    refused(prod, sha, verdict, f"{name} names the", capsys)
    if "BASE" in name:
        assert main(["gate", sha, "--sign", "--key", str(prod.parent / "ci.pem")]) == 1
        assert "only committed settings may" in capsys.readouterr().err


def test_all_traffic_goes_forward_only_to_what_was_held_against_production(
    prod: Path, make_bundle: Make, capsys: Capture
) -> None:
    """Two candidates that each pass against the same entry say nothing of each other."""
    first, better, equal = (registered(prod, make_bundle(n, k=k)) for n, k in ((1, 95), (2, 100), (3, 95)))
    for number, sha in enumerate((first, better, equal), 1):
        words = (
            "--semver",
            f"v{number}.0.0",
            "--reason",
            "x",
            "--verdict",
            str(signed(prod, sha, f"verdict-{number}")),
        )
        assert main(["promote", sha, *words]) == 0
    assert main(["route", "single", "v2.0.0", "--reason", "x"]) == 0
    capsys.readouterr()
    assert main(["route", "single", "v3.0.0", "--reason", "x"]) == 1
    assert (
        f"was compared with {first[:12]} when it was promoted, but {better[:12]} is in production now"
        in capsys.readouterr().err
    )
    assert main(["rollback", "v3.0.0", "--reason", "x"]) == 1
    assert "`spine route canary v3.0.0" in capsys.readouterr().err, "the way out is one that is open"
    assert main(["route", "canary", "v3.0.0", "--reason", "x"]) == 0, "what is measured beside it may be tried"
    for words in (["advance"], ["advance", "--weight", "9000"]):
        capsys.readouterr()
        assert main(["route", *words, "--reason", "x"]) == 1, "but nothing was measured yet"
        assert "its canary has no passing verdict" in capsys.readouterr().err
    assert main(["route", "advance", "--weight", "50", "--reason", "x"]) == 0, "it may always get less"
    with open_spine(prod) as spine:
        epoch = spine.registry.state().seq
        assert set(route_denied(spine.registry.state())) == {"advance"}
        assert route_denied(spine.registry.state(), judged=epoch) == {}
        with pytest.raises(Refused):
            spine.routing.advance(reason="x", judged=epoch - 1)
        for _step in range(4):
            epoch = spine.routing.advance(reason="it passed", judged=epoch).seq
        assert spine.registry.state().production == equal
    assert main(["rollback", "v2.0.0", "--reason", "x"]) == 0
    assert main(["release", "v3.0.0", "--reason", "x"]) == 0
    assert main(["route", "canary", "v3.0.0", "--reason", "x"]) == 0
    assert main(["route", "abort", "--reason", "x"]) == 0
    assert main(["rollback", "v1.0.0", "--reason", "x"]) == 0
    assert main(["release", "v3.0.0", "--reason", "x"]) == 0
    assert main(["route", "single", "v3.0.0", "--reason", "x"]) == 0, "this is what it was promoted against"
    assert main(["verify"]) == 0
