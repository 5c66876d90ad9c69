"""The demo's week, whole: shadow, a canary that becomes stable, a weekend that drifts, a candidate that ends itself.

Real server, ledger, MLflow, DVC and traffic; only the weights are rules (``fixtures/rules``).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from clone import ROOT, Clone, make_clone
from minitutor import facts
from minitutor.week import INCIDENT, QUICK
from modelspine.gate.result import exceeds
from modelspine.incident.rollback_target import fix_answer
from modelspine.release.gate_run import compare_entry
from modelspine.spine import open_spine

RULES = ROOT / "tests" / "fixtures" / "rules"
NEXT = "\nNext, go to the demo's project,"
pytestmark = pytest.mark.timeout(600)  # the first test waits for the whole week


PIPELINE = (".github/workflows/deploy-grammar-tutor.yml", "Justfile", "run", "requirements.lock", "tests/s3.lock")
"""What the demo needs of the checkout, beside the data, to play the deploy workflow."""
MAKE = "from pathlib import Path; from minitutor import demo_project; demo_project.make(Path(), Path('demo'))"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Clone:
    """A checkout in which the demo's project and its models are made already."""
    root = tmp_path_factory.mktemp("clone")
    made = make_clone(
        tmp_path_factory, root, "eval_baseline.json", "data/ladder.toml", *PIPELINE,
        PYTHONPATH=str(RULES), SPINE_WORKLOAD="rules", COLUMNS="100",
    )  # fmt: skip

    def python(*words: str, cwd: Path) -> None:
        done = subprocess.run([sys.executable, *words], cwd=cwd, env=made.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    python("-c", MAKE, cwd=root)
    for file in (root / "data").glob("*.jsonl"):
        shutil.copy(file, root / "demo" / "data")
    shutil.copy(mlflow_database, root / "demo" / ".spine" / "mlflow.db")
    python(str(RULES / "rule_workload.py"), cwd=root / "demo")
    return made


@pytest.fixture(scope="module")
def told(checkout: Clone) -> str:
    """What the demo printed."""
    return checkout.run("minitutor", "demo", "--headless", "--quick")


@pytest.fixture(scope="module")
def clone(checkout: Clone, told: str) -> Clone:
    """The demo's project, once the demo is over."""
    return Clone(checkout.root / "demo", **checkout.environment)


@pytest.fixture(scope="module")
def events(clone: Clone, told: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clone.json("spine", "history")["events"]
    return found


def shas(events: list[dict[str, Any]]) -> dict[str, str]:
    return {e["body"]["semver"]: e["body"]["sha"] for e in events if e["kind"] == "promoted"}


def week(events: list[dict[str, Any]]) -> list[str]:
    return sorted(e["body"]["day"] for e in events if e["kind"] == "drift_reported")


def test_every_model_in_production_came_through_the_workflow(clone: Clone, events: list[dict[str, Any]]) -> None:
    assert events[0]["body"]["env"] == "prod"
    promoted = [e["body"] for e in events if e["kind"] == "promoted"]
    assert [body["semver"] for body in promoted] == ["v0.1.0", "v0.2.0", "v0.3.0", "v0.4.0"]
    assert all(body["verdict"]["signed"] for body in promoted)
    assert [body["key"] for body in promoted] == [f"deploy-{run}" for run in (101, 102, 103, 105)]
    found = clone.json("spine", "verify")
    assert found["ok"]
    assert {check["name"] for check in found["checks"]} >= {"chain", "verdicts", "pointers"}
    heads = subprocess.run(
        ["git", "show", "witness:ledger.txt"],
        cwd=clone.root / ".spine" / "remote.git",
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(heads.stdout.split()) == 4, "one head of the ledger for each deployment"


def test_the_complaint_stops_the_next_model_that_makes_the_mistake(
    clone: Clone, told: str, events: list[dict[str, Any]]
) -> None:
    """It is as good as the first model in every bucket: the learner's sentence alone is against it."""
    item = json.loads((clone.root / "eval_baseline.json").read_text())["never_regress"]
    assert [(each["text"], each["correct_form"]) for each in item] == [(INCIDENT, "Yesterday he went to school.")]
    refused = [e for e in events if e["kind"] == "gated" and e["body"]["result"] == "fail"]
    assert len(refused) == 1
    semver_less = clone.json("spine", "show", refused[0]["body"]["sha"])
    assert (semver_less["status"], semver_less["semver"]) == ("pending", None)
    assert semver_less["cost_per_quality"] is not None, "it is gated with the report that was evaluated twice"
    reasons = [line for line in told.splitlines() if line.startswith("  ✖ against")]
    assert reasons == [f"  ✖ against the baseline: never_regress item “{item[0]['id']}” is wrong again"]


def test_answer_seven_names_the_run_and_its_log(clone: Clone, events: list[dict[str, Any]]) -> None:
    request = clone.json("spine", "traces", "list", "--text", INCIDENT, "--outcome", "dismissed")["traces"][0][
        "request_id"
    ]
    seventh = clone.json("spine", "incident", request)["answers"][6]
    assert seventh["status"] == "verified"
    assert seventh["answer"].startswith("passed in run 101 .spine/runs/101.log, signed by demo-ci ")
    assert seventh["command"] == "less ./.spine/runs/101.log"
    assert "## gate" in (clone.root / ".spine" / "runs" / "101.log").read_text()


def test_the_checkout_stays_as_it_was_and_no_key_is_in_a_repository(checkout: Clone, clone: Clone) -> None:
    def git(*words: str, cwd: Path) -> str:
        return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout

    assert git("status", "--porcelain", cwd=checkout.root) == ""
    assert git("rev-list", "--count", "HEAD", cwd=checkout.root).strip() == "1"
    assert git("status", "--porcelain", cwd=clone.root) == ""
    assert "BEGIN PRIVATE KEY" not in git("log", "--all", "--patch", cwd=clone.root)
    (key,) = (clone.root / ".spine" / "keys").iterdir()
    assert "PRIVATE KEY" in key.read_text()
    secret = key.read_text().splitlines()[1]
    assert not [log for log in (clone.root / ".spine" / "runs").iterdir() if secret in log.read_text()]


def test_every_weekday_is_stable_and_the_weekend_is_not(events: list[dict[str, Any]]) -> None:
    days = week(events)
    assert [date.fromisoformat(day).isoweekday() for day in days] == [1, 2, 3, 4, 5, 6, 7]
    assert days[-1] < events[0]["at"][:10], "the week is over when the ledger is opened"
    status = {e["body"]["day"]: e["body"]["status"] for e in events if e["kind"] == "drift_reported"}
    assert [status[day] for day in days] == ["stable"] * 5 + ["act"] * 2


def test_the_good_candidate_went_up_the_ladder_by_the_servers_own_events(events: list[dict[str, Any]]) -> None:
    good = shas(events)["v0.3.0"]
    moved = [e["body"] for e in events if e["kind"] == "routed" and good in str(e["body"]["arms"])]
    weights = [body["arms"][-1]["weight_bp"] for body in moved]
    assert weights[:4] == [10_000, 3_000, 5_000, 10_000]
    assert [body.get("verb") for body in moved[1:4]] == ["start", "advance", "advance"]
    assert all(body["reason"].startswith("canary pass: graded") for body in moved[2:4])
    assert all(body["key"].startswith("canary-") for body in moved[2:4])


def test_shadow_saw_that_it_was_right_where_the_other_was_wrong(clone: Clone, events: list[dict[str, Any]]) -> None:
    epoch = next(e["seq"] for e in events if e["kind"] == "routed" and e["body"]["strategy"] == "shadow")
    pairs = clone.json("spine", "route", "report", "--epoch", str(epoch))["shadow"]["pairs"]
    assert pairs["only_shadow"] > 0
    assert pairs["only_live"] == 0


def test_the_bad_candidate_passed_the_gate_and_was_held_by_one_event(
    clone: Clone, events: list[dict[str, Any]]
) -> None:
    bad, good = shas(events)["v0.4.0"], shas(events)["v0.3.0"]
    gated = [e["body"]["result"] for e in events if e["kind"] == "gated" and e["body"]["sha"] == bad]
    assert gated == ["pass"]
    held = [e for e in events if e["kind"] == "held"]
    assert [e["body"]["sha"] for e in held] == [bad]
    assert "consecutive windows" in held[0]["body"]["reason"]
    aborts = [e for e in events if e["body"].get("verb") == "abort"]
    assert [e["seq"] for e in aborts] == [held[0]["seq"] - 1]
    assert aborts[0]["body"]["arms"][0]["sha"] == good
    entry = clone.json("spine", "show", "v0.4.0")
    assert entry["status"] == "held"
    assert clone.json("spine", "show", "production")["semver"] == "v0.3.0"


def test_the_traces_say_that_they_are_replayed(clone: Clone, events: list[dict[str, Any]]) -> None:
    found = clone.json("spine", "traces", "list", "--limit", "10000")["traces"]
    assert {trace["source"] for trace in found} == {"replay"}
    started = {datetime.fromtimestamp(trace["started_ns"] // 10**9, UTC).date().isoformat() for trace in found}
    assert started == set(week(events))


def test_a_day_is_counted_without_its_copies(
    clone: Clone, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone.root)
    assert facts.answered(date.fromisoformat(week(events)[0])) == QUICK.weekday
    assert facts.facts().finished


def test_a_weekend_failure_walks_to_the_rows_that_taught_it(clone: Clone, told: str) -> None:
    request = re.findall(r"^\$ spine incident (\S+)$", told, re.MULTILINE)[-1]
    answers = {answer["n"]: answer for answer in clone.json("spine", "incident", request)["answers"]}
    assert answers[1]["evidence"]["sha"].startswith(clone.json("spine", "show", "v0.4.0")["sha"])
    assert f"  act, n {QUICK.weekend}" in answers[2]["answer"]
    against = answers[4]["evidence"]["against"]
    assert against["matched"] > 0
    assert f"{against['matched']} teach {against['label']}" in answers[4]["answer"]
    assert all("weekend" in row["text"] or "Sat" in row["text"] for row in answers[4]["evidence"]["quoted"])
    assert answers[8]["evidence"]["entries"]


def test_the_walk_is_what_the_readme_shows(told: str) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = page.split("<!-- incident -->\n```\n")[1].split("\n```\n<!-- /incident -->")[0]
    walk = told[told.rindex("\nincident req-") + 1 : told.index(NEXT)]
    assert shape(walk) == shape(shown)


def test_a_second_time_nothing_is_left_to_do(
    checkout: Clone, clone: Clone, told: str, events: list[dict[str, Any]]
) -> None:
    again = checkout.run("minitutor", "demo", "--headless", "--quick")
    assert again.splitlines()[0].startswith("$ spine incident ")
    assert clone.json("spine", "history")["events"] == events
    assert told.endswith(again[again.index(NEXT) :])


def shape(walk: str) -> str:
    """A walk without its ids, times and counts, and however it is wrapped."""
    # The committed baseline is of the trained model, not of the rules that stand in for it here.
    walk = re.sub(r"; it is its own baseline: .*?(?= 8 fix )", "", " ".join(walk.split()))
    for pattern, name in (
        (r"req-\S+", "ID"),
        (r"\b[0-9a-f]{16}\b", "KEY"),
        (r"\b[0-9a-f]{12}\b", "HASH"),
        (r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", "TIME"),
        (r"worst \w+", "worst FEATURE"),
        (r"\(p < ", "(p "),
        (r"\d[\d,.]*(e-\d+)?", "N"),
    ):
        walk = re.sub(pattern, name, walk)
    return " ".join(walk.split())


def test_no_advice_makes_a_bucket_worse(clone: Clone, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over everything learners wrote that week: what is proposed would lose no bucket more than the gate allows.

    A bundle that was hashed once is not hashed again here: there are thousands of questions.
    """
    monkeypatch.chdir(clone.root)
    for name in ("PYTHONPATH", "SPINE_WORKLOAD"):
        monkeypatch.setenv(name, clone.environment[name])
    monkeypatch.syspath_prepend(str(RULES))
    with open_spine(clone.root, readonly=True) as spine:
        registry, workload = spine.registry, spine.workload
        monkeypatch.setattr(registry, "verified", cache(registry.verified))
        production = registry.state().production
        baseline = spine.settings.eval_baseline
        gate = cache(lambda sha: compare_entry(spine, sha, baseline=baseline).decision)
        # One trace for each answer of each entry to each sentence: what is proposed follows from these alone.
        traces = spine.traces.list(limit=100_000).traces
        different = {(trace.entry_sha, trace.input, trace.output): trace for trace in traces}
        right = 0
        for trace in different.values():
            probe = workload.probe(trace.input, trace.features)
            found = fix_answer(registry, lambda: workload, trace, probe, gate)
            there = found.evidence["go_to"]
            if trace.graded:
                right += 1
                assert found.evidence["suggestion"] == "nothing to fix: the answer was correct"
            elif there is not None and there != production:
                before, after = (registry.get(sha).eval_report for sha in (production, there))
                assert before is not None
                assert after is not None
                assert not [name for name, count in before.buckets.items() if exceeds(count, after.buckets[name], 2)]
    assert right > 100
    assert len(different) - right > 10
