"""The shadow's process: what it answers, and what is done about one that misbehaves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from miniobserve.ids import fresh_span
from miniserve.pending import Answered, ModelFailed
from miniserve.record import Ask, Copy
from miniserve.shadow import TERMS, Shadow
from modelspine.ledger.route import Arm, Route, assign, shadow_arm_of
from shout_bundles import HERE, ONE, TWO, Bundles, is_running, until

STABLE = Arm(name="stable", sha=ONE, semver="v0.1.0", weight_bp=10_000)
ARM = Arm(name="shadow", sha=TWO, semver="", weight_bp=10_000)
OTHER = Arm(name="shadow", sha="3" * 64, semver="", weight_bp=10_000)
Make = Callable[..., Shadow]


class World(Bundles):
    """A folder of bundles, and what became of every copy."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.dropped = 0
        self.results: list[tuple[Copy, Answered | None, str]] = []

    def record(self, copy: Copy, answered: Answered | None, began: float, error: str) -> None:
        assert began <= time.perf_counter()
        self.results.append((copy, answered, error))

    def drop(self, count: int) -> None:
        self.dropped += count


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.syspath_prepend(str(HERE))
    return World(tmp_path)


@pytest.fixture
async def make(world: World) -> AsyncIterator[Make]:
    made: list[Shadow] = []

    def one(**terms: object) -> Shadow:
        options = msgspec.structs.replace(TERMS, **terms)
        made.append(Shadow("shout", world, world.record, on_dropped=world.drop, terms=options))
        return made[-1]

    yield one
    for shadow in made:
        await shadow.close()


def copy(text: str = "hello", arm: Arm = ARM) -> Copy:
    route = Route(strategy="shadow", epoch=4, salt="4", arms=(STABLE, arm))
    ask = Ask(text=text, learner_id="l", request_id="primary-1", span=fresh_span(), started_ns=1, arrived=0.0)
    return Copy(ask, assign(route, "l", sticky=True), arm)


async def followed(shadow: Shadow, sha: str | None) -> None:
    shadow.follow(sha)
    await asyncio.sleep(0)  # the loop takes it up at its next turn


async def test_it_answers_with_the_shadow_entry_in_another_process(world: World, make: Make) -> None:
    world.add(TWO)
    shadow = make()
    await followed(shadow, TWO)
    for text in ("a", "b", "a !fail", "c"):
        shadow.offer(copy(text))
    await until(lambda: len(world.results) == 4)
    said = {one.text: (answered.answer.output if answered else None, error) for one, answered, error in world.results}
    assert (said["a"], said["b"], said["c"]) == (("2:A", ""), ("2:B", ""), ("2:C", ""))
    assert said["a !fail"] == (None, "RuntimeError: told to fail")
    assert shadow.pid not in (None, os.getpid())
    assert os.sched_getscheduler(shadow.pid or 0) == os.SCHED_IDLE
    assert (shadow.problem, world.dropped) == (None, 0)


async def test_a_tester_who_waits_gets_the_answer_or_the_reason(world: World, make: Make) -> None:
    world.add(TWO)
    shadow = make()
    await followed(shadow, TWO)
    assert (await shadow.submit(TWO, "a").future).answer.output == "2:A"
    with pytest.raises(ModelFailed, match="told to fail"):
        await shadow.submit(TWO, "a !fail").future
    with pytest.raises(ModelFailed, match="not running"):
        shadow.submit(OTHER.sha, "b")
    assert (world.results, world.dropped) == ([], 0), "a tester's text is no shadow trace, and none that was lost"


@pytest.mark.parametrize("mischief", ["die", "hang", "raise"])
async def test_one_that_misbehaves_costs_a_trace_with_an_error_and_no_more(
    world: World, make: Make, mischief: str
) -> None:
    """What becomes of its process is tested with the pool."""
    world.add(TWO, mischief="")
    world.add(OTHER.sha)
    shadow = make(seconds=5.0)
    await followed(shadow, TWO)
    await until(lambda: shadow.pid is not None, 60.0)  # a copy waits no longer than ``seconds`` for its process
    shadow.offer(copy(f"!{mischief}"))
    await until(lambda: len(world.results) == 1)
    assert world.results[0][1] is None
    assert world.results[0][2] != ""
    await followed(shadow, OTHER.sha)
    await until(lambda: shadow.pid is not None, 60.0)
    shadow.offer(copy("well", OTHER))
    await until(lambda: len(world.results) == 2)
    answered = world.results[1][1]
    assert answered is not None
    assert answered.answer.output == "3:WELL"


async def test_a_damaged_bundle_is_never_loaded_and_is_reported(world: World, make: Make) -> None:
    world.add(TWO)
    world.damaged = True
    shadow = make()
    await followed(shadow, TWO)
    await until(lambda: shadow.problem is not None)
    shadow.offer(copy())
    assert world.dropped == 1
    assert "hash" in (shadow.problem or "")
    assert shadow.pid is None
    assert world.results == []


async def test_a_full_queue_drops_and_counts(world: World, make: Make) -> None:
    world.add(TWO, mischief="hang")
    shadow = make(queue=3, seconds=600.0)
    world.add(TWO)
    await followed(shadow, TWO)
    await until(lambda: shadow.pid is not None)
    shadow.offer(copy("!hang"))
    await asyncio.sleep(0.05)
    for _ in range(500):
        shadow.offer(copy())
    assert world.dropped == 497
    pid = shadow.pid
    await shadow.close()
    assert not is_running(pid or 0), "one that hangs is ended and not waited for"


async def test_copies_for_an_entry_that_is_no_longer_the_shadow_are_dropped(world: World, make: Make) -> None:
    world.add(TWO)
    shadow = make()
    await followed(shadow, TWO)
    shadow.offer(copy())
    await followed(shadow, None)
    shadow.offer(copy())
    await until(lambda: world.dropped == 2)
    assert world.results == []


def test_no_learner_is_assigned_to_a_shadow_and_the_share_decides_what_is_copied() -> None:
    half = Arm(name="shadow", sha="2" * 64, semver="", weight_bp=5_000)
    route = Route(strategy="shadow", epoch=4, salt="4", arms=(STABLE, half))
    assigned = [assign(route, f"learner-{number}", sticky=True) for number in range(2_000)]
    assert {one.arm for one in assigned} == {"stable"}
    share = sum(shadow_arm_of(route, one) is half for one in assigned) / len(assigned)
    assert 0.45 < share < 0.55
