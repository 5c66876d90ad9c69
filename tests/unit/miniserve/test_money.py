"""Money is conserved: under load, with failures and several workers, prices never exceed the rent."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from shout_workload import Answer, Shout, ShoutModel

from miniobserve.cost import CostMeter, Usage, busy_seconds
from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from miniobserve.uptime import Up
from miniserve.pending import ModelFailed, Pending, resolve
from miniserve.pool import Pool
from miniserve.service import Service
from miniserve.terms import Terms
from modelspine import workload
from modelspine.answer_check import flaw
from modelspine.cost.figures import EntryCost, Priced, costs
from modelspine.cost.partial import QUERIES
from modelspine.cost.query import Spent, metered
from modelspine.model_process import Models, Said, Texts
from shout_bundles import HERE, ONE, Bundles

Clients = Callable[..., httpx.AsyncClient]
Make = Callable[..., Service]
RATE = 0.05
CONNECTIONS = 16


class Charged(NamedTuple):
    """A price and the time in which the worker was busy for it."""

    price: float
    began: float
    ended: float


def within(charged: Sequence[Charged], since: float, until: float) -> float:
    """The prices of an interval, with busy time clipped to it."""
    total = 0.0
    for each in charged:
        inside = max(0.0, min(each.ended, until) - max(each.began, since))
        total += each.price * inside / (each.ended - each.began)
    return total


def conserved(charged: Sequence[Charged], rate: float, seed: int = 1) -> bool:
    """Whether no interval of many costs more than its rent."""
    draw = random.Random(seed)
    first, last = min(each.began for each in charged), max(each.ended for each in charged)
    for _ in range(300):
        since, until = sorted(draw.uniform(first, last) for _ in range(2))
        if within(charged, since, until) > rate * (until - since) / 3600 * (1 + 1e-9) + 1e-15:
            return False
    return True


class Noted(Pending):
    """Notes when a worker was busy for it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.open = (0.0, 0)
        self.batches: list[tuple[float, float, int]] = []
        """Begin, end and size of each."""

    def take(self, began: float, texts: int) -> None:
        self.open = (began, texts)
        super().take(began, texts)

    def fail(self, share: float) -> None:
        self.batches.append((self.open[0], time.monotonic(), self.open[1]))
        super().fail(share)

    def answer(self, *given: Any) -> None:
        self.batches.append((self.open[0], time.monotonic(), self.open[1]))
        super().answer(*given)


def stages_of(pending: Pending) -> dict[str, float]:
    """The seconds a text used, answered or not."""
    return pending.stages() if pending.future.exception() else pending.future.result().stages


class Load(NamedTuple):
    """What 16 connections used of several workers; one request in twelve fails."""

    seconds: float
    used: list[tuple[dict[str, float], list[tuple[float, float, int]]]]
    """The stage seconds of each request, and its batches."""

    def charged(self, price: Callable[[dict[str, float]], float | None]) -> list[Charged]:
        """The price of each request, spread over its batches."""
        found = []
        for stages, batches in self.used:
            whole = sum((ended - began) / size for began, ended, size in batches)
            found += [Charged((price(stages) or 0.0) * (e - b) / n / whole, b, e) for b, e, n in batches]
        return found


async def load(monkeypatch: pytest.MonkeyPatch, root: Path, workers: int, *, requests: int = 160) -> Load:
    monkeypatch.setattr("miniserve.pool.Pending", Noted)
    monkeypatch.syspath_prepend(str(HERE))
    bundles = Bundles(root)
    bundles.add(ONE, share=0.002)
    pool = Pool("shout", bundles, Terms(workers=workers, spare=False, queue=1000))
    await pool.start()
    await asyncio.to_thread(pool.load, ONE)
    began = time.monotonic()
    waiting: list[Any] = []
    gate = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int) -> None:
        async with gate:
            pending = pool.submit(ONE, f"text {number}{' !fail' if number % 12 == 5 else ''}")
            waiting.append(pending)
            await asyncio.wait([pending.future])

    await asyncio.gather(*(one(number) for number in range(requests)))
    seconds = time.monotonic() - began
    used = [(stages_of(pending), pending.batches) for pending in waiting]
    await pool.close()
    return Load(seconds, used)


