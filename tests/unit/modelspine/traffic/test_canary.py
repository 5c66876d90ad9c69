"""The canary's controller: the decision as a function, and the whole of it on a real ledger and real traces."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from answers import NS, Arm, leave_answers
from miniobserve.reader import TraceReader
from miniobserve.saying import Saying
from miniobserve.sql.protocol import StorageError
from miniobserve.writer import TraceWriter
from modelspine.errors import Refused
from modelspine.labelling import Labelling
from modelspine.ledger.route import Arm as Place
from modelspine.ledger.route import Guard, Ladder, Route, Step, assign
from modelspine.spine import Spine, open_spine
from modelspine.times import nanoseconds
from modelspine.traffic.canary import ERRORS, Decision, consider, decide, tick
from modelspine.traffic.epoch_clock import EpochClock, covered
from modelspine.traffic.epochs import epochs
from modelspine.traffic.ladder import at_weight, default_ladder
from modelspine.traffic.ladder_progress import progress_of
from modelspine.traffic.noninferiority import Judgement, Result
from modelspine.traffic.request_rate import blast_radius, rate
from modelspine.traffic.rollout_report import RouteReport, route_report
from modelspine.traffic.rollout_text import window_text

Make = Callable[..., Path]
EVEN = Ladder(
    steps=(
        Step(weight_bp=3_000, min_seconds=60, min_samples=100),
        Step(weight_bp=5_000, min_seconds=60, min_samples=9),
    ),
    at=0,
    auto=True,
    guard=Guard(margin_bp=500),
)
GOOD = {"stable": Arm(0.95), "canary": Arm(0.97)}


def judgement(verdict: Result, samples: int = 1_000) -> Judgement:
    return Judgement(
        verdict=verdict,
        reason="so",
        measure="graded",
        samples=samples,
        measured=samples,
        quality=None,
        errors=None,
        latency=None,
    )


def decided(
    verdict: Result, *history: Result, seconds: float = 1e6, samples: int = 1_000, auto: bool = True
) -> Decision:
    ladder = msgspec.structs.replace(default_ladder(), auto=auto)
    arms = tuple(Place(name=name, sha=name * 10, semver="", weight_bp=1) for name in ("stable", "canary"))
    route = Route(strategy="canary", epoch=9, salt="9", arms=arms, ladder=ladder)
    return decide(route, judgement(verdict, samples), history, seconds=seconds, window=7)


# the decision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "history", "action"),
    [
        ("pass", (), "advance"),
        ("pass", ("fail", "fail"), "advance"),
        ("inconclusive", ("inconclusive",) * 9, "hold"),
        ("no_data", ("no_data",) * 9, "hold"),
        ("fail", (), "hold"),
        ("fail", ("pass", "fail"), "hold"),
        ("fail", ("error",), "hold"),
        ("fail", ("fail",), "abort"),
        ("error", ("error",) * 2, "hold"),
        ("error", ("error", "error", "fail"), "hold"),
        ("error", ("error",) * 3, "abort"),
    ],
)
def test_what_follows_from_a_verdict(verdict: Result, history: tuple[Result, ...], action: str) -> None:
    found = decided(verdict, *history)
    assert (found.action, found.key) == (action, "canary-9-7")


def test_a_pass_waits_for_both_minima() -> None:
    assert decided("pass", seconds=600, samples=50).action == "advance"
    late, few = decided("pass", seconds=599.0, samples=50), decided("pass", seconds=600, samples=49)
    assert (late.action, late.waits_for) == ("hold", ("1 more seconds",))
    assert (few.action, few.waits_for) == ("hold", ("1 more graded answers",))
    by_hand = decided("pass", auto=False)
    assert by_hand.action == "hold"
    assert "by hand" in by_hand.waits_for[0]


def test_a_weight_by_hand_is_still_guarded() -> None:
    assert decided("fail", "fail", auto=False).action == "abort"


def test_worst_exposure() -> None:
    assert blast_radius(100, Guard(window_seconds=30), 10.0).answers == pytest.approx(0.01 * 10 * 30 * 2)


# on a real ledger -----------------------------------------------------------------------------------------------


@pytest.fixture
def canary(spine: Spine, make_bundle: Make) -> Spine:
    """A canary at 30 %."""
    stable, good = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(stable, "v1.0.0")
    spine.registry.promote(good, "v2.0.0")
    spine.routing.canary(good, reason="try it", ladder=EVEN)
    return spine


def route_of(spine: Spine) -> Route:
    route = spine.registry.route()
    assert route is not None
    return route


def opened(spine: Spine) -> int:
    return nanoseconds(spine.registry.events()[route_of(spine).epoch - 1].at)


def fill(spine: Spine, arms: dict[str, Arm], **more: Any) -> None:
    leave_answers(spine.settings.traces, route_of(spine), arms, **{"start_ns": opened(spine), **more})


def after(spine: Spine, seconds: float) -> datetime:
    return datetime.fromtimestamp(opened(spine) / NS, UTC) + timedelta(seconds=seconds)


def ticked(spine: Spine, seconds: float) -> Decision:
    decision = tick(spine.routing, spine.traces, after(spine, seconds))
    assert decision is not None
    return decision


def test_a_good_canary_climbs_to_the_end(canary: Spine) -> None:
    fill(canary, GOOD)
    early = ticked(canary, 59)
    assert (early.action, early.verdict, early.seq) == ("hold", "pass", None)
    assert early.waits_for == ("1 more seconds",)
    first = route_of(canary)
    done = ticked(canary, 61)
    assert (done.action, done.seq) == ("advance", route_of(canary).epoch)
    event = canary.registry.events()[-1]
    assert event.body["key"] == f"canary-{first.epoch}-{done.window}"
    assert event.body["reason"].startswith("canary pass: graded +")
    known = epochs(canary.registry.state(), canary.registry.events())
    assert [each.by_controller for each in known[:2]] == [True, False]
    assert [each.state for each in progress_of(known, known[0], [], None)][:2] == ["done", "here"]
    assert [arm.weight_bp for arm in route_of(canary).arms] == [5_000, 5_000]
    assert ticked(canary, 61).verdict == "no_data"  # a new epoch begins with nothing
    fill(canary, GOOD, seed=2)
    assert ticked(canary, 61).action == "advance"
    assert (route_of(canary).strategy, route_of(canary).stable.semver) == ("single", "v2.0.0")
    assert tick(canary.routing, canary.traces, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (Arm(right=0.60), "graded -"),
        (Arm(failed=0.30), "errors +"),
        (Arm(seconds=0.030), "latency +"),
        (Arm(failed=1.0), "requests failed"),
    ],
    ids=["wrong", "failing", "slow", "dead"],
)
def test_a_bad_canary_is_aborted_and_held(canary: Spine, bad: Arm, word: str) -> None:
    seq = canary.registry.state().seq
    before = canary.registry.state().before_rollout
    assert before is not None
    fill(canary, {"stable": Arm(), "canary": bad}, seconds=125)
    done = ticked(canary, 130)
    assert (done.action, word in done.reason) == ("abort", True), done
    assert [event.kind for event in canary.registry.events()[seq:]] == ["routed", "held"]
    assert (route_of(canary).strategy, route_of(canary).arms) == (before.strategy, before.arms)
    assert canary.registry.get("v2.0.0").entry.status == "held"
    assert tick(canary.routing, canary.traces, datetime.now(UTC)) is None


def label(spine: Spine, rights: dict[str, float], share: float, seed: int = 1) -> None:
    """Score a share of the answers, as right as often as their arm is."""
    rng = random.Random(seed)
    writer = TraceWriter(spine.settings.traces, keeper=Labelling(lambda: spine.workload, right_score=0.5))
    traces = [trace for trace in spine.traces.list(limit=5_000).traces if trace.graded is None and rng.random() < share]
    said = [
        Saying(name=trace.request_id, score=float(rng.random() < rights[trace.assignment.arm])) for trace in traces
    ]  # fmt: skip
    done = writer.say(said).result(30)
    writer.close()
    assert {each.status for each in done} == {"stored"}


def test_a_canary_is_judged_on_labels_that_come_late(canary: Spine) -> None:
    """Not before them, by those that are in, and over the windows in which its answers were given."""
    fill(canary, {"stable": Arm(), "canary": Arm()}, seconds=125, graded=False)
    early = ticked(canary, 130)
    assert (early.action, early.verdict) == ("hold", "no_data")
    label(canary, {"stable": 0.95, "canary": 0.95}, share=0.02)
    some = consider(canary.traces.evidence, route_of(canary), opened(canary), after(canary, 130))
    assert some.judgement is not None
    assert some.judgement.labelled
    assert some.judgement.graded is not None
    _, own = some.judgement.graded
    assert 0 < own.k < 60 < own.n
    assert f"({own.k:,} of its {own.n:,} answers are labelled)" in some.waits_for[0]
    assert some.notes[0].startswith("labelled are ")
    label(canary, {"stable": 0.95, "canary": 0.5}, share=1.0)
    done = ticked(canary, 130)
    assert (done.action, done.verdict) == ("abort", "fail"), done
    assert canary.registry.get("v2.0.0").entry.status == "held"


def test_one_failed_window_is_not_enough(canary: Spine) -> None:
    fill(canary, {"stable": Arm(), "canary": Arm(right=0.5)}, seconds=29)
    one = ticked(canary, 29)
    assert (one.action, one.verdict, one.window) == ("hold", "fail", 0)
    assert ticked(canary, 300).action == "hold"  # time alone adds no evidence
    fill(
        canary,
        {"stable": Arm(), "canary": Arm(right=0.5)},
        seconds=1,
        requests=20,
        seed=2,
        start_ns=opened(canary) + 40 * NS,
    )
    two = ticked(canary, 41)
    assert (two.action, two.window) == ("abort", 1)


def test_learners_decide_where_nothing_is_graded(canary: Spine) -> None:
    arms = {"stable": Arm(accepted=0.4, dismissed=0.02), "canary": Arm(accepted=0.1, dismissed=0.3)}
    fill(canary, arms, graded=False, seconds=100)
    done = ticked(canary, 100)
    assert (done.action, done.reason.split()[0]) == ("abort", "accepted")


def test_silence_holds(canary: Spine) -> None:
    fill(canary, GOOD, graded=False)
    found = ticked(canary, 3_600)
    assert (found.action, found.verdict) == ("hold", "no_data")
    assert "has a grade or feedback" in found.reason


def test_few_learners_hold(canary: Spine) -> None:
    fill(canary, GOOD, learners=10, requests=500)
    assert ticked(canary, 3_600).verdict == "inconclusive"


def test_a_split_that_is_not_as_set_holds(canary: Spine) -> None:
    """A balancer that sends every request of half the stable arm's learners elsewhere."""
    route = route_of(canary)
    cut = (
        msgspec.structs.replace(route.arms[0], weight_bp=4_000),
        msgspec.structs.replace(route.arms[1], weight_bp=6_000),
    )
    fill_route = msgspec.structs.replace(route, arms=cut)
    leave_answers(canary.settings.traces, fill_route, GOOD, start_ns=opened(canary))
    found = ticked(canary, 61)
    assert (found.action, found.verdict) == ("hold", "inconclusive")
    assert "sample-ratio mismatch" in found.reason


