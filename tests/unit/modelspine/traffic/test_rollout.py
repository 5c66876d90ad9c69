"""Rollouts on a real ledger: who may be tried out, what each verb writes, and what ends one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from modelspine.errors import BadInput, Conflict, Damaged, Refused
from modelspine.ledger.route import FULL, Ladder, Route, assign
from modelspine.ledger.state import fold
from modelspine.spine import Spine
from modelspine.traffic.ladder import MOST_STEPS, after, at_weight, default_ladder, read_ladder

Make = Callable[..., Path]
WHY = "because"


class Trio(NamedTuple):
    """The stable entry, a promoted one, and one that is pending."""

    spine: Spine
    stable: str
    good: str
    pending: str

    @property
    def route(self) -> Route:
        route = self.spine.registry.route()
        assert route is not None
        return route

    def weights(self) -> list[tuple[str, int]]:
        return [(arm.name, arm.weight_bp) for arm in self.route.arms]

    def kinds(self, after_seq: int) -> list[str]:
        return [event.kind for event in self.spine.registry.events()[after_seq:]]


@pytest.fixture
def trio(spine: Spine, make_bundle: Make) -> Trio:
    stable, good = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    pending = spine.registry.register(make_bundle(3)).sha
    spine.registry.promote(stable, "v1.0.0")
    spine.registry.promote(good, "v2.0.0")
    return Trio(spine, stable, good, pending)


def held(trio: Trio) -> str:
    """Hold the good entry, by aborting a try of it."""
    trio.spine.routing.ab(trio.good, reason=WHY)
    trio.spine.routing.abort(reason="was bad")
    return trio.good


def buried(trio: Trio) -> str:
    trio.spine.registry.tombstone(trio.good, reason="was bad")
    return trio.good


ENTRIES: dict[str, Callable[[Trio], str]] = {
    "promoted": lambda trio: trio.good,
    "pending": lambda trio: trio.pending,
    "held": held,
    "tombstoned": buried,
    "stable": lambda trio: trio.stable,
}
ALLOWED = {(verb, "promoted") for verb in ("ab", "canary", "shadow")} | {("shadow", "pending"), ("shadow", "held")}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("verb", ["ab", "canary", "shadow"])
def test_who_may_be_tried_out(trio: Trio, verb: str, entry: str) -> None:
    registry = trio.spine.registry
    sha = ENTRIES[entry](trio)
    start = {"ab": trio.spine.routing.ab, "canary": trio.spine.routing.canary, "shadow": trio.spine.routing.shadow}[
        verb
    ]
    before = registry.state().seq
    if (verb, entry) in ALLOWED:
        assert start(sha, reason=WHY).created
        assert trio.route.strategy == verb
        assert trio.route.candidate is not None
        assert trio.route.candidate.sha == sha
    else:
        with pytest.raises(Refused):
            start(sha, reason=WHY)
        assert registry.state().seq == before


@pytest.mark.parametrize("verb", ["ab", "canary", "shadow"])
def test_bytes_are_hashed_before_anybody_is_routed_to_them(trio: Trio, verb: str) -> None:
    weights = trio.spine.settings.cache / trio.good / "model.safetensors"
    weights.chmod(0o644)
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    registry = trio.spine.registry
    before = registry.state().seq
    start = {"ab": trio.spine.routing.ab, "canary": trio.spine.routing.canary, "shadow": trio.spine.routing.shadow}[
        verb
    ]
    with pytest.raises(Damaged):
        start(trio.good, reason=WHY)
    assert registry.state().seq == before


def test_every_weight_is_an_epoch_of_one_rollout_and_only_adds_units(trio: Trio) -> None:
    first = trio.spine.routing.canary(trio.good, reason=WHY, weight_bp=500)
    seen: list[Route] = [trio.route]
    for weight in (1_000, 4_000, 9_999):
        trio.spine.routing.weigh(weight, reason=WHY)
        seen.append(trio.route)
    assert len({route.epoch for route in seen}) == 4
    assert {route.salt for route in seen} == {str(first.seq)}
    assert all(sum(arm.weight_bp for arm in route.arms) == FULL for route in seen)
    units = [f"learner-{n}" for n in range(400)]
    on = [{u for u in units if assign(route, u, sticky=True).arm == "canary"} for route in seen]
    assert on[0] < on[1] < on[2] < on[3]
    again = trio.spine.routing.weigh(9_999, reason=WHY)
    assert (again.seq, again.created) == (seen[-1].epoch, False)


def test_a_ladder_ends_as_the_stable_arm(trio: Trio) -> None:
    registry = trio.spine.registry
    trio.spine.routing.canary(trio.good, reason=WHY)
    climbed = [trio.weights()[1][1]]
    while trio.route.strategy == "canary":
        trio.spine.routing.advance(reason=WHY)
        climbed.append(trio.weights()[-1][1])
    assert climbed == [100, 1_000, 5_000, FULL]
    assert (trio.route.strategy, trio.route.stable.sha) == ("single", trio.good)
    assert registry.state().entries[trio.stable].held is None
    with pytest.raises(Refused, match="no rollout is in progress"):
        trio.spine.routing.advance(reason=WHY)
    assert trio.spine.routing.rollback(trio.stable, reason=WHY).created


def test_a_weight_by_hand_is_a_pause(trio: Trio) -> None:
    trio.spine.routing.canary(trio.good, reason=WHY)
    trio.spine.routing.weigh(100, reason="wait")
    assert trio.route.ladder is not None
    assert (trio.route.ladder.at, trio.route.ladder.auto) == (0, False)
    trio.spine.routing.weigh(2_000, reason="more")
    assert (trio.route.ladder.at, trio.route.ladder.auto) == (1, False)
    trio.spine.routing.advance(reason="go on")
    assert trio.weights()[1] == ("canary", 5_000)
    assert trio.route.ladder.auto


def test_from_below_the_ladder_the_first_step_comes_next(trio: Trio) -> None:
    trio.spine.routing.canary(trio.good, reason=WHY)
    trio.spine.routing.advance(reason=WHY)
    trio.spine.routing.weigh(0, reason="nobody for now")
    assert trio.weights()[1] == ("canary", 0)
    trio.spine.routing.advance(reason="go on")
    assert trio.weights()[1] == ("canary", 100)


def test_a_weight_alone_never_advances_by_itself(trio: Trio) -> None:
    trio.spine.routing.canary(trio.good, reason=WHY, weight_bp=700)
    assert trio.weights() == [("stable", 9_300), ("canary", 700)]
    assert trio.route.ladder is not None
    assert not trio.route.ladder.auto


@pytest.mark.parametrize("before", ["single", "shadow"])
@pytest.mark.parametrize("verb", ["ab", "canary"])
def test_an_abort_takes_up_the_route_before_and_holds(trio: Trio, verb: str, before: str) -> None:
    registry = trio.spine.registry
    if before == "shadow":
        trio.spine.routing.shadow(trio.pending, reason=WHY, share_bp=2_000)
    was = trio.route
    start = {"ab": trio.spine.routing.ab, "canary": trio.spine.routing.canary}[verb]
    start(trio.good, reason=WHY, weight_bp=300)
    trio.spine.routing.weigh(400, reason=WHY)
    seq = registry.state().seq
    receipt = trio.spine.routing.abort(reason="slow")
    assert trio.kinds(seq) == ["routed", "held"]
    assert receipt.seq == seq + 1
    assert (trio.route.strategy, trio.route.arms) == (was.strategy, was.arms)
    if before == "shadow":
        assert trio.route.salt == was.salt
    assert registry.state().entries[trio.good].held == "slow"
    with pytest.raises(Refused, match="is on hold: slow"):
        start(trio.good, reason=WHY)
    with pytest.raises(Refused, match="no rollout is in progress" if before == "single" else "has no steps"):
        trio.spine.routing.advance(reason=WHY)


@pytest.mark.parametrize("verb", ["advance", "weigh"])
def test_more_traffic_needs_the_bytes(trio: Trio, verb: str) -> None:
    registry = trio.spine.registry
    trio.spine.routing.canary(trio.good, reason=WHY)
    weights = trio.spine.settings.cache / trio.good / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    seq = registry.state().seq
    with pytest.raises(Damaged):
        trio.spine.routing.advance(reason=WHY) if verb == "advance" else trio.spine.routing.weigh(500, reason=WHY)
    assert registry.state().seq == seq


def test_an_abort_does_not_need_the_bytes(trio: Trio) -> None:
    trio.spine.routing.canary(trio.good, reason=WHY)
    (trio.spine.settings.cache / trio.good / "model.safetensors").unlink()
    assert trio.spine.routing.abort(reason="gone").created
    assert trio.weights() == [("stable", FULL)]


def test_a_route_that_may_not_come_back_is_left_out(trio: Trio) -> None:
    """The shadow of before was buried meanwhile: the stable arm alone goes on."""
    registry = trio.spine.registry
    trio.spine.routing.shadow(trio.pending, reason=WHY)
    trio.spine.routing.canary(trio.good, reason=WHY)
    registry.tombstone(trio.pending, reason="leaked")
    trio.spine.routing.abort(reason=WHY)
    assert (trio.route.strategy, trio.weights()) == ("single", [("stable", FULL)])


def test_a_rollback_during_a_rollout_ends_it(trio: Trio) -> None:
    registry = trio.spine.registry
    trio.spine.routing.canary(trio.good, reason=WHY)
    trio.spine.routing.rollback(trio.stable, reason="bad news")
    assert (trio.route.strategy, trio.route.stable.sha) == ("single", trio.stable)
    assert registry.state().entries[trio.good].held == "bad news"


def test_a_rollback_holds_no_shadow(trio: Trio) -> None:
    registry = trio.spine.registry
    trio.spine.routing.shadow(trio.good, reason=WHY)
    trio.spine.routing.rollback(trio.stable, reason=WHY)
    assert registry.state().entries[trio.good].held is None


def test_one_rollout_at_a_time(trio: Trio) -> None:
    trio.spine.routing.shadow(trio.good, reason=WHY, share_bp=500)
    first = trio.spine.routing.canary(trio.good, reason=WHY)
    for again in (trio.spine.routing.ab, trio.spine.routing.shadow):
        with pytest.raises(Refused, match="in progress"):
            again(trio.good, reason=WHY)
    same = trio.spine.routing.canary(trio.good, reason=WHY)
    assert (same.seq, same.created) == (first.seq, False)


def test_a_held_entry_is_not_weighed_up(trio: Trio) -> None:
    """Held while it is a shadow, it may go on as one, and must not become a canary."""
    held(trio)
    trio.spine.routing.shadow(trio.good, reason=WHY)
    assert trio.spine.routing.weigh(100, reason=WHY).created
    with pytest.raises(Refused, match="is on hold"):
        trio.spine.routing.canary(trio.good, reason=WHY)


def test_keys_and_seqs(trio: Trio) -> None:
    registry = trio.spine.registry
    seq = registry.state().seq
    first = trio.spine.routing.canary(trio.good, reason=WHY, expected=seq, key="begin")
    again = trio.spine.routing.canary(trio.good, reason=WHY, key="begin")
    assert (again.seq, again.created) == (first.seq, False)
    with pytest.raises(Conflict):
        trio.spine.routing.canary(trio.good, reason=WHY, weight_bp=900, key="begin")
    moved = trio.spine.routing.weigh(300, reason=WHY, key="more")
    assert trio.spine.routing.weigh(300, reason=WHY, key="more").seq == moved.seq
    for change in (
        lambda: trio.spine.routing.weigh(400, reason=WHY, key="more"),
        lambda: trio.spine.routing.abort(reason=WHY, expected=seq),
        lambda: trio.spine.routing.advance(reason=WHY, expected=seq),
    ):
        with pytest.raises(Conflict):
            change()
    ended = trio.spine.routing.abort(reason=WHY, key="end")
    assert trio.spine.routing.abort(reason=WHY, key="end").seq == ended.seq


@pytest.mark.parametrize("weight", [0, FULL, FULL + 1, -1])
def test_weights_have_ends(trio: Trio, weight: int) -> None:
    with pytest.raises(BadInput):
        trio.spine.routing.ab(trio.good, reason=WHY, weight_bp=weight)
    with pytest.raises(BadInput):
        trio.spine.routing.canary(trio.good, reason=WHY, weight_bp=weight)
    trio.spine.routing.ab(trio.good, reason=WHY)
    if weight == 0:
        trio.spine.routing.weigh(0, reason="nobody for now")
        assert trio.weights() == [("stable", FULL), ("candidate", 0)]
    else:
        with pytest.raises((BadInput, Refused)):
            trio.spine.routing.weigh(weight, reason=WHY)


def test_the_longest_ladder_fits_into_an_event(trio: Trio, tmp_path: Path) -> None:
    file = tmp_path / "ladder.json"
    steps = [{"weight_bp": 100 + n, "min_seconds": 10**8, "min_samples": 10**8} for n in range(MOST_STEPS)]
    file.write_bytes(msgspec.json.encode({"steps": steps, "margin_bp": 300, "window_seconds": 5}))
    ladder = read_ladder(file)
    trio.spine.routing.canary(trio.good, reason="x" * 150, ladder=ladder)
    assert trio.route.ladder == ladder
    assert trio.route.ladder.guard.margin_bp == 300
    again = fold(trio.spine.registry.events()).route
    assert again == trio.route


@pytest.mark.parametrize(
    "text",
    [
        "[", "{}", '{"steps": []}', '{"steps": [{"weight_bp": 0}]}', '{"steps": [{"weight_bp": 10001}]}',
        '{"steps": [{"weight_bp": 5}, {"weight_bp": 5}]}', '{"steps": [{"weight_bp": 9}, {"weight_bp": 5}]}',
        '{"steps": [{"weight": 5}]}', '{"steps": [{"weight_bp": 5, "min_seconds": -1}]}', '{"steps": 7}',
        '{"steps": [{"weight_bp": 5}], "margin_pp": 2}', '{"steps": [{"weight_bp": 1.5}]}',
        '{"steps": [' + ", ".join(f'{{"weight_bp": {n + 1}}}' for n in range(MOST_STEPS + 1)) + "]}",
    ],
)  # fmt: skip
def test_what_is_no_ladder(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ladder.json"
    file.write_text(text)
    with pytest.raises(BadInput):
        read_ladder(file)


def test_a_ladder_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "ladder.toml"
    file.write_text("latency_pct = 20\n[[steps]]\nweight_bp = 50\nmin_samples = 7\n[[steps]]\nweight_bp = 10_000\n")
    ladder = read_ladder(file)
    assert [step.weight_bp for step in ladder.steps] == [50, FULL]
    assert (ladder.steps[0].min_samples, ladder.guard.latency_pct, ladder.auto) == (7, 20, True)
    assert after(ladder, 50) is None


def test_the_last_step_is_reached_by_or_beyond() -> None:
    ladder = Ladder(steps=default_ladder().steps[:2], at=0, auto=True, guard=default_ladder().guard)
    assert [at_weight(ladder, weight, auto=True).at for weight in (1, 100, 999, 1_000, 1_001, 9_999)] == [
        0, 0, 0, 1, 1, 1,
    ]  # fmt: skip
    assert after(ladder, 5_000) is None