@pytest.mark.parametrize("workers", [1, 3])
async def test_no_interval_costs_more_than_its_rent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int
) -> None:
    done = await load(monkeypatch, tmp_path, workers)
    meter = CostMeter(RATE, "p1", workers=workers)
    spent = sum(meter.price(stages) or 0.0 for stages, _ in done.used)
    assert 0 < spent <= RATE * done.seconds / 3600
    assert conserved(done.charged(meter.price), RATE)
    assert any(len(batches) > 1 for _, batches in done.used), "a batch failed, and its texts were asked again"
    assert all(busy_seconds(stages) > 0 for stages, _ in done.used), "failures are paid for as well"


async def test_the_broken_twins_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pricing the queue, or each text for its whole batch, or every one of several workers at the whole rent."""
    one, three = await load(monkeypatch, tmp_path, 1), await load(monkeypatch, tmp_path, 3)
    queue = one.charged(lambda stages: sum(stages.values()) * RATE / 3600)
    rents = three.charged(CostMeter(RATE, "p1").price)
    whole = [Charged((e - b) * RATE / 3600, b, e) for _, batches in one.used for b, e, _ in batches]
    assert not any(conserved(charged, RATE) for charged in (queue, rents, whole))


async def test_a_report_explains_what_two_workers_answered_and_no_more_than_the_rent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From the pool to the figures: prices + idle time = rent. Forgetting that two share it is noticed on each side."""
    done, two = await load(monkeypatch, tmp_path, 2), CostMeter(RATE, "p1", workers=2)
    assert 0 < sum(two.price(stages) or 0.0 for stages, _ in done.used) <= RATE * done.seconds / 3600
    assert conserved(done.charged(two.price), RATE)
    answers, copies = reported(done, two)
    assert answers.cost is not None
    assert answers.cost + (answers.idle or 0.0) == pytest.approx(RATE * done.seconds / 3600)
    assert (answers.unexplained, copies.unexplained) == pytest.approx((0, 0), abs=1e-9)
    assert copies.cost == pytest.approx(answers.cost), "the same work, at the price that it would have had"
    on_the_trace = reported(done, CostMeter(RATE, "p1"), workers=2)[0]
    assert on_the_trace.unexplained == pytest.approx(0.5), "the server forgot it"
    forgetful = {name: sql.replace("(3600 * workers)", "3600") for name, sql in QUERIES.items()}
    monkeypatch.setattr("modelspine.cost.query.QUERIES", forgetful)
    answers, copies = reported(done, two)
    assert answers.unexplained == pytest.approx(1.0), "the report forgot it"
    assert copies.cost == pytest.approx(2 * (answers.cost or 0.0))


def reported(done: Load, meter: CostMeter, workers: int | None = None) -> tuple[EntryCost, EntryCost]:
    """The figures of what a pool answered, and of an entry that got a copy of each request."""
    sums = [
        Spent(
            started_ns=0, entry_sha=sha, stages=stages, input_tokens=1, output_tokens=1, cost=charge.amount,
            rate_per_hour=charge.rate_per_hour, workers=workers or charge.workers, price_version="p1",
            priced_by=charge.priced_by, unpriced=charge.unpriced, shadow_of="r" if copy else None,
        )
        for sha, copy in (("a" * 64, False), ("b" * 64, True))
        for stages, _ in done.used
        for charge in [meter.charge(Usage(sha, "", stages, (1, 1), copy=copy))]
    ]  # fmt: skip
    rented = Up(began_ns=0, seen_ns=int(done.seconds * 1e9), rate_per_hour=RATE, price_version="p1")
    entries = [Priced(sha=sha * 64, semver=None, variant="", parent_sha=None, total=None) for sha in "ab"]
    answers, copies = costs(entries, metered(sums), [rented])[0]
    return answers, copies


def batch_of(*texts: str) -> list[Pending]:
    loop = asyncio.get_running_loop()
    batch = [Pending(ONE, text, loop.create_future()) for text in texts]
    for pending in batch:
        pending.take(time.monotonic(), len(batch))
    return batch