def test_replayed_traffic_brings_its_own_clock(canary: Spine) -> None:
    """A week ago, replayed in seconds: minutes are those of the traces."""
    week = 7 * 86_400 * NS
    fill(canary, GOOD, start_ns=opened(canary) - week, seconds=50, source="replay")
    assert ticked(canary, 1).waits_for == ("10 more seconds",)
    report = reported(canary, 1)
    assert (report.left_out, report.window.misdated) == ((), False)
    assert window_text(report).startswith("replay: ")
    fill(canary, GOOD, start_ns=opened(canary) - week + 50 * NS, seconds=20, source="replay", seed=2)
    assert ticked(canary, 1).action == "advance"


def test_one_request_from_the_future_moves_no_clock(canary: Spine) -> None:
    """It is set aside and named; the step goes on waiting, and the judgement is on the others alone."""
    fill(canary, GOOD, seconds=20)
    before = ticked(canary, 20)
    ahead = opened(canary) + 3 * 3_600 * NS
    fill(canary, {"stable": Arm(0.0), "canary": Arm(0.0)}, start_ns=ahead, requests=1, seed=9, source="replay")
    after_it = ticked(canary, 20)
    assert (after_it.action, after_it.waits_for) == ("hold", before.waits_for) == ("hold", ("40 more seconds",))
    assert (after_it.window, after_it.judgement) == (before.window, before.judgement)
    stray = f"replay-0009-{route_of(canary).epoch:04d}-0000000"
    assert after_it.notes == (f"1 request lies ahead of this clock ({stray} by 2 h) and is set aside",)
    assert before.notes == ()


