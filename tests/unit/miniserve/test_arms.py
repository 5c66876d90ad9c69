"""Following the route: whole or not at all, verified first, and never two routes in one answer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from miniserve.arms import Arms
from modelspine.errors import BadInput, Damaged, Refused, Replaced, Unavailable
from modelspine.ledger.route import Arm, Route, assign


def sha(number: int) -> str:
    return f"{number:064x}"


def route(number: int, epoch: int, candidate: int | None = None) -> Route:
    arms = [Arm(name="stable", sha=sha(number), semver=f"v0.{number}.0", weight_bp=10_000)]
    if candidate is not None:
        arms.append(Arm(name="canary", sha=sha(candidate), semver=f"v0.{candidate}.0", weight_bp=3000))
    return Route(strategy="single" if candidate is None else "canary", epoch=epoch, salt=str(epoch), arms=tuple(arms))


def test_it_starts_on_the_route_in_force_with_a_warm_model(arms: Arms, truth: Any, pool: Any) -> None:
    arms.start()
    served = arms.current.serve("learner", sticky=True)
    assert (served.sha, served.intended_sha, served.semver) == (sha(1), sha(1), "v0.1.0")
    assert served.assignment == assign(truth.now, "learner", sticky=True)
    assert pool.models[sha(1)].sizes == [1, 4]
    assert arms.problem is None


def test_without_a_route_it_says_what_to_do(arms: Arms, truth: Any) -> None:
    truth.now = None
    with pytest.raises(BadInput) as caught:
        arms.start()
    assert "promote" in caught.value.hint


def test_it_does_not_start_on_a_damaged_bundle(arms: Arms, truth: Any) -> None:
    truth.damaged.add(sha(1))
    with pytest.raises(Damaged):
        arms.start()


def test_a_moved_route_is_taken_and_every_new_bundle_verified_once(arms: Arms, truth: Any, pool: Any) -> None:
    arms.start()
    arms.stop()
    truth.move(route(1, 4, candidate=2))
    arms.refresh()
    assert arms.current.route.epoch == 4
    assert truth.verified_shas == [sha(1), sha(2)]
    arms.refresh()
    truth.move(route(2, 5))
    arms.refresh()
    assert truth.verified_shas == [sha(1), sha(2)]
    assert set(pool.models) == {sha(2)}


def test_a_request_keeps_what_it_was_given(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    before = arms.current
    truth.move(route(2, 4))
    arms.refresh()
    assert before.serve("learner", sticky=True).sha == sha(1)
    assert arms.current.serve("learner", sticky=True).sha == sha(2)


def test_a_damaged_bundle_never_serves_and_is_taken_once_mended(
    arms: Arms, truth: Any, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniserve.arms.RETRY_SECONDS", 0.0)
    arms.start()
    arms.stop()
    truth.damaged.add(sha(2))
    truth.move(route(2, 4))
    for _ in range(3):
        arms.refresh()
    served = arms.current.serve("learner", sticky=True)
    assert served.sha == sha(1)
    assert served.intended_sha == sha(2)
    assert served.assignment.epoch == 3
    assert set(pool.models) == {sha(1)}
    assert "hash" in (arms.problem or "")
    truth.damaged.clear()
    arms.refresh()
    assert arms.problem is None
    assert arms.current.serve("learner", sticky=True).sha == sha(2)


def test_a_route_to_what_may_not_answer_is_not_followed(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    truth.forbidden.add(sha(2))
    truth.move(route(1, 4, candidate=2))
    for _ in range(2):
        arms.refresh()
        assert arms.problem == "v0.2.0 may not answer"
    assert (arms.current.route.epoch, arms.current.wanted.epoch) == (3, 4)
    assert truth.verified_shas == [sha(1)], "nothing of it was loaded"
    truth.move(route(1, 5))
    arms.refresh()
    assert arms.problem is None


def test_it_does_not_start_on_a_route_to_what_may_not_answer(arms: Arms, truth: Any) -> None:
    truth.forbidden.add(sha(1))
    with pytest.raises(Refused, match="may not answer"):
        arms.start()


def test_a_damaged_bundle_is_not_hashed_without_end(arms: Arms, truth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arms.start()
    arms.stop()
    now = 0.0
    monkeypatch.setattr("miniserve.arms.time.monotonic", lambda: now)
    truth.damaged.add(sha(2))
    truth.move(route(2, 4))
    tried = []
    for half in range(240):
        now = half / 2
        before = len(truth.verified_shas)
        arms.refresh()
        tried += [now] * (len(truth.verified_shas) - before)
    assert tried == [0.0, 2.0, 6.0, 14.0, 30.0, 60.0, 90.0]
    truth.seq += 1
    arms.refresh()
    assert len(truth.verified_shas) == 9, "an event is a reason to look again"


def test_a_route_with_one_damaged_arm_is_not_taken_in_part(arms: Arms, truth: Any, pool: Any) -> None:
    arms.start()
    arms.stop()
    truth.damaged.add(sha(3))
    truth.move(route(2, 4, candidate=3))
    arms.refresh()
    assert arms.current.route == route(1, 3)
    assert set(pool.models) == {sha(1)}


def test_the_way_back_from_a_damaged_bundle_is_taken(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    truth.damaged.add(sha(2))
    truth.move(route(2, 4))
    arms.refresh()
    truth.move(route(1, 5))
    arms.refresh()
    assert arms.problem is None
    assert arms.current.route.epoch == 5
    assert arms.current.serve("learner", sticky=True).intended_sha == sha(1)


def test_a_shadow_that_is_damaged_keeps_no_route_from_taking_effect(arms: Arms, truth: Any, pool: Any) -> None:
    arms.start()
    arms.stop()
    truth.damaged.add(sha(3))
    shadow = Arm(name="shadow", sha=sha(3), semver="", weight_bp=10_000)
    truth.move(Route(strategy="shadow", epoch=4, salt="4", arms=(*route(2, 4).arms, shadow)))
    arms.refresh()
    assert arms.problem is None
    assert set(pool.models) == {sha(2)}
    served = arms.current.serve("learner", sticky=True)
    assert (served.sha, served.copy_to) == (sha(2), shadow)


def test_a_model_that_cannot_be_loaded_is_named(
    arms: Arms, truth: Any, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms.start()
    arms.stop()

    def load(_bundle: Any, _parent: Any) -> Any:
        monkeypatch.setattr("miniserve.arms.LOAD_SECONDS", 0.0)
        time.sleep(0.01)
        told.append(arms.problem)
        raise RuntimeError("no such layer")

    told: list[str | None] = []
    monkeypatch.setattr(pool._workload, "load", load)
    truth.move(route(2, 4))
    arms.refresh()
    assert "has been loading for" in (told[0] or "")
    assert arms.problem == f"{sha(2)[:12]} cannot be loaded: RuntimeError: no such layer"
    assert arms.current.route.epoch == 3


def test_an_unreachable_ledger_changes_nothing_and_is_told(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    truth.down = Unavailable("the ledger is locked", "wait")
    arms.refresh()
    assert arms.current.route.epoch == 3
    assert arms.problem == "the ledger is locked"
    truth.down = None
    arms.refresh()
    assert arms.problem is None
    truth.move(route(2, 4))
    arms.refresh()
    assert arms.current.route.epoch == 4


def test_with_another_ledger_in_its_place_nothing_is_answered(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    truth.down = Replaced("the ledger no longer holds event #3", "check it")
    arms.refresh()
    assert arms.replaced == arms.problem == "the ledger no longer holds event #3"
    truth.down = Unavailable("the ledger is locked", "wait")
    arms.refresh()
    assert arms.replaced is not None, "nothing shows yet that the right one is back"
    truth.down = None
    arms.refresh()
    assert (arms.replaced, arms.problem) == (None, None)


def test_events_that_move_no_route_load_nothing(arms: Arms, truth: Any) -> None:
    arms.start()
    arms.stop()
    before = arms.current
    truth.seq += 7
    arms.refresh()
    assert arms.current is before
    assert truth.verified_shas == [sha(1)]


def test_shares_follow_the_weights_and_learners_stick(arms: Arms, truth: Any) -> None:
    truth.now = route(1, 3, candidate=2)
    arms.start()
    arms.stop()
    first = [arms.current.serve(f"learner-{n}", sticky=True).assignment.arm for n in range(2000)]
    again = [arms.current.serve(f"learner-{n}", sticky=True).assignment.arm for n in range(2000)]
    assert first == again
    assert 500 < first.count("canary") < 700
