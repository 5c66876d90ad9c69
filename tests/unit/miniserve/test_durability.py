"""What a service does while its trace store accepts no writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from miniobserve.ids import fresh_span
from miniobserve.saying import Saying
from miniobserve.sql.protocol import StorageError
from miniobserve.writer import TraceWriter
from miniserve import durable as durable_module
from miniserve.record import Ask
from miniserve.replies import Problem
from miniserve.service import Service

Make = Callable[..., Service]
ASK = Ask(text="hello", learner_id="l", request_id="req-00000001", span=fresh_span(), started_ns=1, arrived=0.0)


def failed(error: Exception) -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(error)
    return future


def full() -> StorageError:
    return StorageError("unavailable", "the disk is full", "make room")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_module, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(durable_module, "DURABLE_SECONDS", 0.1)


async def ready(service: Service) -> None:
    for _ in range(500):
        if service.unready() is None:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the service stays unready")


@pytest.mark.parametrize(
    ("write", "ending"), [(lambda: failed(full()), "stored"), (Future, "stored in time")], ids=["refused", "too late"]
)
async def test_a_failed_write_says_what_was_not_stored(
    make_service: Make,
    writer: TraceWriter,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[], Future[None]],
    ending: str,
) -> None:
    service = make_service()
    monkeypatch.setattr(writer, "say", lambda *_: write())
    with pytest.raises(Problem) as feedback:
        await service.say([Saying(name="req-00000001", outcome="accepted")])
    assert (feedback.value.status, feedback.value.code) == (503, "not_durable")
    assert feedback.value.message == f"the feedback on this request could not be {ending}"
    await ready(service)
    monkeypatch.setattr(writer, "submit", lambda *_: write())
    with pytest.raises(Problem) as trace:
        await service.answer(ASK)
    assert trace.value.message == f"the trace of this request could not be {ending}"
    await ready(service)


async def test_a_probe_that_breaks_is_logged_and_tried_again(
    make_service: Make, writer: TraceWriter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()
    probe = writer.probe
    outcomes = [failed(full()), failed(ValueError("a defect")), failed(ValueError("a defect")), failed(full())]
    monkeypatch.setattr(writer, "probe", lambda: outcomes.pop(0) if outcomes else probe())
    monkeypatch.setattr(writer, "say", lambda *_: failed(full()))
    with caplog.at_level(logging.INFO, "miniserve"), pytest.raises(Problem):
        await service.say([Saying(name="req-00000001", outcome="accepted")])
    assert service.unready() == "traces cannot be stored now"
    assert service._probing is not None
    with caplog.at_level(logging.INFO, "miniserve"):
        await asyncio.wait_for(service._probing, 30)
    assert (service.unready(), outcomes) == (None, [])
    messages = [record.message for record in caplog.records if record.module == durable_module.__name__.split(".")[-1]]
    assert messages == ["traces are not durable", "the probe of the trace store failed", "traces are durable again"]
