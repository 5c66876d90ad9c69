"""``modelspine.request``: requests that your own code answers are recorded and can be walked."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import modelspine
from cli_world import make_world
from collecting import Collecting
from miniobserve.commit import Job, Write
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine import process_recorder as projects
from modelspine.cli import main
from modelspine.errors import BadInput
from modelspine.ledger.route import Guard, Ladder, Step, assign
from modelspine.process_recorder import close_all, process_recorder
from modelspine.spine import open_spine
from modelspine_console.data.source import Source
from modelspine_console.screens.traffic_rows import idleness
from own_project import own_project


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that a table describes, with one entry in production and a canary."""
    folder = own_project(tmp_path_factory.mktemp("own") / "project")
    with open_spine(folder) as spine:
        spine.routing.ab("v0.2.0", reason="two arms", weight_bp=5_000)
    return folder


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def test_a_block_becomes_a_trace(root: Path) -> None:
    with modelspine.request("money back", unit=" ann ", root=root) as r:
        entry = r.entry
        r.output("refund", score=0.9, features={"lang": "de"}, tokens=(5, 1))
    with open_spine(root, readonly=True) as spine:
        trace = spine.trace(r.id)
        route = spine.registry.route()
        walk = spine.incident(r.id)
    assert route is not None
    assert trace.assignment == assign(route, "ann", sticky=True)
    assert (trace.entry_sha, trace.assignment.arm) == (entry.sha, entry.arm)
    assert (trace.input, trace.output, trace.accepted, trace.status) == ("money back", "refund", False, 200)
    assert trace.features == {"lang": "de", "answer_label": "refund"}
    assert trace.fields["score"] == trace.values["score"] == 0.9
    assert (trace.input_tokens, trace.output_tokens) == (5, 1)
    assert (walk.answers[0].status, walk.answers[5].status) == ("recorded", "verified")


def test_the_arm_of_a_block_without_a_unit_is_verified_by_its_id(root: Path) -> None:
    made = []
    for number in range(8):
        with modelspine.request(f"text {number}", request_id=f"Own-Id-{number}", root=root) as r:
            r.output("spam")
        made.append(r.id)
    with open_spine(root, readonly=True) as spine:
        assert {spine.incident(name).answers[5].status for name in made} == {"verified"}
        assert [spine.trace(name).assignment.unit for name in made] == made


def test_both_arms_are_given_and_every_thread_may_record(root: Path) -> None:
    def answer(number: int) -> tuple[str, str]:
        with modelspine.request({"body": f"text {number}", "lang": "en"}, unit=f"u{number}", root=root) as r:
            r.output({"output": "spam"})
        return r.id, r.entry.sha

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(answer, range(60)))
    assert len({sha for _, sha in made}) == 2
    with open_spine(root, readonly=True) as spine:
        assert [spine.trace(name).entry_sha for name, _ in made] == [sha for _, sha in made]
        assert spine.trace(made[0][0]).accepted is True


async def test_async_blocks_do_not_wait_for_each_other(root: Path) -> None:
    async def answer(number: int) -> str:
        async with modelspine.request(f"text {number}", root=root) as r:
            await asyncio.sleep(0)
            r.output("spam")
        return r.id

    made = await asyncio.gather(*(answer(number) for number in range(40)))
    with open_spine(root, readonly=True) as spine:
        assert {spine.trace(name).output for name in made} == {"spam"}


async def test_what_fails_is_recorded_too(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), modelspine.request("a", root=root) as failed:
        _ = 1 // 0
    with modelspine.request("b", root=root) as silent:
        pass
    with pytest.raises(asyncio.CancelledError):
        async with modelspine.request("c", root=root) as cancelled:
            raise asyncio.CancelledError
    close_all()
    with open_spine(root, readonly=True) as spine:
        one, two, three = (spine.trace(r.id) for r in (failed, silent, cancelled))
    assert (one.status, one.input) == (500, "a")
    assert one.error.startswith("ZeroDivisionError")
    assert (two.status, two.error) == (500, "the block ended without an output")
    assert three.status == 499


