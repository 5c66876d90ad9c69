"""What a promotion stands on is said wherever it is named: signed, unsigned (dev), gate overridden (dev)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_baseline
from cli_world import REQUEST, Done, check_refused, leave_trace, make_world, run
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.ledger.store import Draft
from modelspine.spine import Spine, open_spine
from past_spine import append_row
from prod import Prod, make_prod, promote

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
OVERRIDE = ("--semver", "v1.0.0", "--reason", "trying it out", "--override-gate")


@pytest.fixture
def dev(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dev ledger with a baseline of 95 in 100."""
    monkeypatch.chdir(project)
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    raw = baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
    (project / "eval_baseline.json").write_bytes(raw)
    return project


def registered(root: Path, bundle: Path) -> str:
    with open_spine(root) as spine:
        return spine.registry.register(bundle).sha


def last(root: Path) -> Any:
    with open_spine(root, readonly=True) as spine:
        return spine.registry.events()[-1]


@pytest.fixture
def failed(dev: Path, make_bundle: Make, capsys: Capture) -> str:
    """An entry that the gate refused."""
    sha = registered(dev, make_bundle(1, k=80))
    assert run(capsys, "gate", sha).code == 1
    return sha


def everywhere(capsys: Capture, sha: str) -> Iterator[Done]:
    for words in (("list",), ("show", sha), ("history",)):
        done = run(capsys, *words)
        assert done.code == 0
        yield done


