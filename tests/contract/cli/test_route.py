"""``spine route`` as an operator types it: what each verb prints, what the arms' report says, how a walk agrees."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from answers import NS, Arm, leave_answers
from cli_world import HOSTILE, World, check_refused, leave_trace, make_world, run
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.attestation.tester_token import read_tester
from modelspine.attestation.trust import TESTERS, load_trust
from modelspine.ledger.route import Route, assign, shadow_arm_of, shadow_assignment
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
WHY = ("--reason", "because")
COUNT = 3_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("cli") / "project")


@pytest.fixture
def world(made: World, tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return made._replace(root=root)


def route_of(world: World) -> Route:
    with open_spine(world.root, readonly=True) as spine:
        route = spine.registry.route()
    assert route is not None
    return route


def fill(world: World, arms: dict[str, Arm], **more: object) -> None:
    url = f"sqlite:///{world.root / '.spine' / 'traces.db'}"
    start_ns = time.time_ns() - 60 * NS  # spread over a minute that ends now: a report sets the future aside
    leave_answers(url, route_of(world), arms, start_ns=start_ns, requests=COUNT, **more)  # type: ignore[arg-type]


# changing -------------------------------------------------------------------------------------------


def test_a_rollout_from_shadow_to_stable(world: World, capsys: Capture) -> None:
    loud = world.loud[:12]
    done = run(capsys, "route", "shadow", "v0.2.0", "--share", "2000", *WHY)
    assert done.out == f"#8 routed stable v0.1.0 {world.silent[:12]} 100 %, shadow v0.2.0 {loud} 20 % — because\n"
    assert "copied %" in run(capsys, "route", "show").out
    done = run(capsys, "route", "canary", "v0.2.0", *WHY)
    worst, event = done.out.splitlines()
    assert worst.startswith("blast radius: 1 % of ")
    assert event.startswith("#9 routed stable v0.1.0")
    assert run(capsys, "route", "advance", "--weight", "2500", *WHY).out.startswith("#10 routed")
    assert run(capsys, "route", "advance", *WHY, "--json").json["seq"] == 11
    done = run(capsys, "route", "advance", *WHY).out.splitlines()
    assert done[0] == f"#12 routed stable v0.2.0 {loud} 100 % — because"
    assert done[1] == "   ! skipped 3,600 more seconds"
    check_refused(run(capsys, "route", "advance", *WHY), 1)
    check_refused(run(capsys, "route", "abort", *WHY), 1)
    assert run(capsys, "verify").code == 0


def test_an_abort_says_both_events(world: World, capsys: Capture) -> None:
    run(capsys, "route", "ab", "v0.2.0", *WHY)
    done = run(capsys, "route", "abort", "--reason", "slow")
    assert done.out.splitlines() == [
        f"#9 routed stable v0.1.0 {world.silent[:12]} 100 % — slow",
        f"#10 held {world.loud[:12]} — slow",
    ]
    check_refused(run(capsys, "route", "canary", "v0.2.0", *WHY), 1)
    check_refused(run(capsys, "route", "ab", "v0.2.0", *WHY), 1)
    assert run(capsys, "route", "shadow", "v0.2.0", *WHY).code == 0


def test_a_pending_entry_is_shadow_only(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "route", "canary", world.child, *WHY), 1)
    assert run(capsys, "route", "shadow", world.child, *WHY).code == 0
    assert run(capsys, "verify").code == 0
    assert run(capsys, "route", "show", "--json").json["arms"][1]["semver"] == ""
    assert run(capsys, "list", "--json").json["entries"][2]["status"] == "pending"


@pytest.mark.parametrize(
    "words",
    [
        ["ab", "v0.2.0"],
        ["shadow", "v0.2.0"],
        ["canary", "v0.2.0"],
        ["advance", "--weight", "300"],
        ["advance"],
        ["abort"],
    ],
    ids=" ".join,
)
def test_expect_and_key(world: World, capsys: Capture, words: list[str]) -> None:
    if words[0] in ("advance", "abort"):
        run(capsys, "route", "canary", "v0.2.0", *WHY)
    head = run(capsys, "history", "--json", "--limit", "1").json["events"][0]["seq"]
    check_refused(run(capsys, "route", *words, *WHY, "--expect", str(head - 1)), 4)
    first = run(capsys, "route", *words, *WHY, "--expect", str(head), "--key", "once", "--json").json
    again = run(capsys, "route", *words, *WHY, "--key", "once", "--json").json
    assert (first["seq"], first["created"], again["seq"], again["created"]) == (head + 1, True, head + 1, False)
    check_refused(run(capsys, "note", "other", "--key", "once"), 4)


def test_the_worst_exposure_is_told_before_the_start(world: World, capsys: Capture) -> None:
    (world.root / "l.json").write_text(json.dumps({"steps": [{"weight_bp": 500}], "window_seconds": 60}))
    words = ("route", "canary", "v0.2.0", "--steps", "l.json", *WHY)
    fill(world, {"stable": Arm()}, seconds=1)
    worst = run(capsys, *words, "--json").json["worst_exposure"]
    assert worst["answers"] == pytest.approx(0.05 * worst["requests_per_second"] * 60 * 2)
    assert 1 < worst["requests_per_second"] < 100
    run(capsys, "route", "single", "v0.1.0", *WHY)
    (world.root / ".spine" / "traces.db").unlink()
    assert "5 % of an unknown rate (assumed 1 request/s)" in run(capsys, *words).out.splitlines()[0]


def test_a_ladder_from_a_file(world: World, capsys: Capture) -> None:
    (world.root / "l.json").write_text(
        json.dumps({"steps": [{"weight_bp": 250, "min_samples": 3}, {"weight_bp": 900}]})
    )
    run(capsys, "route", "canary", "v0.2.0", "--steps", "l.json", "--weight", "950", *WHY)
    shown = run(capsys, "route", "show", "--json").json
    assert (shown["arms"][1]["weight_bp"], shown["ladder"]["at"], shown["ladder"]["auto"]) == (950, 1, True)
    assert [(step["state"], step["target_bp"]) for step in shown["steps"]] == [("skipped", 250), ("here", 950)]
    out = run(capsys, "route", "show").out
    assert "» skipped       2.5         –  –      the canary never stood on it" in out
    assert out.startswith("v0.2.0 is on step 2 of 2, target 9.5 %, 1 step skipped; it waits for verdict pass")


def test_advancing_by_hand_says_what_it_skips(world: World, capsys: Capture) -> None:
    run(capsys, "route", "canary", "v0.2.0", *WHY)
    out = run(capsys, "route", "advance", *WHY).out
    assert "! skipped 50 more" in out
    assert "! skipped a passing verdict: it is no_data, no traffic on this route yet" in out
    done = run(capsys, "route", "advance", *WHY, "--json").json
    assert done["skipped"][-1].startswith("a passing verdict: ")
    (first, second, *_) = run(capsys, "route", "show", "--json").json["steps"]
    assert (first["state"], second["state"]) == ("skipped", "skipped")
    assert " after 0 s of 10 min" in first["why"]


# showing --------------------------------------------------------------------------------------------


def test_show_says_what_a_canary_waits_for(world: World, capsys: Capture) -> None:
    run(capsys, "route", "canary", "v0.2.0", *WHY)
    out = run(capsys, "route", "show").out
    rows = [line.split()[:3] for line in out.splitlines() if line[:2] in ("◐ ", "○ ")]
    assert rows == [["◐", "here", "1"], *(["○", "ahead", weight] for weight in ("10", "50", "100"))]
    assert "0 of 50 answers" in out
    assert out.startswith("v0.2.0 is on step 1 of 4, target 1 %; it waits for ")
    assert "no_data: no traffic on this route yet" in out
    assert "more seconds; 50 more" in out
    found = run(capsys, "route", "show", "--json").json["canary"]
    assert (found["action"], found["verdict"]) == ("hold", "no_data")
    (world.root / ".spine" / "traces.db").unlink()
    done = run(capsys, "route", "show")
    assert (done.code, "verdict  unknown" in done.out) == (0, True)
    assert run(capsys, "route", "show", "--json").json["problem"]


def test_the_report_of_a_comparison(world: World, capsys: Capture, tmp_path: Path) -> None:
    run(capsys, "route", "ab", "v0.2.0", "--weight", "3000", *WHY)
    arms = {
        "stable": Arm(right=0.80, accepted=0.2, dismissed=0.1, seconds=0.010),
        "candidate": Arm(right=0.99, accepted=0.3, seconds=0.020, failed=0.05),
    }
    fill(world, arms)
    page = tmp_path / "report.md"
    report = run(capsys, "route", "report", "--json").json
    stable, candidate = report["arms"]
    assert stable["requests"] + candidate["requests"] == COUNT
    assert 2_000 < candidate["actual_bp"] < 4_000
    assert (stable["errors"], candidate["errors"] > 0) == (0, True)
    assert stable["p50"] == pytest.approx(0.010, rel=0.05)
    assert candidate["p99"] == pytest.approx(0.0239, rel=0.05)
    assert stable["graded"]["k"] / stable["graded"]["n"] == pytest.approx(0.80, abs=0.03)
    assert stable["feedback"]["dismissed"] > 0
    assert report["split"]["alarm"] is False
    difference = report["difference"]
    assert 0 < difference["graded"]["low"] < 0.19 < difference["graded"]["high"]
    assert difference["accepted"]["low"] > 0
    assert difference["errors"]["low"] > 0
    assert difference["latency"]["low"] > 0.008
    assert difference["latency_fixed_p"] < 1e-6
    done = run(capsys, "route", "report", "--md", str(page))
    assert "valid at any time" in done.out
    assert "graded correct: +" in done.out
    assert page.read_text().startswith("### Route\n")
    assert page.read_text().count("| candidate |") == 1
    run(capsys, "route", "single", "v0.1.0", *WHY)
    assert run(capsys, "route", "report", "--json").json["arms"][0]["requests"] == 0
    later = run(capsys, "route", "report", "--epoch", "8", "--json").json
    assert later.pop("until") is not None, "the epoch ended"
    assert later == {name: value for name, value in report.items() if name != "until"}


def test_the_report_of_a_shadow(world: World, capsys: Capture) -> None:
    run(capsys, "route", "shadow", "v0.2.0", "--share", "5000", *WHY)
    fill(world, {"stable": Arm(right=0.80), "shadow": Arm(right=0.95)})
    report = run(capsys, "route", "report", "--json").json
    stable, shadow = report["arms"]
    pairs = report["shadow"]["pairs"]
    assert stable["requests"] == COUNT
    assert shadow["requests"] == sum(pairs[name] for name in ("both", "only_live", "only_shadow", "neither"))
    assert shadow["actual_bp"] == pytest.approx(5_000, abs=1_000)
    assert pairs["only_shadow"] > pairs["only_live"]
    assert pairs["p"] < 0.001
    assert {each["bucket"] for each in report["shadow"]["buckets"]} == {
        "verb=go", "verb=be", "verb=eat", "tense=past_simple",
    }  # fmt: skip
    assert (report["split"], report["difference"]) == (None, None)
    assert "only shadow" in run(capsys, "route", "report").out


def test_copies_are_no_learners_answers(world: World, capsys: Capture) -> None:
    """A shadow that fails always and is slow leaves the stable arm's numbers as they are."""
    run(capsys, "route", "shadow", "v0.2.0", *WHY)
    fill(world, {"stable": Arm(), "shadow": Arm(right=0, failed=1, seconds=9)})
    stable, shadow = run(capsys, "route", "report", "--json").json["arms"]
    assert (stable["requests"], stable["errors"], shadow["errors"]) == (COUNT, 0, COUNT)
    assert stable["p99"] < 0.02


