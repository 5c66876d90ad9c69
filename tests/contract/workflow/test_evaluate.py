"""``spine evaluate``: which items, which bytes, how often; and that the gate decides on what it found."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_bundle
from cli_world import Done, check_refused, run
from modelspine.gate.baseline import Item, baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
SET = b"".join(json.dumps({"id": str(n), "text": f"item {n}"}).encode() + b"\n" for n in range(100))
EVAL_SET = {
    "path": "data/eval.jsonl",
    "dvc_hash": hashlib.md5(SET, usedforsecurity=False).hexdigest(),
    "sha256": hashlib.sha256(SET).hexdigest(),
    "n": 100,
}
FIXTURES = Path(__file__).parents[2] / "fixtures"
WENT = Item(id="incident-1", text="he goed", correct_form="WENT")


class Workload:
    """What the workload ``counting`` is to report, and what it was given. It runs in processes of its own."""

    def __init__(self, plan: Path) -> None:
        self._plan = plan
        self.write()

    def write(self, k: int = 95, answers: Sequence[str] = ("a" * 64,), *, more: Any = None, **plan: Any) -> None:
        """Say what it is to report in each run, and forget what it was given."""
        given = {"eval_set": EVAL_SET, **(more or {})}
        reports = [eval_report(k, 100, **{**given, "answers_sha256": digest}) for digest in answers]
        outputs = {WENT.text: "he WENT"}
        self._plan.write_text(json.dumps({"reports": reports, "outputs": outputs, **plan}))
        self._plan.with_suffix(".calls").unlink(missing_ok=True)

    def calls(self, verb: str = "evaluate") -> list[dict[str, Any]]:
        """The calls of one of its methods, in order."""
        file = self._plan.with_suffix(".calls")
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if call["verb"] == verb]


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workload:
    monkeypatch.syspath_prepend(str(FIXTURES / "counting"))
    monkeypatch.setenv("SPINE_WORKLOAD", "counting")
    monkeypatch.setenv("COUNTING_PLAN", str(tmp_path / "plan.json"))
    return Workload(tmp_path / "plan.json")


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch, workload: Workload) -> Path:
    """A project whose baseline is 95 in 100 of an eval set that is there, with one sentence never to be lost."""
    monkeypatch.chdir(project)
    (project / "data").mkdir()
    (project / "data" / "eval.jsonl").write_bytes(SET)
    report = read_report(json.dumps(eval_report(95, 100, eval_set=EVAL_SET)).encode())
    made = baseline_of(report, reason="first", approved_in="#1", entry_sha="a" * 64, never_regress=[WENT])
    (project / "eval_baseline.json").write_bytes(baseline_bytes(made))
    return project


def bundle(root: Path, number: int, *, k: int = 95, parent: str | None = None) -> Path:
    """A bundle that says of itself that it is right ``k`` times."""
    folder = write_bundle(root / "made" / str(number), number, parent=parent)
    (folder / "eval_report.json").write_text(json.dumps(eval_report(k, 100, eval_set=EVAL_SET)))
    return folder


def register(root: Path, folder: Path) -> str:
    with open_spine(root) as spine:
        return spine.registry.register(folder).sha


def evaluated(capsys: Capture, *words: str) -> dict[str, Any]:
    done = run(capsys, "evaluate", *words, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def test_an_entrys_report_says_which_bytes_and_carries_what_must_not_be_lost(
    here: Path, workload: Workload, capsys: Capture
) -> None:
    sha = register(here, bundle(here, 1))
    found = evaluated(capsys, sha[:8], "--out", "out/report.json")
    assert (found["sha"], found["registered"], found["runs"]) == (sha, "same", 1)
    written = json.loads((here / "out" / "report.json").read_text())
    assert written == found["report"]
    assert (written["entry_sha"], written["never_regress"]) == (sha, {WENT.id: True})
    assert written["loaded"] == {"sha": sha, "stored": True, "key": False}
    (call,) = workload.calls()
    # A private copy of the verified bundle, so that what is done to the cache meanwhile changes nothing.
    assert (Path(call["bundle"]).name, call["parent"]) == (sha, None)
    assert not Path(call["bundle"]).is_relative_to(here)
    assert call["eval_set"] == str(here / "data" / "eval.jsonl")
    gate = run(capsys, "gate", "out/report.json", "--json")
    assert (gate.code, gate.json["never_regress"]) == (0, {WENT.id: True})


def test_a_lost_sentence_blocks_the_gate(here: Path, workload: Workload, capsys: Capture) -> None:
    workload.write(outputs={})
    done = run(capsys, "evaluate", str(bundle(here, 1)), "--out", "report.json")
    assert "0 of 1 right; wrong: incident-1" in done.out
    gate = run(capsys, "gate", "report.json", "--json")
    assert (gate.code, gate.json["result"]) == (1, "fail")


def test_a_folder_is_evaluated_without_a_ledger_from_the_bytes_that_were_hashed(
    here: Path, workload: Workload, capsys: Capture
) -> None:
    (here / ".spine" / "ledger.db").unlink()
    folder = bundle(here, 1)
    found = evaluated(capsys, str(folder))
    assert found["sha"] == run(capsys, "sha", str(folder)).out.strip()
    used = Path(workload.calls()[0]["bundle"])
    assert used != folder, "who writes into the folder meanwhile changes nothing"
    assert found["report"]["loaded"] == {"sha": found["sha"], "stored": True, "key": False}
    assert not used.exists()


def test_twice_is_two_runs_and_refuses_other_answers(here: Path, workload: Workload, capsys: Capture) -> None:
    folder = str(bundle(here, 1))
    done = run(capsys, "evaluate", folder, "--twice")
    assert (done.code, len(workload.calls())) == (0, 2)
    assert "the same in both runs" in done.out
    workload.write(answers=["a" * 64, "b" * 64])
    done = run(capsys, "evaluate", folder, "--twice", "--out", "report.json")
    check_refused(done, 5)
    assert "a" * 64 in done.err
    assert "b" * 64 in done.err
    assert not (here / "report.json").exists()
    workload.write(answers=[""])
    check_refused(run(capsys, "evaluate", folder, "--twice"), 5)


def test_other_items_than_the_baselines_are_refused_with_both_hashes(
    here: Path, workload: Workload, capsys: Capture
) -> None:
    file = here / "data" / "eval.jsonl"
    file.write_bytes(SET[:-1])
    for words in (["evaluate", str(bundle(here, 1))], ["evaluate"], ["evaluate", "--fetch"]):
        done = run(capsys, *words)
        check_refused(done, 5)
        assert hashlib.sha256(SET[:-1]).hexdigest() in done.err
        assert EVAL_SET["sha256"] in done.err
    assert file.read_bytes() == SET[:-1], "what is there is never replaced"
    file.unlink()
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 3)
    check_refused(run(capsys, "evaluate", "--fetch"), 2)
    assert workload.calls() == []


def test_a_workload_that_reads_other_items_is_refused(here: Path, workload: Workload, capsys: Capture) -> None:
    workload.write(more={"eval_set": {**EVAL_SET, "sha256": "f" * 64}})
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 5)
    workload.write(more={"eval_set": {**EVAL_SET, "n": 99}})
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 5)
    workload.write(more={"schema": "mine/1"})
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 3)


@pytest.mark.parametrize("path", ["../eval.jsonl", "/etc/passwd", "data/../../x", "", "a\0b"])
def test_a_baseline_does_not_lead_out_of_the_project(
    here: Path, workload: Workload, capsys: Capture, path: str
) -> None:
    made = json.loads((here / "eval_baseline.json").read_text())
    made["eval_set"]["path"] = path
    (here / "eval_baseline.json").write_text(json.dumps(made))
    check_refused(run(capsys, "evaluate", "--fetch"), 2)


def test_no_baseline_no_bundle_no_subject(here: Path, workload: Workload, capsys: Capture) -> None:
    check_refused(run(capsys, "evaluate", "nosuch"), 2)
    (here / "empty").mkdir()
    check_refused(run(capsys, "evaluate", "empty"), 2)
    check_refused(run(capsys, "evaluate", "--twice"), 2)
    assert run(capsys, "evaluate").code == 0
    (here / "eval_baseline.json").unlink()
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 2)
    assert workload.calls() == []


def test_an_entry_of_a_ledger_that_is_gone_or_damaged(here: Path, workload: Workload, capsys: Capture) -> None:
    sha = register(here, bundle(here, 1))
    ledger = here / ".spine" / "ledger.db"
    ledger.write_bytes(bytes(ledger.stat().st_size))
    check_refused(run(capsys, "evaluate", sha), 5)
    ledger.unlink()
    check_refused(run(capsys, "evaluate", sha), 3)
    assert not ledger.exists()


@pytest.mark.parametrize("plan", ["fails", "ends", "fails_to_load"])
def test_a_workload_that_fails_is_two_lines(here: Path, workload: Workload, capsys: Capture, plan: str) -> None:
    workload.write(**{plan: True})
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 3)


def test_what_is_no_text_is_no_answer(here: Path, workload: Workload, capsys: Capture) -> None:
    workload.write(outputs={WENT.text: 7})
    check_refused(run(capsys, "evaluate", str(bundle(here, 1))), 3)


SECRETS = {
    "SPINE_SIGNING_KEY": "-----BEGIN PRIVATE KEY-----", "SPINE_LEDGER": "", "GITHUB_TOKEN": "t0ken",
    "MY_API_KEY": "k3y", "AWS_SECRET_ACCESS_KEY": "s3cret", "PGPASSWORD": "p4ss", "SSH_AUTH_SOCK": "/run/agent",
    "STORE": "postgresql://ops:p4ssw0rd@db.example/x", "CI_PEM": "-----BEGIN EC PRIVATE KEY-----\nMIGH",
}  # fmt: skip


def test_the_process_that_loads_a_model_holds_no_key(
    here: Path, workload: Workload, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with (here / "ci.pem").open("wb") as key:  # a file that this process has open
        os.set_inheritable(key.fileno(), True)  # as a library might do; only what is passed on is inherited
        evaluated(capsys, str(bundle(here, 1)))
        calls = [*workload.calls(), *workload.calls("load")]
    assert len(calls) == 2
    for call in calls:
        assert call["pid"] != os.getpid()
        assert not SECRETS.keys() & set(call["variables"])
        assert not [value for value in call["values"] if any(secret and secret in value for secret in SECRETS.values())]
        assert not [file for file in call["files"] if "ci.pem" in file or ".spine" in file]
    assert "PATH" in calls[0]["variables"]


def test_an_adapter_is_given_its_verified_parent(here: Path, workload: Workload, capsys: Capture) -> None:
    parent = register(here, bundle(here, 1))
    child = bundle(here, 2, parent=parent)
    evaluated(capsys, str(child))
    evaluated(capsys, register(here, child))
    kept = here / ".spine" / "cache" / parent
    assert [Path(call["parent"]).name for call in workload.calls()] == [parent, parent]
    weights = kept / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    check_refused(run(capsys, "evaluate", str(child)), 5)


def test_a_report_that_praises_itself_is_told_and_gates_nothing(
    here: Path, workload: Workload, capsys: Capture
) -> None:
    """The bundle says 95; its bytes get 80. Its own word passes the gate, what was found does not."""
    workload.write(80)
    sha = register(here, bundle(here, 1))
    found = evaluated(capsys, sha, "--twice", "--out", "report.json")
    assert found["registered"] == "differs"
    assert "total 95/100 registered, 80/100 now" in found["differences"]
    assert "! total 95/100 registered" in run(capsys, "evaluate", sha).out
    assert run(capsys, "gate", sha).code == 0
    fresh: Done = run(capsys, "gate", sha, "--report", "report.json", "--json")
    assert (fresh.code, fresh.json["result"]) == (1, "fail")
    with open_spine(here, readonly=True) as spine:
        event = spine.registry.events()[-1]
        assert (event.kind, event.body["result"]) == ("gated", "fail")
        assert json.loads(spine.ledger.get(str(event.body["report"]))) == found["report"]
    check_refused(run(capsys, "promote", sha, "--semver", "v1.0.0", "--reason", "its own word"), 1)


def test_a_fresh_report_has_to_be_of_that_entry(here: Path, workload: Workload, capsys: Capture) -> None:
    one, two = register(here, bundle(here, 1)), register(here, bundle(here, 2))
    evaluated(capsys, one, "--out", "one.json")
    check_refused(run(capsys, "gate", two, "--report", "one.json"), 2)
    check_refused(run(capsys, "gate", one, "--report", "nosuch.json"), 2)
    check_refused(run(capsys, "gate", "one.json", "--report", "one.json"), 2)
    nobody = json.loads((here / "one.json").read_text()) | {"entry_sha": None}
    (here / "nobody.json").write_text(json.dumps(nobody))
    check_refused(run(capsys, "gate", one, "--report", "nobody.json"), 2)
    assert run(capsys, "gate", one, "--report", "one.json").code == 0


def test_another_eval_set_is_not_compared(here: Path, workload: Workload, capsys: Capture) -> None:
    folder = bundle(here, 1)
    (folder / "eval_report.json").write_text(json.dumps(eval_report(10, 100)))
    assert evaluated(capsys, str(folder))["registered"] == "other eval set"
    (folder / "eval_report.json").unlink()
    assert evaluated(capsys, str(folder))["registered"] == "none"
