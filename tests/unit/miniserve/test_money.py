"""Money is conserved: under load, with failures and several workers, prices never exceed the rent."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx
import pytest
from shout_workload import Answer, ShoutModel

from miniobserve.cost import CostMeter, busy_seconds
from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from miniserve.answers import flaw
from miniserve.batcher import Batcher, ModelFailed, Pending
from miniserve.service import Service

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

    def __init__(self) -> None:
        super().__init__()
        self.open = (0.0, 0)
        self.batches: list[tuple[float, float, int]] = []
        """Begin, end and size of each."""

    def take(self, began: float, texts: int) -> None:
        self.open = (began, texts)
        super().take(began, texts)

    def fail(self, share: float) -> None:
        self.batches.append((self.open[0], time.monotonic(), self.open[1]))
        super().fail(share)

    def answer(self, answer: Any, stages: dict[str, float]) -> None:
        self.batches.append((self.open[0], time.monotonic(), self.open[1]))
        super().answer(answer, stages)


def stages_of(pending: Pending) -> dict[str, float]:
    """The seconds a text used, answered or not."""
    try:
        return pending.result(30).stages
    except ModelFailed:
        return pending.stages()


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


def load(monkeypatch: pytest.MonkeyPatch, workers: int, *, requests: int = 160) -> Load:
    monkeypatch.setattr("miniserve.batcher.Pending", Noted)
    batchers = [Batcher(queue=1000, batch=8) for _ in range(workers)]
    models = [ShoutModel(1, share=0.002) for _ in range(workers)]
    began = time.monotonic()
    waiting: list[Any] = []
    for number in range(requests):
        text = f"text {number}{' !fail' if number % 12 == 5 else ''}"
        waiting.append(batchers[number % workers].submit(models[number % workers], text))
        while sum(not pending.done() for pending in waiting) >= CONNECTIONS:
            time.sleep(0.0005)
    used = [(stages_of(pending), pending.batches) for pending in waiting]
    seconds = time.monotonic() - began
    for batcher in batchers:
        batcher.close(5)
    return Load(seconds, used)


@pytest.mark.parametrize("workers", [1, 3])
def test_no_interval_costs_more_than_its_rent(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    done = load(monkeypatch, workers)
    meter = CostMeter(RATE, "p1", workers=workers)
    spent = sum(meter.price(stages) or 0.0 for stages, _ in done.used)
    assert 0 < spent <= RATE * done.seconds / 3600
    assert conserved(done.charged(meter.price), RATE)
    assert any(len(batches) > 1 for _, batches in done.used), "a batch failed, and its texts were asked again"
    assert all(busy_seconds(stages) > 0 for stages, _ in done.used), "failures are paid for as well"


def test_the_broken_twins_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pricing the queue, or each text for its whole batch, or every one of several workers at the whole rent."""
    one, three = load(monkeypatch, 1), load(monkeypatch, 3)
    queue = one.charged(lambda stages: sum(stages.values()) * RATE / 3600)
    rents = three.charged(CostMeter(RATE, "p1").price)
    whole = [Charged((e - b) * RATE / 3600, b, e) for _, batches in one.used for b, e, _ in batches]
    assert not any(conserved(charged, RATE) for charged in (queue, rents, whole))


def test_a_caller_who_gave_up_makes_no_batch_dearer_than_its_seconds() -> None:
    """It paid for half of the batch; the text beside it, which the workload says took all of it, pays for the rest."""
    entered, opened = threading.Event(), threading.Event()

    class Slow:
        def answer(self, texts: Sequence[str]) -> list[Any]:
            if len(texts) == 1:
                opened.wait(5)
                return [sound(stages={})]
            began = time.monotonic()
            entered.set()
            time.sleep(0.05)
            return [sound(stages={"decode": time.monotonic() - began if text == "long" else 0.0}) for text in texts]

    batcher, model = Batcher(batch=8), Slow()
    _, short, long = [batcher.submit(model, text) for text in ("first", "short", "long")]
    began = time.monotonic()
    opened.set()
    assert entered.wait(5)
    time.sleep(0.04)
    gave_up = busy_seconds(short.give_up())
    answered = busy_seconds(long.result(5).stages)
    wall = time.monotonic() - began
    batcher.close(5)
    assert gave_up > 0
    assert answered > 0.02
    assert gave_up + answered <= wall


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
    client = clients(make_service(queue=100))
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

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        time.sleep(0.002)  # lets others queue up meanwhile
        self.now += 0.004 * len(texts)
        return [ShoutModel(1)._one(text) for text in texts]


async def test_the_price_is_the_models_and_not_the_loads(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry, alone and at 16 connections: the cost of 1,000 tokens stays, the time in the queue does not."""
    work = Work()
    client = clients(make_service(queue=100))
    monkeypatch.setattr("miniserve.batcher.time", work)
    monkeypatch.setattr("shout_workload.ShoutModel.answer", lambda _self, texts: work.answer(texts))
    await ask_all(client, [f"light {n}" for n in range(40)], 1)
    await ask_all(client, [f"heavy {n}" for n in range(80)], CONNECTIONS)
    per_1k, queued = {}, {}
    for kind in ("light", "heavy"):
        mine = [trace for trace in traced(reader) if (trace.sentence or "").startswith(kind)]
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
def test_the_neighbours_of_an_unusable_answer_are_answered(bad: dict[str, Any]) -> None:
    """All in one batch, of which each uses its part."""
    opened = threading.Event()

    class Held:
        def answer(self, texts: Sequence[str]) -> list[Any]:
            opened.wait(5)
            time.sleep(0.01)
            return [sound(**({"stages": {}, "output": text} | (bad if "bad" in text else {}))) for text in texts]

    batcher, model = Batcher(batch=8), Held()
    first, *rest = [batcher.submit(model, text) for text in ("first", "one", "bad", "two")]
    opened.set()
    assert first.result(5).answer.output == "first"
    one, failed, two = (stages_of(pending) for pending in rest)
    batcher.close(5)
    assert rest[1].exception() is not None
    assert "unusable" in str(rest[1].exception())
    assert busy_seconds(one) == pytest.approx(busy_seconds(two)) == pytest.approx(busy_seconds(failed))


@pytest.mark.parametrize("bad", [{"stages": {"decode": -0.5}}, {"output_tokens": -3}, {"stages": {"decode": math.nan}}])
async def test_an_unusable_answer_is_a_failed_trace_without_a_negative_price(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch, bad: dict[str, Any]
) -> None:
    def answer(_self: ShoutModel, texts: Sequence[str]) -> list[Any]:
        return [sound(output=text.upper(), **(bad if "bad" in text else {})) for text in texts]

    monkeypatch.setattr("shout_workload.ShoutModel.answer", answer)
    replies = await ask_all(clients(make_service()), ["good one", "bad one", "good two"], 4)
    assert [reply.status_code for reply in replies] == [200, 500, 200]
    by_text = {trace.sentence: trace for trace in traced(reader)}
    failed = by_text["bad one"]
    assert (failed.status, failed.input_tokens, failed.correction) == (500, 0, None)
    assert "unusable" in failed.error
    assert all((trace.cost or 0.0) > 0 for trace in by_text.values())
    assert all(seconds >= 0 for trace in by_text.values() for seconds in trace.stages.values())
