"""The canary's controller: the decision as a function, and the whole of it on a real ledger and real traces."""

from __future__ import annotations

import contextlib
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
from miniobserve.sql.protocol import StorageError
from modelspine.errors import Refused
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
        verdict=verdict, reason="so", measure="graded", samples=samples, quality=None, errors=None, latency=None
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


def test_a_past_replayed_before_the_first_live_request_enters_no_live_canary(canary: Spine) -> None:
    """The service answered requests until the epoch began, so a week replayed into it is none of its traffic."""
    begun, week = opened(canary), 7 * 86_400
    fill(canary, GOOD, start_ns=begun - 300 * NS, seconds=290, requests=20, seed=8)
    fill(canary, GOOD, start_ns=begun - week * NS, seconds=week - 900, seed=9, source="replay")
    found = ticked(canary, 1)
    assert (found.action, found.verdict) == ("hold", "no_data")
    assert [note.partition(" (")[0] for note in found.notes] == ["2,020 requests lie before this epoch"]


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