def as_answer(answer: Any) -> workload.Answer:
    return workload.Answer(**{name: getattr(answer, name) for name in workload.Answer.__struct_fields__})


def told(*answers: Any, seconds: float) -> Said:
    """A worker's reply to a batch."""
    n = len(answers)
    return Said([as_answer(one) for one in answers], [""] * n, [None] * n, [({}, "")] * n, seconds)


async def test_a_caller_who_gave_up_makes_no_batch_dearer_than_its_seconds() -> None:
    """It paid for half of the batch; the text beside it, which the workload says took all of it, pays for the rest."""
    began = time.monotonic()
    short, long = batch_of("short", "long")
    await asyncio.sleep(0.04)
    gave_up = busy_seconds(short.give_up())
    await asyncio.sleep(0.01)
    wall = time.monotonic() - began
    resolve([short, long], told(sound(stages={"decode": 0.0}), sound(stages={"decode": wall}), seconds=wall), wall)
    answered = busy_seconds(long.future.result().stages)
    assert gave_up >= 0.02
    assert answered > 0.02
    assert gave_up + answered <= wall


@pytest.mark.parametrize("claimed", [1e6, -1.0, math.nan])
async def test_a_worker_that_claims_more_than_passed_is_paid_for_what_passed(claimed: float) -> None:
    batch = batch_of("a", "b")
    resolve(batch, told(sound(stages={}), sound(stages={}), seconds=claimed), 0.5)
    assert sum(busy_seconds(pending.future.result().stages) for pending in batch) == pytest.approx(0.5)


async def ask_all(client: httpx.AsyncClient, texts: Sequence[str], connections: int) -> list[httpx.Response]:
    gate = asyncio.Semaphore(connections)

    async def one(text: str) -> httpx.Response:
        async with gate:
            return await client.post("/v1/shout", json={"text": text})

    return list(await asyncio.gather(*(one(text) for text in texts)))


def traced(reader: TraceReader) -> list[Trace]:
    return list(reader.list(limit=10_000).traces)


