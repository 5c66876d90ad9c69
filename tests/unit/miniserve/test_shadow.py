"""The shadow's process: what it answers, and what is done about one that misbehaves."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest

from miniobserve.ids import fresh_span
from miniserve.batcher import Answered, ModelFailed
from miniserve.record import Ask, Copy
from miniserve.shadow import Shadow
from miniserve.shadowchild import MOST_MEMORY
from modelspine.errors import Damaged
from modelspine.identity.stamps import Stamp
from modelspine.ledger.route import Arm, Route, assign, shadow_arm_of
from modelspine.workload import Answer

HERE = Path(__file__).parents[2] / "fixtures" / "shout"
STABLE = Arm(name="stable", sha="1" * 64, semver="v0.1.0", weight_bp=10_000)
ARM = Arm(name="shadow", sha="2" * 64, semver="", weight_bp=10_000)


class World:
    """A folder of bundles, and what became of every copy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged = False
        self.dropped = 0
        self.results: list[tuple[Copy, Answer | None, str]] = []
        self.told = threading.Condition()

    def bundle(self, sha: str, **config: object) -> None:
        folder = self.root / sha
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"number": 2, **config}))

    def verified(self, sha: str) -> Path:
        if self.damaged:
            raise Damaged("its hash does not match", "fetch it again")
        return self.root / sha

    def stamp(self, sha: str) -> Stamp:
        return frozenset()

    def parent_folder(self, sha: str) -> Path | None:
        return None

    def record(self, copy: Copy, answer: Answer | None, began: float, error: str) -> None:
        assert began <= time.perf_counter()
        with self.told:
            self.results.append((copy, answer, error))
            self.told.notify()

    def drop(self, count: int) -> None:
        with self.told:
            self.dropped += count
            self.told.notify()

    def wait(self, done: Callable[[], bool]) -> None:
        with self.told:
            assert self.told.wait_for(done, 30), (self.results, self.dropped)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return World(tmp_path)


@pytest.fixture
def make(world: World) -> Iterator[Callable[..., Shadow]]:
    made: list[Shadow] = []

    def one(**options: float) -> Shadow:
        made.append(Shadow("shout", world, world.record, on_dropped=world.drop, **options))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for shadow in made:
        shadow.close()


def copy(text: str = "hello", arm: Arm = ARM) -> Copy:
    route = Route(strategy="shadow", epoch=4, salt="4", arms=(STABLE, arm))
    ask = Ask(text=text, learner_id="l", request_id="primary-1", span=fresh_span(), started_ns=1, arrived=0.0)
    return Copy(ask, assign(route, "l", sticky=True), arm)


def test_it_answers_with_the_shadow_entry_in_another_process(world: World, make: Callable[..., Shadow]) -> None:
    world.bundle(ARM.sha)
    shadow = make()
    shadow.follow(ARM.sha)
    for text in ("a", "b", "a !fail", "c"):
        shadow.offer(copy(text))
    world.wait(lambda: len(world.results) == 4)
    said = {one.text: (answer.output if answer else None, error) for one, answer, error in world.results}
    assert (said["a"], said["b"], said["c"]) == (("2:A", ""), ("2:B", ""), ("2:C", ""))
    assert said["a !fail"] == (None, "RuntimeError: told to fail")
    assert shadow.pid not in (None, os.getpid())
    assert (shadow.problem, world.dropped) == (None, 0)


def test_a_tester_who_waits_gets_the_answer_or_the_reason(world: World, make: Callable[..., Shadow]) -> None:
    world.bundle(ARM.sha)
    shadow = make()
    shadow.follow(ARM.sha)
    waiting: list[Future[Answered]] = [Future(), Future(), Future()]
    for text, reply in zip(("a", "a !fail"), waiting, strict=False):
        shadow.offer(copy(text)._replace(reply=reply))
    assert waiting[0].result(30).answer.output == "2:A"
    assert isinstance(waiting[1].exception(30), ModelFailed)
    other = msgspec.structs.replace(ARM, sha="3" * 64)
    shadow.offer(copy("b", other)._replace(reply=waiting[2]))
    assert isinstance(waiting[2].exception(30), ModelFailed), "no other entry answers for it"
    assert (world.results, world.dropped) == ([], 0), "a tester's copy is no shadow trace, and none that was lost"


