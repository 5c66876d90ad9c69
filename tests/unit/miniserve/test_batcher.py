"""Batching: every text gets its own answer, from its own model, whoever its neighbours are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from shout_workload import ShoutModel

from miniserve.batcher import Batcher, ModelFailed, QueueFull


class Gate(ShoutModel):
    """A model that answers once it is let."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(number)
        self.open = threading.Event()
        self.entered = threading.Event()

    def answer(self, texts):  # type: ignore[no-untyped-def]
        self.entered.set()
        assert self.open.wait(10)
        return super().answer(texts)


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(queue=100, batch=8)
    yield made
    made.close(5)


def held(batcher: Batcher, gate: Gate) -> None:
    """Occupy the worker, so that what comes next waits together."""
    batcher.submit(gate, "first")
    assert gate.entered.wait(5)


def test_each_text_gets_its_own_answer_whatever_the_batch(batcher: Batcher) -> None:
    gate = Gate()
    held(batcher, gate)
    futures = {text: batcher.submit(gate, text) for text in (f"text {n}" for n in range(50))}
    gate.open.set()
    for text, future in futures.items():
        assert future.result(5).answer.output == f"1:{text.upper()}"
    assert gate.sizes == [1, 8, 8, 8, 8, 8, 8, 2]


def test_answers_in_a_batch_equal_answers_alone(batcher: Batcher) -> None:
    texts = [f"word{n} and more" for n in range(24)]
    alone = [batcher.submit(ShoutModel(1), text).result(5).answer for text in texts]
    gate = Gate()
    held(batcher, gate)
    together = [batcher.submit(gate, text) for text in texts]
    gate.open.set()
    assert [future.result(5).answer for future in together] == alone
    assert max(gate.sizes) == 8


def test_an_idle_worker_waits_for_nobody(batcher: Batcher) -> None:
    model = ShoutModel(1)
    for _ in range(5):
        batcher.submit(model, "alone").result(5)
    assert model.sizes == [1] * 5


def test_a_batch_never_mixes_models(batcher: Batcher) -> None:
    gate = Gate()
    held(batcher, gate)
    models = [ShoutModel(n) for n in (2, 3)]
    futures = [(n % 2, batcher.submit(models[n % 2], f"t{n}")) for n in range(20)]
    gate.open.set()
    for which, future in futures:
        assert future.result(5).answer.output.startswith(f"{which + 2}:")


def test_the_queue_is_bounded(batcher: Batcher) -> None:
    gate = Gate()
    held(batcher, gate)
    futures = [batcher.submit(gate, "x") for _ in range(100)]
    with pytest.raises(QueueFull):
        batcher.submit(gate, "one more")
    gate.open.set()
    assert all(future.result(5) for future in futures)


@pytest.mark.parametrize("bad", ["!fail", "!short"])
def test_a_text_that_breaks_the_model_fails_alone(batcher: Batcher, bad: str) -> None:
    gate = Gate()
    held(batcher, gate)
    futures = [batcher.submit(gate, text) for text in ("a", "b", bad, "c")]
    gate.open.set()
    assert isinstance(futures[2].exception(5), ModelFailed)
    assert [futures[n].result(5).answer.output for n in (0, 1, 3)] == ["1:A", "1:B", "1:C"]
    assert batcher.submit(ShoutModel(1), "still here").result(5)


def test_who_gave_up_is_not_answered(batcher: Batcher) -> None:
    gate = Gate()
    held(batcher, gate)
    given_up, kept = batcher.submit(gate, "gone"), batcher.submit(gate, "here")
    assert given_up.cancel()
    gate.open.set()
    assert kept.result(5).stages["queue"] >= 0
    assert gate.sizes == [1, 1]


def test_closing_answers_what_waits_and_takes_no_more() -> None:
    batcher = Batcher(batch=2)
    gate = Gate()
    held(batcher, gate)
    futures = [batcher.submit(gate, "x") for _ in range(5)]
    gate.open.set()
    batcher.close(5)
    assert all(future.done() for future in futures)
    with pytest.raises(QueueFull):
        batcher.submit(gate, "late")


def test_a_hung_model_is_noticed(batcher: Batcher) -> None:
    gate = Gate()
    assert not batcher.stuck(0.0)
    held(batcher, gate)
    time.sleep(0.02)
    assert batcher.stuck(0.01)
    assert not batcher.stuck(10)
    gate.open.set()