async def test_prices_on_traces_add_up_to_no_more_than_the_rent(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shout_workload.ShoutModel.__init__", slow(0.002))
    client = clients(make_service())
    began = time.monotonic()
    replies = await ask_all(client, [f"t {n}{'' if n % 9 else ' !fail'}" for n in range(180)], CONNECTIONS)
    rent = RATE * (time.monotonic() - began) / 3600
    traces = traced(reader)
    assert sorted({reply.status_code for reply in replies}) == [200, 500]
    assert len(traces) == 180
    assert all(trace.cost is not None and trace.cost > 0 and trace.priced_by == "busy/1" for trace in traces)
    assert 0 < sum(trace.cost or 0.0 for trace in traces) <= rent
    waiting = sum(sum(trace.stages.values()) for trace in traces) * RATE / 3600
    assert waiting > rent, "what it would be if waiting were paid for"


def slow(share: float) -> Callable[..., None]:
    original = ShoutModel.__init__

    def init(self: ShoutModel, number: int, *_rest: Any) -> None:
        original(self, number, share=share)

    return init


class Work:
    """A clock that stands still unless a model works, so that no other process has a part in a price."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        self.now += 0.004 * len(texts)
        return [ShoutModel(1)._one(text) for text in texts]


async def test_the_price_is_the_models_and_not_the_loads(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry, alone and at 16 connections: the cost of 1,000 tokens stays, the time in the queue does not."""
    work = Work()
    client = clients(make_service())
    for module in ("miniserve.pending", "inline_pool", "modelspine.model_process"):
        monkeypatch.setattr(f"{module}.time", work)
    monkeypatch.setattr("shout_workload.ShoutModel.answer", lambda _self, texts: work.answer(texts))
    await ask_all(client, [f"light {n}" for n in range(40)], 1)
    await ask_all(client, [f"heavy {n}" for n in range(80)], CONNECTIONS)
    per_1k, queued = {}, {}
    for kind in ("light", "heavy"):
        mine = [trace for trace in traced(reader) if (trace.input or "").startswith(kind)]
        tokens = sum(trace.input_tokens + trace.output_tokens for trace in mine)
        per_1k[kind] = 1000 * sum(trace.cost or 0.0 for trace in mine) / tokens
        queued[kind] = sum(trace.stages["queue"] for trace in mine)
    assert per_1k["heavy"] == pytest.approx(per_1k["light"], rel=1e-6)
    assert queued["light"] == 0 < queued["heavy"]


def sound(**more: Any) -> Any:
    answer = ShoutModel(1)._one("hello")
    return type("Said", (), {**{name: getattr(answer, name) for name in answer.__struct_fields__}, **more})()


BAD: list[dict[str, Any]] = [
    {"stages": {"decode": -0.5}}, {"stages": {"decode": math.nan}}, {"stages": {"decode": math.inf}},
    {"stages": {"decode": "1"}}, {"stages": {"decode": True}}, {"stages": {"decode": 1e9}}, {"stages": None},
    {"stages": {3: 1.0}}, {"input_tokens": -1}, {"output_tokens": 2.5}, {"output_tokens": True},
    {"input_tokens": 10**12}, {"input_tokens": None}, {"output": None}, {"accepted": 1}, {"in_scope": None},
    {"features": {"verb": 3}}, {"features": None}, {"fields": {"x": object()}}, {"output": "\ud800"},
]  # fmt: skip


def test_a_sound_answer_has_no_flaw() -> None:
    assert flaw(sound()) is None
    assert flaw(sound(stages={}, input_tokens=0)) is None


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_an_unusable_answer_is_named(bad: dict[str, Any]) -> None:
    (name,) = bad
    wrong = flaw(sound(**bad))
    assert wrong is not None
    assert name.rstrip("s") in wrong or "JSON" in wrong or name in ("accepted", "output")


def test_no_answer_at_all_is_named() -> None:
    assert "no answer" in (flaw(None) or "")
    assert "no answer" in (flaw({"output": "x"}) or "")


@pytest.mark.parametrize("bad", [{"stages": {"decode": -0.5}}, {"output_tokens": -3}, {"stages": {"decode": math.nan}}])
async def test_the_neighbours_of_an_unusable_answer_are_answered(bad: dict[str, Any]) -> None:
    """All in one batch, of which each uses its part; as the worker's program replies, and as one that is not honest."""
    made = [sound(stages={}), sound(**{"stages": {}, **bad}), sound(stages={})]
    program = Models(lambda _frame: None)
    program._models["k"] = Shout(), type("Model", (), {"answer": lambda _self, _texts: made})(), None  # type: ignore[assignment]
    honest = program._answer(Texts("k", ["one", "bad", "two"]))
    assert [answer is None for answer in honest.answers] == [False, True, False]
    for said in (honest, told(*made, seconds=0.3)):
        one, failed, two = batch_of("one", "bad", "two")
        resolve([one, failed, two], said, 0.3)
        assert isinstance(failed.future.exception(), ModelFailed)
        assert "unusable" in str(failed.future.exception())
        shares = [busy_seconds(stages_of(pending)) for pending in (one, failed, two)]
        assert shares == pytest.approx([shares[0]] * 3)
        assert shares[0] > 0


@pytest.mark.parametrize("bad", [{"stages": {"decode": -0.5}}, {"output_tokens": -3}, {"stages": {"decode": math.nan}}])
async def test_an_unusable_answer_is_a_failed_trace_without_a_negative_price(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch, bad: dict[str, Any]
) -> None:
    def answer(_self: ShoutModel, texts: Sequence[str]) -> list[Any]:
        return [sound(output=text.upper(), **(bad if "bad" in text else {})) for text in texts]

    monkeypatch.setattr("shout_workload.ShoutModel.answer", answer)
    replies = await ask_all(clients(make_service()), ["good one", "bad one", "good two"], 4)
    assert [reply.status_code for reply in replies] == [200, 500, 200]
    by_text = {trace.input: trace for trace in traced(reader)}
    failed = by_text["bad one"]
    assert (failed.status, failed.input_tokens, failed.output) == (500, 0, None)
    assert "unusable" in failed.error
    assert all((trace.cost or 0.0) > 0 for trace in by_text.values())
    assert all(seconds >= 0 for trace in by_text.values() for seconds in trace.stages.values())