def test_an_unsigned_promotion_says_so_everywhere(dev: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = registered(dev, make_bundle(1))
    assert "–" in run(capsys, "list").out
    assert run(capsys, "list", "--json").json["entries"][0]["verdict"] is None
    assert run(capsys, "promote", sha, "--semver", "v1.0.0", "--reason", "x").code == 0
    for done in everywhere(capsys, sha):
        assert "unsigned (dev)" in done.out
    assert run(capsys, "list", "--json").json["entries"][0]["verdict"] == "unsigned"
    assert run(capsys, "show", sha, "--json").json["verdict"] == "unsigned"
    assert run(capsys, "history", "--json").json["events"][-2]["body"]["verdict"]["signed"] is False


def test_a_failed_gate_is_passed_over_in_dev_alone_and_stains_for_good(
    dev: Path, failed: str, capsys: Capture, echo: None
) -> None:
    refused = run(capsys, "promote", failed, *OVERRIDE[:-1])
    check_refused(refused, 1)
    assert "failed the gate" in refused.err
    assert last(dev).kind == "denied"
    assert run(capsys, "promote", failed, *OVERRIDE).code == 0
    for done in everywhere(capsys, failed):
        assert "gate overridden (dev)" in done.out
    assert run(capsys, "show", failed, "--json").json["verdict"] == "overridden"
    with open_spine(dev, readonly=True) as spine:
        body = next(event.body for event in spine.registry.events() if event.kind == "promoted")
    assert (body["override"], body["verdict"]["signed"]) == (True, False)
    leave_trace(dev, "req-stained-1", "he goed", "he goed")
    seventh = run(capsys, "incident", "req-stained-1", "--json").json["answers"][6]
    assert "gate overridden (dev)" in seventh["answer"]
    assert (seventh["status"], seventh["evidence"]["standing"]) == ("recorded", "overridden")


def test_an_override_with_nothing_to_pass_over_stains_nothing(dev: Path, make_bundle: Make, capsys: Capture) -> None:
    sha = registered(dev, make_bundle(2))
    assert run(capsys, "gate", sha).code == 0
    assert run(capsys, "promote", sha, *OVERRIDE).code == 0
    assert run(capsys, "show", sha, "--json").json["verdict"] == "unsigned"


@pytest.mark.parametrize("env", ["prod", "dev"])
def test_the_override_is_refused_where_the_process_is_told_that_it_is_prod(
    env: str, dev: Path, failed: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_ENV", env)
    done = run(capsys, "promote", failed, *OVERRIDE)
    assert done.code == (1 if env == "prod" else 0)
    if env == "prod":
        assert "only in a dev ledger" in done.err
        assert (last(dev).kind, last(dev).body["semver"]) == ("denied", "v1.0.0")


def test_an_override_opens_no_other_door(dev: Path, failed: str, make_bundle: Make, capsys: Capture) -> None:
    unevaluated = registered(dev, make_bundle(3, report=False))
    for sha, why in ((unevaluated, "no evaluation report"), (failed, "is on hold")):
        with open_spine(dev) as spine:
            spine.ledger.append([Draft(kind="held", body={"sha": failed, "reason": "no"})], expected=None)
        done = run(capsys, "promote", sha, *OVERRIDE)
        assert (done.code, why in done.err) == (1, True)


def test_a_bad_verdict_is_refused_in_dev_too(dev: Path, make_bundle: Make, capsys: Capture, tmp_path: Path) -> None:
    sha = registered(dev, make_bundle(4))
    for n, raw in enumerate((b"", b"{}", b"\xff\xfe", b'{"signatures": [{"keyid": "0123456789abcdef"}]}')):
        (tmp_path / "v.json").write_bytes(raw)
        done = run(capsys, "promote", sha, *OVERRIDE[:-1], "--verdict", str(tmp_path / "v.json"))
        check_refused(done, 1)
        assert last(dev).kind == "denied"
        assert last(dev).body.get("signer") == ("0123456789abcdef" if n == 3 else None)


def test_a_later_event_makes_a_prod_ledger_no_dev_ledger(tmp_path: Path) -> None:
    made = make_prod(tmp_path / "prod")
    append_row(made.root / ".spine" / "ledger.db", "opened", {"env": "dev"})
    code, events = promote(made, None)
    assert (code, events[-1].kind) == (1, "denied")


# answer 7 and 8 -------------------------------------------------------------------------------------------------


@pytest.fixture
def walked(tmp_path: Path, echo: None) -> Prod:
    """A prod ledger whose production answered a request."""
    made = make_prod(tmp_path / "prod")
    leave_trace(made.root, "req-walked-1", "he goed", "HE GOED")
    return made


def seventh(spine: Spine) -> Any:
    return spine.incident("req-walked-1").answers[6]


def test_answer_seven_shows_key_run_and_the_head_of_the_ledger_then(walked: Prod) -> None:
    with walked.open() as spine:
        found = seventh(spine)
        event = next(e for e in spine.registry.events() if e.kind == "promoted")
        decided_on = spine.registry.events()[found.evidence["ledger_head"]["seq"] - 1]
    assert found.status == "verified"
    assert found.evidence["key"]["id"] == walked.key.id
    assert found.evidence["run"]["url"] == "https://ci.example.org/runs/8841"
    assert found.evidence["ledger_head"]["hash"] == decided_on.hash
    assert decided_on.seq < event.seq
    for said in (walked.key.id, "https://ci.example.org/runs/8841", f"#{decided_on.seq} {decided_on.hash[:12]}"):
        assert said in found.answer


@pytest.mark.parametrize("name", ["good", "bad"])
def test_answer_seven_holds_the_verdict_against_the_promotion_that_names_it(walked: Prod, name: str) -> None:
    """An event written past the registry, with a sound verdict of another entry or a signed failure beside it."""
    sha = walked.entries["other" if name == "good" else "bad"]
    envelope = walked.signed(name)
    with walked.open() as spine:
        verdict = {"signed": True, "digest": spine.ledger.put(envelope), "key": walked.key.id}
        body = {"sha": sha, "semver": "v6.6.6", "reason": "forged", "verdict": verdict}
        spine.ledger.append([Draft(kind="promoted", body=body)], expected=None)
    leave_trace(walked.root, "req-forged-1", "he goed", "HE GOED", entry_sha=sha, semver="v6.6.6")
    with walked.open() as spine:
        found = spine.incident("req-forged-1").answers[6]
    assert found.status == "mismatch"
    assert ("it is about" if name == "good" else "it says fail") in found.answer


def test_answer_eight_names_where_to_go_with_what_that_says(tmp_path: Path, echo: None, capsys: Capture) -> None:
    world = make_world(tmp_path / "world")
    write_baseline(world.root)
    eighth = run(capsys, "incident", REQUEST, "--json", root=world.root).json["answers"][7]
    assert eighth["status"] == "verified"
    assert eighth["evidence"]["go_to"] == world.loud
    assert world.loud[:12] in eighth["answer"]
    assert "answers “WENT TO SCHOOL”" in eighth["answer"]
