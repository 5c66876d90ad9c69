"""Worker processes: every text gets its own answer from its own model, and a lost worker costs its batch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from miniserve import pool as pool_module
from miniserve.loading import load_into
from miniserve.pending import Answered, ModelFailed, Pending, QueueFull, TooLate, WorkerLost
from miniserve.pool import Pool
from miniserve.terms import Terms
from miniserve.worker import Worker
from modelspine.errors import Damaged, Unavailable
from modelspine.model_process import Load, Place
from shout_bundles import HERE, ONE, TWO, Bundles, is_running, process, until

Make = Callable[..., Awaitable[Pool]]


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundles:
    monkeypatch.syspath_prepend(str(HERE))
    made = Bundles(tmp_path)
    made.add(ONE)
    made.add(TWO)
    return made


@pytest.fixture
async def make(bundles: Bundles) -> AsyncIterator[Make]:
    made: list[Pool] = []

    async def one(*shas: str, **terms: object) -> Pool:
        pool = Pool("shout", bundles, Terms(**{"workers": 1, "spare": False, "queue": 100, **terms}))  # type: ignore[arg-type]
        made.append(pool)
        await pool.start()
        for sha in shas or (ONE,):
            await asyncio.to_thread(pool.load, sha)
        return pool

    yield one
    for pool in made:
        await pool.close()


async def said(pending: Pending) -> str:
    return (await pending.future).answer.output


async def failed(pending: Pending) -> BaseException | None:
    with contextlib.suppress(ModelFailed):
        await pending.future
    return pending.future.exception()


async def test_each_text_gets_its_own_answer_from_its_own_model_in_batches(make: Make) -> None:
    pool = await make(ONE, TWO)
    pending = [(n % 2, pool.submit((ONE, TWO)[n % 2], f"text {n} !size")) for n in range(40)]
    answers = [(which, await said(one)) for which, one in pending]
    assert [answer.rpartition(" ")[0] for _, answer in answers] == [f"{n % 2 + 1}:TEXT {n}" for n in range(40)]
    assert {answer.rpartition(" ")[2] for _, answer in answers} == {"8", "4"}, (
        "the batches were as large as they may be"
    )
    assert (pool.waiting, pool.busy) == (0, 0)


async def test_idle_workers_share_what_comes(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, share=0.01)
    pool = await make(workers=3)
    answers = [await said(one) for one in [pool.submit(ONE, f"{n} !pid !size") for n in range(9)]]
    assert {int(answer.split()[1]) for answer in answers} == set(pool.pids)
    assert {answer.split()[2] for answer in answers} == {"3"}
    assert os.getpid() not in pool.pids


async def test_short_batches_stay_with_one_worker_and_many_texts_wake_the_other(make: Make) -> None:
    pool = await make(workers=2)
    for _ in range(40):  # until it is known that they are short
        await said(pool.submit(ONE, "x"))
    found = set()
    for _ in range(10):
        first = pool.submit(ONE, "!pid")
        await asyncio.sleep(0)
        found |= {await said(one) for one in (pool.submit(ONE, "!pid"), first)}
    assert len(found) == 1
    many = [pool.submit(ONE, f"{n} !pid") for n in range(8 * 4)]
    assert {(await said(one)).split()[1] for one in many} == {str(pid) for pid in pool.pids}


async def test_the_queue_is_bounded_and_closing_fails_what_waits(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, share=0.2)
    pool = await make(batch=1, queue=3)
    waiting = [pool.submit(ONE, "x") for _ in range(4)]
    with pytest.raises(QueueFull):
        pool.submit(ONE, "one more")
    assert pool.room == 0
    await waiting[0].future
    assert pool.room > 0, "the next one is being answered"
    waiting[3].future.cancel()
    await pool.close()
    assert isinstance(await failed(waiting[2]), ModelFailed)
    with pytest.raises(QueueFull):
        pool.submit(ONE, "late")


@pytest.mark.parametrize(("bad", "kind"), [("!fail", "RuntimeError"), ("!short", "ValueError")])
async def test_a_text_that_breaks_the_model_fails_alone(make: Make, bad: str, kind: str) -> None:
    pool = await make()
    before = pool.pids
    pending = [pool.submit(ONE, text) for text in ("a", "b", bad, "c")]
    error = await failed(pending[2])
    assert isinstance(error, ModelFailed)
    assert error.kind == kind
    assert [await said(pending[n]) for n in (0, 1, 3)] == ["1:A", "1:B", "1:C"]
    assert pool.pids == before


@pytest.mark.parametrize(
    ("mischief", "reason"),
    [
        ("die", "ended by itself"),
        ("hang", "did not answer within 4 s"),
        ("burn", "did not answer within 4 s"),
        ("lie", "invalid message"),
        ("leak", "ran out of the memory"),
    ],
)
async def test_a_lost_worker_costs_its_batch_and_is_replaced(make: Make, mischief: str, reason: str) -> None:
    pool = await make(batch=2, seconds=4.0 if mischief in ("hang", "burn") else 30.0, place=Place(memory_mb=512))
    before = pool.pids
    lost = [pool.submit(ONE, text) for text in (f"x !{mischief}", "its neighbour")]
    # A text waits hardly longer than a batch may take, and a new worker needs a part of that to start.
    await asyncio.sleep(3.6 if mischief in ("hang", "burn") else 0.0)
    kept = [pool.submit(ONE, text) for text in ("waits", "as well")]
    for pending in lost:
        error = await failed(pending)
        assert isinstance(error, WorkerLost)
        assert reason in str(error)
        assert pending.stages()["other"] > 0, "it kept the worker busy"
    assert [await said(pending) for pending in kept] == ["1:WAITS", "1:AS WELL"]
    assert len(pool.pids) == 1
    assert pool.pids != before
    assert not is_running(before[0])


async def test_a_spare_takes_over_at_once_and_another_one_is_started(make: Make) -> None:
    pool = await make(spare=True)
    (spare,) = [worker.process.pid for worker in pool._spares]
    assert isinstance(await failed(pool.submit(ONE, "!die")), WorkerLost)
    assert await said(pool.submit(ONE, "!pid")) == f"1:{spare}"
    await until(lambda: len(pool._spares) == 1)
    assert (pool.problem, pool.pids) == (None, [spare])


async def test_a_text_that_crashed_a_worker_is_answered_alone_when_it_comes_again(make: Make) -> None:
    pool = await make()
    first = [pool.submit(ONE, text) for text in ("a", "!die", "b")]
    assert [type(await failed(pending)) for pending in first] == [WorkerLost] * 3
    again = [pool.submit(ONE, text) for text in ("c", "!die", "d")]
    assert [await said(again[0]), await said(again[2])] == ["1:C", "1:D"]
    assert isinstance(await failed(again[1]), WorkerLost)


async def test_a_crash_loop_is_slowed_down_and_named(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, mischief="")
    pool = await make(spare=True)
    bundles.damaged = True
    for pid in [*pool.pids, *(worker.process.pid for worker in pool._spares)]:
        os.kill(pid, signal.SIGKILL)
    # Until the next one fails, the reason may be that the second process was killed.
    await until(lambda: "its hash does not match" in (pool.problem or ""), 60.0)
    hashed = bundles.hashed
    await asyncio.sleep(1.0)
    assert bundles.hashed - hashed < 10, "it is not tried without a pause"
    bundles.damaged = False
    await until(lambda: pool.problem is None, 60.0)
    assert await said(pool.submit(ONE, "well again")) == "1:WELL AGAIN"


async def test_a_process_that_dies_while_it_loads_is_replaced(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = await make(spare=True)
    died: list[int] = []

    async def dies_first(workers: Sequence[Worker], load: Load) -> None:
        if not died:
            died.append(workers[0].process.pid)
            os.kill(died[0], signal.SIGKILL)
            # Its loss is noticed, and looked at, before the loading of it returns.
            await until(lambda: not is_running(died[0]))
            await asyncio.sleep(0.3)
        await load_into(workers, load)

    monkeypatch.setattr(pool_module, "load_into", dies_first)
    os.kill(pool.pids[0], signal.SIGKILL)
    await until(lambda: bool(died) and len(pool._workers) == len(pool._spares) == 1)
    assert await said(pool.submit(ONE, "both there")) == "1:BOTH THERE"


async def test_a_text_that_waits_too_long_is_given_up_and_pays_for_nothing(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, share=0.8)
    pool = await make(batch=1, seconds=2.0)
    pending = [pool.submit(ONE, f"{n}") for n in range(4)]
    assert await said(pending[0]) == "1:0"
    assert isinstance(await failed(pending[3]), TooLate)
    assert pending[3].give_up()["other"] == 0.0


async def test_a_model_that_cannot_be_loaded_leaves_the_others_in_place(make: Make, bundles: Bundles) -> None:
    pool = await make()
    bundles.add(TWO, number="none")
    with pytest.raises(Unavailable, match="cannot be loaded: FileNotFoundError"):
        await asyncio.to_thread(pool.load, "3" * 64)
    bundles.damaged = True
    with pytest.raises(Damaged):
        await asyncio.to_thread(pool.load, TWO)
    pool.keep([ONE])
    await asyncio.sleep(0.05)
    assert await said(pool.submit(ONE, "x")) == "1:X"
    assert isinstance(await failed(pool.submit(TWO, "x")), ModelFailed)


async def test_what_is_not_kept_is_dropped_once_its_texts_are_answered(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, share=0.1)
    pool = await make(ONE, TWO, batch=1)
    pending = [pool.submit(ONE, "a"), pool.submit(ONE, "b")]
    pool.keep([TWO])
    assert [await said(one) for one in pending] == ["1:A", "1:B"]
    pool.keep([TWO])
    await asyncio.sleep(0.05)
    assert isinstance(await failed(pool.submit(ONE, "c")), ModelFailed)
    assert await said(pool.submit(TWO, "d")) == "2:D"


async def test_a_process_holds_no_secret_and_has_its_place(
    make: Make, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_SIGNING_KEY", "a-secret")
    pool = await make(place=Place(memory_mb=700, humble=True))
    (pid,) = pool.pids
    place = process(pid)
    environment = (place / "environ").read_bytes()
    assert b"a-secret" not in environment
    assert b"OPENBLAS_NUM_THREADS=1" in environment
    assert resource.prlimit(pid, resource.RLIMIT_DATA) == (700 << 20, 700 << 20)
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    assert (place / "oom_score_adj").read_text().strip() == "500"
    assert {(place / "fd" / str(number)).readlink().as_posix() for number in range(3)} == {"/dev/null"}
    await pool.close()
    assert not is_running(pid)


async def test_the_seconds_are_the_batchs(make: Make, bundles: Bundles) -> None:
    bundles.add(ONE, share=0.05)
    pool = await make()
    found: list[Answered] = [await one.future for one in [pool.submit(ONE, f"{n}") for n in range(8)]]
    busy = sum(sum(seconds for stage, seconds in one.stages.items() if stage != "queue") for one in found)
    assert 0.4 <= busy < 0.6
    assert [one.graded for one in found] == [True] * 8