def test_the_report_of_hostile_names(world: World, capsys: Capture, tmp_path: Path) -> None:
    run(capsys, "route", "shadow", "v0.2.0", *WHY)
    route = route_of(world)
    given = assign(route, "x", sticky=True)
    live = Trace(
        request_id="req-hostile1", trace_id="0" * 32, span_id="0" * 16, started_ns=1, entry_sha=world.silent,
        intended_sha=world.silent, semver="v0.1.0", assignment=given, features={HOSTILE: "<b>@me</b>"}, graded=True,
    )  # fmt: skip
    leave_trace(world.root, "req-plain-01", "a", "a", assignment=given)
    writer = TraceWriter(f"sqlite:///{world.root / '.spine' / 'traces.db'}")
    writer.submit(live).result(5)
    arm = shadow_arm_of(route, given)
    assert arm is not None
    copy = {"request_id": "req-hostile2", "shadow_of": "req-hostile1", "assignment": shadow_assignment(given, arm)}
    writer.submit(
        Trace(**{name: getattr(live, name) for name in live.__struct_fields__} | copy | {"graded": False})
    ).result(5)
    writer.close()
    page = tmp_path / "report.md"
    done = run(capsys, "route", "report", "--md", str(page))
    assert done.code == 0
    for text in (done.out, page.read_text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<b>" not in page.read_text()
    assert "@" not in page.read_text()


# walking --------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ab", "canary", "shadow"])
def test_a_walk_recomputes_the_assignment(world: World, capsys: Capture, strategy: str) -> None:
    flags = {"ab": ["--weight", "6000"], "canary": ["--weight", "6000"], "shadow": ["--share", "6000"]}[strategy]
    run(capsys, "route", strategy, "v0.2.0", *flags, *WHY)
    if strategy != "shadow":
        run(capsys, "route", "advance", "--weight", "7000", *WHY)
    route = route_of(world)
    names = {arm.name: arm for arm in route.arms}
    walked = set()
    for number in range(6):
        given = assign(route, f"learner-{number}", sticky=True)
        arm = shadow_arm_of(route, given)
        if arm is not None:
            given = shadow_assignment(given, arm)
        request_id = f"req-walk-{number:04d}"
        shadow_of = "req-00000001" if arm else None
        leave_trace(
            world.root, request_id, "hi", "hi", assignment=given, entry_sha=names[given.arm].sha, shadow_of=shadow_of
        )
        answer = run(capsys, "incident", request_id, "--json").json["answers"][5]
        assert (answer["status"], answer["answer"].startswith(f"{given.arm}, ")) == ("verified", True), answer
        assert ("not shown to a user" in answer["answer"]) == (arm is not None)
        walked.add(given.arm)
    assert walked == set(names)
    lied = assign(route, "learner-0", sticky=True)
    other = next(arm for arm in route.learners[::-1] if arm.name != lied.arm or strategy == "shadow")
    forged = {"u": "0" * 16} if strategy == "shadow" else {"arm": other.name}
    fields = {name: getattr(lied, name) for name in lied.__struct_fields__} | forged
    leave_trace(world.root, "req-forged-1", "hi", "hi", assignment=type(lied)(**fields), entry_sha=other.sha)
    assert run(capsys, "incident", "req-forged-1", "--json").json["answers"][5]["status"] == "mismatch"


def test_a_report_of_silence_says_so(world: World, capsys: Capture) -> None:
    run(capsys, "route", "ab", "v0.2.0", *WHY)
    assert "sample-ratio check (n = 0, needs 100)" in run(capsys, "route", "report").out
    fill(world, {"stable": Arm(), "candidate": Arm()}, graded=False)
    out = run(capsys, "route", "report").out
    assert "graded correct: no answer was graded" in out
    assert "accepted: no feedback" in out
    assert "errors: +0.0 pp [" in out


# over a whole rollout -------------------------------------------------------------------------------


def test_a_report_spans_the_rollout_and_says_what_changed(world: World, capsys: Capture, tmp_path: Path) -> None:
    """The days got harder and the weight changed: added up, the candidate would look far better than it is."""
    run(capsys, "route", "ab", "v0.2.0", "--weight", "80%", *WHY)
    fill(world, {"stable": Arm(right=0.95), "candidate": Arm(right=0.95)})
    first = run(capsys, "route", "report", "--json").json
    assert (first["whole"], first["left_out"]) == (None, [])
    assert "only epoch" in run(capsys, "route", "report").out
    run(capsys, "route", "advance", "--weight", "20%", "--reason", "too fast")
    fill(world, {"stable": Arm(right=0.60), "candidate": Arm(right=0.60)}, seed=2)
    report = run(capsys, "route", "report", "--json").json
    whole = report["whole"]
    assert [each["epoch"] for each in whole["epochs"]] == [8, 9]
    assert whole["requests"] == 2 * COUNT
    assert whole["switched"] > 100
    seen = [sum(arm["units"] for arm in each["arms"]) for each in whole["epochs"]]
    assert max(seen) <= whole["units"] <= 400 < sum(seen), "a learner of both epochs is one unit"
    total = {arm["name"]: arm["graded"]["k"] / arm["graded"]["n"] for arm in whole["arms"]}
    assert total["candidate"] - total["stable"] > 0.1, "Simpson's paradox"
    graded = whole["difference"]["graded"]
    assert (graded["epochs"], graded["units"]) == ([8, 9], whole["units"])
    assert graded["difference"]["low"] < 0 < graded["difference"]["high"]
    own = report["difference"]["graded"]
    assert graded["difference"]["high"] - graded["difference"]["low"] < own["high"] - own["low"]
    assert [move["seq"] for move in whole["moved"]] == [9]
    page = tmp_path / "report.md"
    out = run(capsys, "route", "report", "--md", str(page)).out
    for words in ("whole rollout #8", "6,000 requests by", "candidate 80 % → 20 %", "too fast"):
        assert words in " ".join(out.split())
    assert "whole rollout" in page.read_text()


def test_one_epoch_alone_names_the_others_and_an_ended_rollout_can_be_read(world: World, capsys: Capture) -> None:
    run(capsys, "route", "ab", "v0.2.0", *WHY)
    fill(world, {"stable": Arm(), "candidate": Arm()})
    run(capsys, "route", "advance", "--weight", "20%", *WHY)
    alone = run(capsys, "route", "report", "--epoch", "9", "--json").json
    assert alone["whole"] is None
    assert [(each["what"], each["n"]) for each in alone["left_out"]] == [("epoch #8", COUNT)]
    assert "epoch #8 (n = 3,000)" in run(capsys, "route", "report", "--epoch", "9").out
    # An epoch without requests is no evidence: the rollout rests on the other one, and says so.
    report = run(capsys, "route", "report", "--json").json
    assert report["whole"]["difference"]["graded"]["epochs"] == [8]
    assert [each["what"] for each in report["left_out"]] == ["epoch #9"]
    run(capsys, "route", "single", "v0.1.0", *WHY)
    assert run(capsys, "route", "report", "--json").json["whole"] is None
    ended = run(capsys, "route", "report", "--rollout", "8", "--json").json
    assert (ended["epoch"], ended["whole"]["requests"], ended["whole"]["until"] is not None) == (9, COUNT, True)
    check_refused(run(capsys, "route", "report", "--rollout", "9"), 2)
    check_refused(run(capsys, "route", "report", "--rollout", "8", "--epoch", "8"), 2)


def test_requests_from_the_future_and_of_testers_are_named_and_not_counted(world: World, capsys: Capture) -> None:
    run(capsys, "route", "ab", "v0.2.0", *WHY)
    url = f"sqlite:///{world.root / '.spine' / 'traces.db'}"
    arms = {"stable": Arm(), "candidate": Arm()}
    leave_answers(url, route_of(world), arms, start_ns=time.time_ns() + 3_600 * NS, requests=40)
    fill(world, arms, seed=2)
    report = run(capsys, "route", "report", "--json").json
    assert sum(arm["requests"] for arm in report["arms"]) == COUNT
    assert [(each["what"], each["n"]) for each in report["left_out"]] == [("requests from the future", 40)]


# testers --------------------------------------------------------------------------------------------


def test_a_tester_token_is_made_by_a_key_of_the_testers_file_alone(world: World, capsys: Capture) -> None:
    verdicts = run(capsys, "keys", "new", "--json").json
    check_refused(run(capsys, "route", "tester", "alice", "--key", verdicts["private"]), 1)
    key = run(capsys, "keys", "new", "--testers", "--json").json
    assert Path(key["trust"]).name == "spine.testers.json"
    check_refused(run(capsys, "route", "tester", "alice", "--key", verdicts["private"]), 2)
    made = run(capsys, "route", "tester", "alice", "--hours", "8", "--key", key["private"], "--json").json
    with open_spine(world.root, readonly=True) as spine:
        trust, ledger = load_trust(spine.settings, "dev", TESTERS), spine.ledger.events()[0].hash
    said = run(capsys, "route", "tester", "alice", "--hours", "8", "--key", key["private"]).out
    (shown,) = (line.removeprefix("X-Spine-Tester: ") for line in said.splitlines() if "X-Spine-Tester" in line)
    for token in (made["token"], shown):
        assert read_tester(token, trust, ledger=ledger, now=datetime.now(UTC)) == "alice"
    check_refused(run(capsys, "route", "tester", "a b", "--key", key["private"]), 2)
    check_refused(run(capsys, "route", "tester", "alice", "--hours", "9999", "--key", key["private"]), 2)