def test_a_batch_job_says_when_and_what_answered(root: Path) -> None:
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    with modelspine.request("x", at=at, root=root) as r:
        r.output("spam", entry="v0.1.0")
    with modelspine.request("x", root=root) as unknown:
        r.output("spam")
        unknown.output("spam", entry="somebody else's")
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(r.id).started_ns == int(at.timestamp()) * 10**9
        assert spine.trace(r.id).semver == "v0.1.0"
        assert (spine.trace(unknown.id).entry_sha, spine.trace(unknown.id).fields["model"]) == ("", "somebody else's")


EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize("given", [
    {"unit": ""}, {"unit": "a\0b"}, {"request_id": "no"}, {"at": datetime(2026, 1, 1)},  # noqa: DTZ001
    {"at": datetime(2400, 1, 1, tzinfo=UTC)}, {"at": datetime(1, 1, 1, tzinfo=EAST)},
    {"at": datetime.max.replace(tzinfo=UTC)}, {"at": datetime(1969, 12, 31, 23, 59, tzinfo=UTC)},
])  # fmt: skip
def test_what_is_not_valid_is_an_error_before_the_block(given: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        modelspine.request("x", **given)  # type: ignore[arg-type]


def test_a_second_block_of_one_request_is_refused(root: Path) -> None:
    """It would keep the id and the output of the first one."""
    r = modelspine.request("x", root=root)
    with r:
        r.output("spam")
    with pytest.raises(BadInput, match="has had its block"), r:
        pass


class Opaque:
    """A value that is no JSON."""


@pytest.mark.parametrize(
    ("asked", "answer", "unread"),
    [
        (Opaque(), "spam", "input: a value of type Opaque is no JSON"),
        ({"body": Opaque(), "lang": "de"}, "spam", "input.body: a value of type Opaque is no JSON"),
        ("x", Opaque(), "output: a value of type Opaque is no JSON"),
        ("x", {"output": Opaque()}, "output.output: a value of type Opaque is no JSON"),
    ],
)  # fmt: skip
def test_what_was_given_and_cannot_be_kept_is_not_asked_for(
    root: Path, asked: object, answer: object, unread: str
) -> None:
    with modelspine.request(asked, root=root) as r:
        r.output(answer)
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(r.id).fields["unread"] == unread


def test_what_was_not_given_is_asked_for(root: Path) -> None:
    with modelspine.request({"lang": Opaque()}, root=root) as r:
        r.output("spam")
    with open_spine(root, readonly=True) as spine:
        assert "the request has no 'body'" in spine.trace(r.id).fields["unread"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_that_is_cancelled_while_it_waits_for_the_commit_loses_no_trace(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    busy, free, waits = threading.Event(), threading.Event(), threading.Event()
    write, submit = TraceWriter._write, TraceWriter.submit

    def slowly(writer: TraceWriter, group: Sequence[Job], **more: int) -> None:
        busy.set()
        assert free.wait(10)
        if fails and isinstance(group[0], Write):
            group[0].future.set_exception(StorageError("unavailable", "the disk is full", "free some space"))
        else:
            write(writer, group, **more)  # type: ignore[arg-type]

    def submitted(writer: TraceWriter, trace: Trace) -> Future[None]:
        future = submit(writer, trace)
        waits.set()
        return future

    blocks: list[modelspine.request] = []

    async def answer() -> None:
        async with modelspine.request("slow", root=root) as r:
            blocks.append(r)
            r.output("spam")

    writer = process_recorder(root).writer
    monkeypatch.setattr(TraceWriter, "_write", slowly)
    monkeypatch.setattr(TraceWriter, "submit", submitted)
    probe = writer.probe()
    assert await asyncio.to_thread(busy.wait, 10)
    task = asyncio.create_task(answer())
    assert await asyncio.to_thread(waits.wait, 10)
    await asyncio.sleep(0.05)  # the trace is in the queue, and the task waits for its commit
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    free.set()
    await asyncio.to_thread(close_all)
    assert probe.done()
    await asyncio.sleep(0.05)  # so that the loop sees the result
    with open_spine(root, readonly=True) as spine:
        assert (spine.traces.get(blocks[0].id) is None) is fails
    assert ["could not be recorded" in record.getMessage() for record in caplog.records] == [True] * fails


@pytest.mark.parametrize("with_loop", [True, False])
async def test_a_coroutine_that_is_closed_ends_at_once_and_loses_no_trace(
    root: Path, caplog: pytest.LogCaptureFixture, with_loop: bool
) -> None:
    """Closing it by hand, or by the garbage collector once its event loop has ended."""
    blocks: list[modelspine.request] = []

    async def answer() -> None:
        async with modelspine.request("slow", root=root) as r:
            blocks.append(r)
            begun.set()
            await asyncio.Event().wait()

    begun, answering = asyncio.Event(), answer()
    task = asyncio.create_task(answering)
    await begun.wait()
    if with_loop:
        answering.close()
    else:
        await asyncio.to_thread(answering.close)  # no event loop runs in that thread
    task.cancel()
    with suppress(RuntimeError):  # the task finds its coroutine closed
        await task
    close_all()
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(blocks[0].id).status == 499
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("opening", [False, True])
def test_a_forked_worker_records_by_itself(root: Path, opening: bool) -> None:
    """Also where a thread was opening a project at that moment."""
    with modelspine.request("before", root=root) as r:
        r.output("spam")
    read, write = os.pipe()
    if opening:
        projects._opening.acquire()
    child = os.fork()
    if child and opening:
        projects._opening.release()
    if child == 0:  # a preloaded worker, as web servers make them
        signal.alarm(10)
        try:
            with modelspine.request("in the worker", root=root) as own:
                own.output("spam")
            os.write(write, own.id.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    name = os.read(read, 100).decode()
    os.close(read)
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(name).input == "in the worker"


@pytest.mark.long
@pytest.mark.slow
def test_a_canary_that_fails_is_aborted_by_watch_alone(tmp_path: Path) -> None:
    """No server of Spine runs: the answers come from blocks in this process, and `spine watch` judges them."""
    root = own_project(tmp_path / "project")
    with open_spine(root) as spine, Collecting(root, "watch") as watching:
        assert watching.line.startswith("watching for canaries")
        guard = Guard(window_seconds=1, margin_bp=2000, latency_pct=1_000_000)
        steps = (Step(weight_bp=5000, min_seconds=1, min_samples=40),)
        spine.routing.canary("v0.2.0", reason="try it", ladder=Ladder(steps=steps, at=0, auto=True, guard=guard))
        bad, end, number = spine.registry.resolve("v0.2.0"), time.monotonic() + 60, 0
        while (state := spine.registry.state()).route.strategy == "canary":  # type: ignore[union-attr]
            number += 1
            with suppress(ValueError), modelspine.request("x", unit=f"u{number % 200}", root=root) as r:
                if r.entry.sha == bad:
                    raise ValueError("no such class")
                r.output("spam")
            assert time.monotonic() < end, watching.log.read_text()
        assert state.entries[bad].held is not None
        assert watching.close() == 0


def test_a_model_that_can_be_asked_is_asked_again(echo: None, tmp_path: Path) -> None:
    """Where a class loads the models, what was told is compared with what the entry answers now."""
    world = make_world(tmp_path / "project")
    with modelspine.request("hi there", unit="ann", features={"lang": "en"}, root=world.root) as right:
        right.output("hi there")
    with modelspine.request("hi there", unit="ann", root=world.root) as wrong:
        wrong.output("bye")
    with open_spine(world.root, readonly=True) as spine:
        trace = spine.trace(right.id)
        one, two = (spine.incident(r.id).answers[0] for r in (right, wrong))
    assert trace.features == {"length": "2", "lang": "en"}
    assert trace.values == {"length": "2", "lang": "en"}
    assert (one.status, two.status) == ("verified", "mismatch")


def test_recorded_requests_are_requests_of_a_running_server(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No server of Spine ever ran, and nothing says that the rollout gets no requests."""
    with modelspine.request("money back", unit="ann", root=root) as r:
        r.output("refund")
    assert main(["--root", str(root), "route", "show"]) == 0
    assert main(["--root", str(root), "info"]) == 0
    told = capsys.readouterr().out
    assert "no server" not in told
    assert "none of Spine's is running" in told
    with open_spine(root, readonly=True) as spine:
        source, now = Source(spine), datetime.now(UTC)
        assert source.servers(now) is None
        assert idleness(source.traffic(None, now), now) == []
