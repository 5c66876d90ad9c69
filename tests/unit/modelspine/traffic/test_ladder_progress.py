"""How far a canary has climbed, and what its figures say in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from modelspine.gate.eval_report import Count
from modelspine.ledger.route import Arm, Guard, Ladder, Route, Step
from modelspine.stats import Difference
from modelspine.traffic.canary import Decision
from modelspine.traffic.epochs import Epoch
from modelspine.traffic.ladder_progress import amount, duration, ladder_steps, progress_of, skipped_by_advancing
from modelspine.traffic.noninferiority import Judgement
from modelspine.traffic.report import ArmReport, Comparison, EpochReport, ShadowReport, Split, Square, Window
from modelspine.traffic.rollout_text import window_text
from modelspine.traffic.route_text import route_sentence
from modelspine.traffic.sentences import arm_sentence, epochs_sentence, ladder_sentence, report_sentence

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STEPS = tuple(Step(weight_bp=bp, min_seconds=600, min_samples=50) for bp in (100, 1_000, 5_000))


def route(epoch: int, at: int, weight_bp: int | None = None) -> Route:
    bp = STEPS[at].weight_bp if weight_bp is None else weight_bp
    arms = (Arm(name="stable", sha="a" * 64, semver="v0.1.0", weight_bp=10_000 - bp),
            Arm(name="canary", sha="b" * 64, semver="v0.2.0", weight_bp=bp))  # fmt: skip
    return Route(
        strategy="canary", epoch=epoch, salt="5", arms=arms, ladder=Ladder(steps=STEPS, at=at, auto=True, guard=Guard())
    )


def epoch(number: int, at: int, minutes: float, lasted: float | None, reason: str = "by hand", **more: Any) -> Epoch:
    since = NOON + timedelta(minutes=minutes)
    until = (since + timedelta(minutes=lasted)).isoformat() if lasted is not None else None
    by_controller = more.pop("by_controller", False)
    return Epoch(
        route=route(number, at, **more), since=since.isoformat(), until=until, verb="advance", actor="ada\x1b",
        reason=reason, by_controller=by_controller,
    )  # fmt: skip


def arm(name: str, k: int, n: int, **more: Any) -> ArmReport:
    feedback = {"accepted": 0, "dismissed": 0, "revised": 0} | more.pop("feedback", {})
    return ArmReport(
        name=name, sha="b" * 64, semver="v0.2.0", set_bp=100, actual_bp=150.0, requests=n, units=n, errors=0,
        p50=None, p95=None, p99=None, feedback=feedback, graded=Count(k, n), **more,
    )  # fmt: skip


def report(number: int, *arms: ArmReport, **more: Any) -> EpochReport:
    values = {"strategy": "canary", "epoch": number, "rollout": "5", "since": "", "until": None, "window": Window(),
              "split": None, "difference": None, "shadow": None}  # fmt: skip
    return EpochReport(**(values | more), arms=arms)


def decision(
    action: Any = "hold", verdict: Any = "inconclusive", waits: tuple[str, ...] = ("verdict pass",)
) -> Decision:
    judged = Judgement(
        verdict=verdict, reason="why", measure="graded", samples=12, measured=12, quality=None, errors=None,
        latency=None,
    )  # fmt: skip
    return Decision(action=action, verdict=verdict, reason="why", waits_for=waits, epoch=7, window=1, judgement=judged,
                    seconds=300.0)  # fmt: skip


def test_steps_are_done_skipped_here_or_ahead() -> None:
    climbed = [epoch(5, 0, 0, 10), epoch(6, 1, 10, 20, by_controller=True)]
    first, second, third = ladder_steps(climbed, {6: report(6, arm("stable", 9, 9), arm("canary", 9, 9))}, decision())
    assert (first.state, first.epoch, first.seconds, first.why) == ("done", 5, 600, "")
    assert (second.state, second.target_bp, second.actual_bp) == ("here", 1_000, 150.0)
    assert [(each.name, each.have, each.need) for each in second.evidence] == [("time", 300, 600), ("answers", 12, 50)]
    assert [each.share for each in second.evidence] == [0.5, 0.24]
    assert (third.state, third.evidence) == ("ahead", ())


def test_a_step_that_was_jumped_over_or_left_by_hand_too_early_is_skipped() -> None:
    jumped = ladder_steps([epoch(5, 0, 0, 60), epoch(6, 2, 60, None, weight_bp=6_000)], {}, None)
    assert [each.state for each in jumped] == ["done", "skipped", "here"]
    assert jumped[1].why == "the canary never stood on it"
    assert (jumped[2].target_bp, jumped[2].evidence) == (6_000, ())
    early = [epoch(5, 0, 0, 3), epoch(6, 1, 3, None)]
    few = {5: report(5, arm("stable", 9, 9), arm("canary", 9, 10))}
    first = ladder_steps(early, few, None)[0]
    assert (first.state, first.why) == ("skipped", "left by ada␛ after 3 min of 10 min with 10 of 50 answers")
    # The controller's own step counts, however short it was by the ledger's clock: replayed time counts too.
    replayed = [epoch(5, 0, 0, 0.1), epoch(6, 1, 3, None, by_controller=True)]
    assert ladder_steps(replayed, few, None)[0].state == "done"


def test_feedback_counts_where_nothing_is_graded() -> None:
    early = [epoch(5, 0, 0, 60), epoch(6, 1, 60, None)]
    said = {5: report(5, arm("stable", 0, 0), arm("canary", 0, 0, feedback={"accepted": 40, "dismissed": 9}))}
    assert ladder_steps(early, said, None)[0].why == "left by ada␛ with 49 of 50 answers"


def test_a_past_epoch_shows_the_steps_up_to_it_and_no_canary_has_none() -> None:
    known = [epoch(6, 1, 10, None), epoch(5, 0, 0, 10)]
    assert [each.state for each in progress_of(known, known[1], [], None)] == ["here", "ahead", "ahead"]
    single = msgspec.structs.replace(known[1], route=msgspec.structs.replace(known[1].route, ladder=None, salt="9"))
    assert progress_of([single], single, [], None) == ()
    assert ladder_steps([], {}, None) == ()


def test_an_amount_says_what_is_needed() -> None:
    time, answers = ladder_steps([epoch(5, 0, 0, None)], {}, decision())[0].evidence
    assert (amount(time), amount(answers)) == ("5 min of 10 min", "12 of 50 graded answers")
    assert amount(msgspec.structs.replace(time, have=9_000)) == "2.5 h, 10 min needed"
    assert [duration(seconds) for seconds in (40, 600, 9_000, 400_000)] == ["40 s", "10 min", "2.5 h", "4.6 d"]


def test_what_advancing_by_hand_skips() -> None:
    assert skipped_by_advancing(decision("advance", "pass", ())) == ()
    waits = (
        "a manual advance, as its weight was set by hand (`spine route advance`)",
        "9 more seconds",
        "verdict pass",
    )
    assert skipped_by_advancing(decision(waits=waits)) == (
        "9 more seconds", "a passing verdict: it is inconclusive, why",
    )  # fmt: skip
    assert skipped_by_advancing(decision("hold", "pass", waits[:1])) == ()
    assert skipped_by_advancing(None) == ()
    assert skipped_by_advancing(None, "no file") == ("its verdict, which is unknown: no file",)


@pytest.mark.parametrize(
    ("made", "ends"),
    [
        (decision(waits=("5 more seconds", "verdict pass")), "; it waits for 5 more seconds, verdict pass"),
        (decision("advance", "pass", ()), "; it advances at the next check"),
        (decision("abort", "fail"), "; it is aborted at the next check: why"),
        (None, "; this epoch has ended"),
    ],
)
def test_the_sentence_of_a_ladder(made: Decision | None, ends: str) -> None:
    steps = ladder_steps([epoch(5, 0, 0, 60), epoch(6, 2, 60, None)], {}, made)
    said = ladder_sentence(route(6, 2), steps, made)
    assert said == f"v0.2.0 is on step 3 of 3, target 50 %, 1 step skipped{ends}"
    assert ladder_sentence(route(6, 2), steps, None, "no file").endswith("; its verdict is unknown: no file")


def compared(low: float, value: float, high: float) -> Comparison:
    found = Difference(value=value, low=low, high=high, fixed_p=0.5)
    return Comparison(graded=found, accepted=found, errors=None, latency=None, latency_fixed_p=None)


def test_the_sentence_of_a_comparison() -> None:
    arms = arm("stable", 80, 100), arm("canary", 19, 20)
    chance = report_sentence(report(5, *arms, difference=compared(-0.1, 0.15, 0.4)))
    assert chance == (
        "Correct answers: canary v0.2.0 95.0 % of 20, stable v0.2.0 80.0 % of 100; "
        "counted by learner +15.0 pp, which may be chance (-10.0 to +40.0)"
    )
    assert report_sentence(report(5, *arms, difference=compared(0.1, 0.15, 0.2))).endswith("better beyond chance")
    assert report_sentence(report(5, *arms, difference=compared(-0.2, -0.1, -0.05))).endswith("worse beyond chance")
    few = msgspec.structs.replace(compared(0, 0, 0), graded=None)
    assert "too few learners to tell" in report_sentence(report(5, *arms, difference=few))
    split = Split(units=(90, 10), bayes_factor=1e6, alarm=True)
    assert report_sentence(report(5, *arms, split=split, difference=few)).startswith("Do not trust the comparison")


def test_the_sentence_of_feedback_a_single_arm_and_a_shadow() -> None:
    said = {"accepted": 3, "dismissed": 1}
    arms = arm("stable", 0, 0, feedback=said), arm("canary", 0, 0, feedback=said)
    assert "Accepted answers: canary v0.2.0 75.0 % of 4" in report_sentence(
        report(5, *arms, difference=compared(-1, 0, 1))
    )
    silent = arm("stable", 0, 0), arm("canary", 0, 0)
    assert report_sentence(report(5, *silent, difference=compared(-1, 0, 1))).startswith("Not judged: 0 requests")
    assert report_sentence(report(5, arm("stable", 9, 10))) == (
        "stable v0.2.0 answered 10 requests by 10 learners: 90.0 % of 10 graded answers correct, no errors"
    )
    failing = msgspec.structs.replace(arm("canary", 0, 0), requests=2, units=1, errors=2)
    assert arm_sentence(failing) == "canary v0.2.0 answered 2 requests by 1 learner: no answer graded, 2 errors"
    assert arm_sentence(arm("canary", 0, 0)) == "canary v0.2.0 has no traffic in this epoch yet"
    square = Square(bucket="all", both=5, only_live=1, only_shadow=9, neither=0, p=0.01)
    shadow = ShadowReport(pairs=square, buckets=())
    assert report_sentence(report(5, arm("stable", 9, 10), shadow=shadow)) == (
        "The shadow is better (p 0.01 for a single look): of 15 requests the shadow alone is correct on 9, "
        "the live arm alone on 1"
    )
    even = msgspec.structs.replace(shadow, pairs=msgspec.structs.replace(square, p=0.4))
    assert report_sentence(report(5, arm("stable", 9, 10), shadow=even)).endswith("that may be chance (p 0.4)")
    none = msgspec.structs.replace(square, both=0, only_live=0, only_shadow=0)
    assert report_sentence(report(5, arm("s", 1, 1), shadow=ShadowReport(pairs=none, buckets=()))) == (
        "Not judged: no request was graded on both arms"
    )


def test_the_sentences_of_a_route_and_of_epochs() -> None:
    assert route_sentence(route(5, 0)) == "v0.2.0 answers 1 % of the learners as canary, v0.1.0 the others"
    alone = msgspec.structs.replace(route(5, 0), strategy="single", arms=route(5, 0).arms[:1], ladder=None)
    assert route_sentence(alone) == "v0.1.0 answers everything; no rollout is in progress"
    known = [epoch(6, 1, 10, None, "it knows went"), epoch(5, 0, 0, 10)]
    assert epochs_sentence(known, NOON + timedelta(minutes=70)) == (
        "2 routes so far, 1 rollout among them; #6 is active for 60 min, opened by ada␛: it knows went"
    )
    assert epochs_sentence([], NOON) == "Nothing is routed yet"
    broken = msgspec.structs.replace(known[0], since="\x1b")
    assert "active since an unknown time" in epochs_sentence([broken], NOON)


def test_replayed_requests_show_their_simulated_time_beside_the_ledgers() -> None:
    window = Window(first="2026-11-16T08:00:00.000000Z", last="2026-11-16T09:00:00.000000Z")
    arms = arm("stable", 9, 10), arm("canary", 9, 10)
    found = report(5, *arms, window=window, since="2026-11-22T12:00:00.000000Z")
    assert window_text(found) == (
        "replay: requests from 2026-11-16T08:00:00Z to 2026-11-16T09:00:00Z, simulated; "
        "by the ledger's clock from 2026-11-22T12:00:00Z on"
    )
    ended = msgspec.structs.replace(found, until="2026-11-22T12:05:00.000000Z")
    assert window_text(ended).endswith("from 2026-11-22T12:00:00Z to 2026-11-22T12:05:00Z")
    live = msgspec.structs.replace(found, since="2026-11-16T07:00:00.000000Z")
    assert window_text(live) == "requests from 2026-11-16T08:00:00Z to 2026-11-16T09:00:00Z"
    assert window_text(report(5, *arms)) == "no requests in this epoch"