def test_a_replayed_past_enters_no_live_canary(canary: Spine) -> None:
    """A week of the past, replayed into an epoch with live requests, is set aside and named."""
    fill(canary, GOOD, seconds=20)
    before = ticked(canary, 20)
    week = 7 * 86_400 * NS
    bad = {"stable": Arm(1.0), "canary": Arm(0.0)}
    fill(canary, bad, start_ns=opened(canary) - week, seconds=week // NS - 5, seed=9, source="replay")
    after_it = ticked(canary, 20)
    assert (after_it.action, after_it.waits_for) == ("hold", ("40 more seconds",))
    assert after_it.judgement is not None
    assert before.judgement is not None
    assert (after_it.judgement.samples, after_it.judgement.quality) == (
        before.judgement.samples,
        before.judgement.quality,
    )
    assert [note.partition(" (")[0] for note in after_it.notes] == ["2,000 requests lie before this epoch"]
    report = reported(canary, 20)
    assert sum(arm.requests for arm in report.arms) == 2_000
    assert report.arms[1].graded.n == after_it.judgement.samples
    assert (report.window.first or "") >= report.since
    assert [(each.what, each.n) for each in report.left_out] == [("requests from before the epoch", 2_000)]


def reported(spine: Spine, seconds: float) -> RouteReport:
    """The report of the newest epoch, as ``spine route report`` makes it."""
    state, events = spine.registry.state(), spine.registry.events()
    known = epochs(state, events)
    return route_report(spine.traces, known, events, known[0], now=after(spine, seconds))


def test_a_past_replayed_before_the_first_live_request_enters_no_live_canary(canary: Spine) -> None:
    """The service answered requests until the epoch began, so a week replayed into it is none of its traffic."""
    begun, week = opened(canary), 7 * 86_400
    before_it(canary, begun)
    fill(canary, GOOD, start_ns=begun - week * NS, seconds=week - 900, seed=9, source="replay")
    found = ticked(canary, 1)
    assert (found.action, found.verdict) == ("hold", "no_data")
    assert [note.partition(" (")[0] for note in found.notes] == ["2,000 requests lie before this epoch"]


def before_it(spine: Spine, until_ns: int) -> None:
    """The service answers a request every three minutes in the hour before a time, before the canary."""
    single = spine.registry.state().routes[-2]
    leave_answers(
        spine.settings.traces,
        single,
        {"stable": Arm()},
        start_ns=until_ns - 3_500 * NS,
        seconds=3_500,
        requests=20,
        seed=8,
    )


@pytest.mark.parametrize(("ahead", "said"), [(1_200, "19 min"), (10_800, "2 h")])
def test_a_step_that_a_fast_clock_opened_lasts_its_time(canary: Spine, ahead: int, said: str) -> None:
    """The ledger dates the epoch ahead of the servers, and somebody replays requests of a day before into it."""
    begun = opened(canary) - ahead * NS
    fill(canary, GOOD, start_ns=begun, seconds=8)
    replayed = {"start_ns": begun - 86_400 * NS, "seconds": 5_000, "requests": 40, "seed": 9, "source": "replay"}
    fill(canary, {"stable": Arm(0.0), "canary": Arm(0.0)}, **replayed)
    found = tick(canary.routing, canary.traces, after(canary, 8 - ahead), watched=lambda *_: 8.0)
    assert found is not None
    assert (found.action, found.verdict, found.seconds) == ("hold", "pass", 0.0), "what is live is judged"
    report = reported(canary, 8 - ahead)
    assert [(each.what, each.n) for each in report.left_out] == [("requests from before the epoch", 40)]
    assert window_text(report).endswith("Z, so one of the clocks is wrong"), "it is no replay"
    assert [note.partition(" (")[0] for note in found.notes] == [
        f"the ledger dates this epoch {said} ahead of this clock: the step's time is counted from that moment",
        "40 requests lie before this epoch",
    ]
    # The ledger's time has come, but the server has watched the step for less than a minute.
    found = tick(canary.routing, canary.traces, after(canary, 61), watched=lambda *_: 59.0)
    assert found is not None
    assert (found.action, found.waits_for) == ("hold", ("1 more seconds",))


def test_a_past_replayed_before_the_first_request_of_a_fast_clocks_epoch_brings_no_clock(canary: Spine) -> None:
    """The service was busy until now, although not in the minutes before the time that the ledger gives the epoch."""
    now = opened(canary) - 1_200 * NS
    before_it(canary, now)
    fill(canary, GOOD, start_ns=now - 86_400 * NS, seconds=5_000, seed=9, source="replay")
    found = tick(canary.routing, canary.traces, after(canary, -1_200), watched=lambda *_: 1.0)
    assert found is not None
    assert (found.action, found.verdict, found.seconds) == ("hold", "no_data", 0.0)


def test_a_bad_canary_of_a_slow_server_is_aborted(canary: Spine) -> None:
    """Its clock is three hours behind the ledger's; its requests are the only ones, and windows are by its times."""
    bad = {"stable": Arm(0.95), "canary": Arm(0.10)}
    fill(canary, bad, start_ns=opened(canary) - 10_800 * NS, seconds=70)
    found = tick(canary.routing, canary.traces, after(canary, 70 - 10_800), watched=lambda *_: 70.0)
    assert found is not None
    assert (found.action, found.verdict) == ("abort", "fail")


@pytest.mark.parametrize("replayed", [1, 40])
def test_replayed_requests_in_the_epoch_set_no_live_ones_aside(canary: Spine, replayed: int) -> None:
    """The servers' clock is three hours behind the ledger's, and somebody replays requests with times in the epoch."""
    behind = 10_800
    bad = {"stable": Arm(0.95), "canary": Arm(0.10)}
    fill(canary, bad, start_ns=opened(canary) - behind * NS, seconds=70)
    good = {"stable": Arm(1.0), "canary": Arm(1.0)}
    fill(canary, good, start_ns=opened(canary), seconds=60, requests=replayed, seed=9, source="replay")
    report = reported(canary, 70)
    assert (sum(arm.requests for arm in report.arms), report.left_out) == (2_000 + replayed, ())
    found = tick(canary.routing, canary.traces, after(canary, 70), watched=lambda *_: 70.0)
    assert found is not None
    assert (found.action, found.verdict) == ("abort", "fail")
    assert not any("set aside" in note for note in found.notes)


def test_one_live_request_in_the_epoch_sets_earlier_ones_aside(canary: Spine) -> None:
    fill(canary, {"stable": Arm(0.95), "canary": Arm(0.10)}, start_ns=opened(canary) - 10_800 * NS, seconds=70)
    fill(canary, GOOD, requests=1, seconds=1, seed=9)
    found = ticked(canary, 70)
    assert [note.partition(" (")[0] for note in found.notes] == ["2,000 requests lie before this epoch"]


def test_requests_replayed_into_and_before_an_epoch_bring_no_clock(canary: Spine) -> None:
    """None is live, but some lie in the epoch, so that time is the ledger's and those before it are set aside."""
    fill(canary, GOOD, start_ns=opened(canary) - 86_400 * NS, seconds=5_000, requests=40, seed=9, source="replay")
    fill(canary, GOOD, seconds=20, source="replay")
    found = ticked(canary, 20)
    assert (found.seconds, found.waits_for) == (20.0, ("40 more seconds",))
    assert [note.partition(" (")[0] for note in found.notes] == ["40 requests lie before this epoch"]


def test_a_few_stray_times_end_no_step_of_a_replay(canary: Spine) -> None:
    week = 7 * 86_400 * NS
    fill(canary, GOOD, start_ns=opened(canary) - week, seconds=50, source="replay")
    fill(canary, GOOD, start_ns=opened(canary) - 50 * week, seconds=5, requests=5, seed=8, source="replay")
    fill(canary, GOOD, start_ns=opened(canary) - week // 2, seconds=5, requests=5, seed=9, source="replay")
    assert ticked(canary, 1).waits_for == ("10 more seconds",)


def test_requests_just_before_the_epoch_make_no_second_window(canary: Spine) -> None:
    """The clock of a replica is half a second behind: a bad canary still needs two windows to be aborted."""
    bad = {"stable": Arm(0.95), "canary": Arm(0.10)}
    fill(canary, bad, start_ns=opened(canary) - NS // 2, seconds=1)
    found = ticked(canary, 1)
    assert (found.verdict, found.action) == ("fail", "hold")


def test_requests_from_the_future_alone_are_no_replay(canary: Spine) -> None:
    fill(canary, GOOD, start_ns=opened(canary) + 3_600 * NS, seconds=3_600)
    found = ticked(canary, 61)
    assert (found.verdict, found.notes[0].split(" (")[0]) == ("no_data", "2,000 requests lie ahead of this clock")


def test_a_clock_that_jumps_ends_no_step(canary: Spine) -> None:
    """The server has watched the epoch for ten seconds when its wall clock jumps by an hour."""
    fill(canary, GOOD, seconds=10)
    found = tick(canary.routing, canary.traces, after(canary, 3_600), watched=lambda *_: 10.0)
    assert found is not None
    assert (found.action, found.waits_for) == ("hold", ("50 more seconds",))
    assert ticked(canary, 3_600).action == "advance"  # a reader that has not watched goes by the wall clock


def test_the_epoch_clock() -> None:
    clock = EpochClock()
    assert clock.see(5, 100.0, age_at_first=600.0) == 600.0  # it was open when this process started
    assert clock.see(5, 130.0, age_at_first=9_999.0) == 630.0
    assert clock.see(6, 150.0, age_at_first=9_999.0) == 0.0  # it began while this process watched
    assert clock.see(6, 151.5) == 1.5


def test_a_server_that_starts_with_a_wrong_clock_ends_no_step(canary: Spine) -> None:
    """It knows an epoch that it has not watched by its requests, and its own wrong times add only what they cover."""
    fill(canary, GOOD, seconds=10)
    fill(canary, GOOD, start_ns=opened(canary) + 3 * 3_600 * NS, seconds=10, requests=50, seed=9)
    now_ns = opened(canary) + 4 * 3_600 * NS
    assert covered(canary.traces.evidence, route_of(canary), opened(canary), now_ns) == 60.0
    assert covered(canary.traces.evidence, route_of(canary), opened(canary), opened(canary) + 5 * NS) == 5.0
    replayed = {"start_ns": opened(canary) + 3_600 * NS, "seconds": 3_600, "seed": 8, "source": "replay"}
    fill(canary, GOOD, requests=200, **replayed)
    assert covered(canary.traces.evidence, route_of(canary), opened(canary), now_ns) == 60.0, "replay has no age"
    watched = partial(covered, canary.traces.evidence, route_of(canary))
    found = tick(
        canary.routing, canary.traces, after(canary, 4 * 3_600), watched=lambda _, since: watched(since, now_ns) - 1
    )
    assert found is not None
    assert (found.action, found.waits_for) == ("hold", ("1 more seconds",))


def test_a_heavy_unit_is_named_in_the_event_that_aborts(canary: Spine) -> None:
    """Everybody who is logged out shares one id, and gets right answers; all others get wrong ones."""
    fill(canary, {"stable": Arm(), "canary": Arm(right=0.0)}, seconds=100)
    shared = next(
        f"anonymous-{n}" for n in range(99) if assign(route_of(canary), f"anonymous-{n}", sticky=True).arm == "canary"
    )
    fill(canary, {"canary": Arm(right=1.0)}, seconds=100, requests=3_000, learner=shared, seed=2)
    done = ticked(canary, 100)
    assert done.judgement is not None
    u = done.judgement.heavy[0].u
    assert done.action == "abort"
    assert f"unit {u} sent 8" in canary.registry.events()[-2].body["reason"]
    assert any("give each one of their own" in note for note in done.notes)


def test_a_stable_arm_that_fails_is_said_with_the_way_out(canary: Spine) -> None:
    fill(canary, {"stable": Arm(failed=1.0), "canary": Arm(0.97)})
    found = consider(canary.traces.evidence, route_of(canary), opened(canary), after(canary, 61))
    assert (found.action, found.verdict) == ("advance", "pass")
    assert found.notes[0].startswith("the stable arm fails on 1,")
    assert "`spine route single v2.0.0 --reason TEXT`" in found.notes[0]


def test_a_canary_that_fails_as_well_is_no_way_out(canary: Spine) -> None:
    fill(canary, {"stable": Arm(failed=1.0), "canary": Arm(failed=1.0)})
    found = consider(canary.traces.evidence, route_of(canary), opened(canary), after(canary, 61))
    assert "both arms fail" in found.reason
    assert found.notes[0].endswith(
        "v2.0.0 fails no less; `spine rollback REF --reason TEXT` goes back to an earlier entry"
    )


def test_both_arms_failing_aborts_nothing(canary: Spine) -> None:
    fill(canary, {"stable": Arm(failed=1.0), "canary": Arm(failed=1.0)}, seconds=130)
    found = ticked(canary, 130)
    assert (found.action, found.verdict) == ("hold", "inconclusive")
    assert found.reason.startswith("both arms fail (stable ")


@pytest.mark.parametrize("right", [0.97, 0.5], ids=["advance", "abort"])
def test_two_tickers_at_once_make_one_event(canary: Spine, right: float) -> None:
    fill(canary, {"stable": Arm(), "canary": Arm(right=right)}, seconds=100)
    now, seq = after(canary, 101), canary.registry.state().seq
    replicas = [open_spine(canary.settings.root) for _ in range(4)]
    gate = threading.Barrier(4)
    found: list[Decision | None] = []

    def run(replica: Spine) -> None:
        replica.registry.state()
        gate.wait()
        found.append(tick(replica.routing, replica.traces, now))

    threads = [threading.Thread(target=run, args=(replica,)) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for replica in replicas:
        replica.close()
    assert len(found) == 4
    events = canary.registry.events()[seq:]
    assert [event.kind for event in events] == (["routed"] if right > 0.9 else ["routed", "held"])
    assert sum(each is not None and each.seq is not None for each in found) == 1


def test_replicas_that_name_no_key_and_no_seq_make_more_than_one(canary: Spine) -> None:
    """The broken twin: the same four, each advancing what it finds."""
    seq = canary.registry.state().seq
    replicas = [open_spine(canary.settings.root) for _ in range(4)]
    gate = threading.Barrier(4)

    def run(replica: Spine) -> None:
        gate.wait()
        with contextlib.suppress(Refused):
            replica.routing.advance(reason="it passed")

    threads = [threading.Thread(target=run, args=(replica,)) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for replica in replicas:
        replica.close()
    assert len(canary.registry.events()[seq:]) > 1


def test_a_ledger_that_moved_is_no_failure(canary: Spine) -> None:
    """Another event came between looking and appending: nothing is done, and the next look does it."""
    fill(canary, GOOD)
    stale = open_spine(canary.settings.root)

    class Moving(TraceReader):
        """Traces that take so long to read that somebody writes a note meanwhile."""

        @property
        def evidence(self) -> Any:
            canary.registry.note("meanwhile")
            return super().evidence

    slow = Moving(stale.traces._database)
    lost = tick(stale.routing, slow, after(canary, 61))
    assert lost is not None
    assert (lost.action, lost.seq) == ("advance", None)
    assert route_of(canary).arms[1].weight_bp == 3_000
    assert ticked(canary, 61).seq is not None
    stale.close()


def test_a_canary_nobody_can_watch_is_aborted(canary: Spine) -> None:
    class Broken(TraceReader):
        @property
        def evidence(self) -> Any:
            raise StorageError("unavailable", "the disk is gone", "mend it")

    fill(canary, GOOD, requests=10)
    broken = Broken(canary.traces._database)
    limit = ERRORS * EVEN.guard.window_seconds
    for blind in (0.0, limit - 0.1):
        held = tick(canary.routing, broken, after(canary, 61), blind=blind)
        assert held is not None
        assert (held.action, held.verdict, held.judgement, held.seq) == ("hold", "error", None, None)
        assert "the disk is gone" in held.reason
    assert route_of(canary).strategy == "canary"
    done = tick(canary.routing, broken, after(canary, 61), blind=limit)
    assert done is not None
    assert (done.action, done.verdict) == ("abort", "error")
    assert route_of(canary).strategy == "single"


def test_considering_writes_nothing(canary: Spine) -> None:
    fill(canary, GOOD)
    seq = canary.registry.state().seq
    found = consider(canary.traces.evidence, route_of(canary), opened(canary), after(canary, 61))
    assert found.action == "advance"
    assert canary.registry.state().seq == seq


def test_the_rate_of_the_newest_busy_hour(canary: Spine) -> None:
    fill(canary, GOOD, requests=1_200, seconds=120, start_ns=opened(canary) // (60 * NS) * 60 * NS)
    assert rate(canary.traces, after(canary, 200)) == pytest.approx(10.0)


def test_steps_by_hand_and_by_itself_meet(canary: Spine) -> None:
    """An operator's weight opens an epoch, so what was seen before it no longer counts."""
    fill(canary, GOOD)
    canary.routing.weigh(3_500, reason="a little more")
    assert ticked(canary, 61).verdict == "no_data"
    assert route_of(canary).ladder == at_weight(EVEN, 3_500, auto=False)