@pytest.mark.parametrize(
    ("mischief", "reason"),
    [
        ("die", "the process has exited"),
        ("hang", "the process did not answer in time"),
        ("burn", "the process did not answer in time"),
        ("lie", "the process sent an invalid message"),
        ("raise", "RuntimeError: told to raise"),
        ("leak", "MemoryError"),
    ],
)
def test_one_that_misbehaves_costs_a_trace_with_an_error_and_no_more(
    world: World, make: Callable[..., Shadow], mischief: str, reason: str
) -> None:
    world.bundle(ARM.sha, mischief=mischief)
    other = Arm(name="shadow", sha="3" * 64, semver="", weight_bp=10_000)
    world.bundle(other.sha)
    shadow = make(seconds=1.0 if mischief in ("hang", "burn") else 20.0)
    shadow.follow(ARM.sha)
    shadow.offer(copy())
    world.wait(lambda: len(world.results) == 1)
    assert world.results[0][1] is None
    assert reason in world.results[0][2]
    shadow.follow(other.sha)
    shadow.offer(copy("well", other))
    world.wait(lambda: len(world.results) == 2)
    assert world.results[1][1] is not None
    assert world.results[1][1].output == "2:WELL"


def test_one_that_dies_is_started_again_after_a_pause_and_not_before(
    world: World, make: Callable[..., Shadow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bundle(ARM.sha, mischief="die")
    shadow = make()
    shadow.follow(ARM.sha)
    shadow.offer(copy())
    world.wait(lambda: len(world.results) == 1)
    shadow.offer(copy())
    world.wait(lambda: world.dropped == 1)
    world.bundle(ARM.sha)
    monkeypatch.setattr(shadow, "_again_at", 0.0)
    shadow.offer(copy("back"))
    world.wait(lambda: len(world.results) == 2)
    assert world.results[1][1] is not None


def test_a_damaged_bundle_is_never_loaded_and_is_told(world: World, make: Callable[..., Shadow]) -> None:
    world.bundle(ARM.sha)
    world.damaged = True
    shadow = make()
    shadow.follow(ARM.sha)
    shadow.offer(copy())
    world.wait(lambda: world.dropped == 1)
    assert "hash" in (shadow.problem or "")
    assert shadow.pid is None
    assert world.results == []


def test_a_full_queue_drops_and_counts(world: World, make: Callable[..., Shadow]) -> None:
    world.bundle(ARM.sha, mischief="hang")
    shadow = make(queue=3, seconds=600.0)
    shadow.follow(ARM.sha)
    shadow.offer(copy())
    while not (shadow.pid and not shadow._waiting):
        time.sleep(0.01)
    for _ in range(500):
        shadow.offer(copy())
    assert world.dropped == 497
    shadow.close()
    assert shadow.pid is None, "one that hangs is ended and not waited for"


def test_copies_for_an_entry_that_is_no_longer_the_shadow_are_dropped(
    world: World, make: Callable[..., Shadow]
) -> None:
    world.bundle(ARM.sha)
    shadow = make()
    shadow.offer(copy())
    shadow.follow(None)
    world.wait(lambda: world.dropped == 1)
    assert world.results == []


def test_the_process_ends_with_the_shadow(world: World, make: Callable[..., Shadow]) -> None:
    world.bundle(ARM.sha)
    shadow = make()
    shadow.follow(ARM.sha)
    shadow.offer(copy())
    world.wait(lambda: len(world.results) == 1)
    pid = shadow.pid
    assert pid is not None
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert resource.prlimit(pid, resource.RLIMIT_AS) == (MOST_MEMORY, MOST_MEMORY)
    shadow.close()
    assert not Path(f"/proc/{pid}").exists()


def test_no_learner_is_assigned_to_a_shadow_and_the_share_decides_what_is_copied() -> None:
    half = Arm(name="shadow", sha="2" * 64, semver="", weight_bp=5_000)
    route = Route(strategy="shadow", epoch=4, salt="4", arms=(STABLE, half))
    assigned = [assign(route, f"learner-{number}", sticky=True) for number in range(2_000)]
    assert {one.arm for one in assigned} == {"stable"}
    share = sum(shadow_arm_of(route, one) is half for one in assigned) / len(assigned)
    assert 0.45 < share < 0.55
