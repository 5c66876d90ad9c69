"""The demo's week, whole: shadow, a canary that becomes stable, a weekend that drifts, a candidate that ends itself.

Real server, ledger, MLflow, DVC and traffic; only the weights are rules (``fixtures/rules``).
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pytest

from clone import ROOT, Clone, make_clone
from minitutor import facts
from minitutor.week import QUICK
from modelspine.gate.result import exceeds
from modelspine.incident.rollback_target import fix_answer
from modelspine.release.gate_run import compare_entry
from modelspine.spine import open_spine

RULES = ROOT / "tests" / "fixtures" / "rules"
pytestmark = pytest.mark.timeout(600)  # the first test waits for the whole week


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose models are made already."""
    root = tmp_path_factory.mktemp("clone")
    made = make_clone(
        root, "eval_baseline.json", "data/ladder.toml", PYTHONPATH=str(RULES), SPINE_WORKLOAD="rules", COLUMNS="100"
    )
    done = subprocess.run(
        [sys.executable, str(RULES / "rule_workload.py")],
        cwd=root,
        env=made.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def told(clone: Clone) -> str:
    """What the demo printed."""
    return clone.run("minitutor", "demo", "--headless", "--quick")


@pytest.fixture(scope="module")
def events(clone: Clone, told: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clone.json("spine", "history")["events"]
    return found


def shas(events: list[dict[str, Any]]) -> dict[str, str]:
    return {e["body"]["semver"]: e["body"]["sha"] for e in events if e["kind"] == "promoted"}


def week(events: list[dict[str, Any]]) -> list[str]:
    return sorted(e["body"]["day"] for e in events if e["kind"] == "drift_reported")


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
    walk = told[told.rindex("\nincident req-") + 1 : told.index("\nNext, have a look at:")]
    assert shape(walk) == shape(shown)


def test_a_second_time_nothing_is_left_to_do(clone: Clone, told: str, events: list[dict[str, Any]]) -> None:
    again = clone.run("minitutor", "demo", "--headless", "--quick")
    assert again.splitlines()[0].startswith("$ spine incident ")
    assert clone.json("spine", "history")["events"] == events
    assert told.endswith(again[again.index("\nNext, have a look at:") :])


def shape(walk: str) -> str:
    """A walk without its ids, times and counts, and however it is wrapped."""
    for pattern, name in (
        (r"req-\S+", "ID"),
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
        different = {(trace.entry_sha, trace.sentence, trace.correction): trace for trace in traces}
        right = 0
        for trace in different.values():
            probe = workload.probe(trace.sentence, trace.features)
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
