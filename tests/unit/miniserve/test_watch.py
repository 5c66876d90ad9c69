"""The thread beside a canary: that one replica reads, and what it does while the traces cannot be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from miniobserve.reader import TraceReader
from miniobserve.sql.claims import claim
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniobserve.writer import TraceWriter
from miniserve.watch import Watch
from modelspine.ledger.route import Guard
from modelspine.spine import Spine, open_spine
from modelspine.traffic.canary import ERRORS


class Gone(TraceReader):
    """Traces on a disk that comes and goes."""

    back = False

    @property
    def evidence(self) -> Any:
        if self.back:
            return super().evidence
        raise StorageError("unavailable", "the disk is gone", "mend it")


@pytest.fixture
def canary(spine: Spine, make_bundle: Callable[..., Path], writer: Any, trace_url: str) -> Spine:
    """A canary whose traces cannot be read."""
    for number in (1, 2):
        spine.registry.promote(spine.registry.register(make_bundle(number)).sha, f"v{number}.0.0")
    spine.routing.canary("v2.0.0", reason="try it")
    spine.__dict__["traces"] = Gone(connect(trace_url, readonly=True))
    return spine


def test_a_hiccup_is_borne_and_blindness_is_not(
    canary: Spine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    route = canary.registry.route()
    assert route is not None
    watch = Watch(canary, lambda: route)
    watch._stop.set()  # the test looks, when it says so
    watch._thread.join()
    seq, now, limit = canary.registry.state().seq, 1_000.0, ERRORS * Guard().window_seconds
    monkeypatch.setattr("miniserve.watch.time.monotonic", lambda: now)
    caplog.set_level("INFO", "miniserve")
    for later in (0.0, 0.5, limit - 1.0):
        now = 1_000.0 + later
        watch._look()
    assert canary.registry.state().seq == seq
    assert [record.message for record in caplog.records] == ["the canary cannot be checked"]
    Gone.back = True
    watch._look()
    Gone.back = False
    now += limit
    watch._look()
    assert canary.registry.state().seq == seq, "it could be looked at meanwhile"
    now += limit
    watch._look()
    assert [event.kind for event in canary.registry.events()[seq:]] == ["routed", "held"]
    assert caplog.records[-1].message == "the canary changed state"


class Read(TraceReader):
    """Traces that count how often they are read."""

    times = 0

    @property
    def evidence(self) -> Any:
        self.times += 1
        return super().evidence


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_of_two_replicas_one_reads_until_it_is_gone(
    spine: Spine, make_bundle: Callable[..., Path], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniserve.watch.EVERY_SECONDS", 0.02)
    for number in (1, 2):
        spine.registry.promote(spine.registry.register(make_bundle(number)).sha, f"v{number}.0.0")
    spine.routing.canary("v2.0.0", reason="try it")
    route = spine.registry.route()
    assert route is not None
    with closing(TraceWriter(postgres_url)):
        pass
    looks: list[list[str]] = [[], []]
    replicas = [open_spine(spine.settings.root) for _ in looks]
    reads = [Read(connect(postgres_url, readonly=True)) for _ in looks]
    for replica, traces in zip(replicas, reads, strict=True):
        replica.__dict__["traces"] = traces
    watches = [
        Watch(replica, lambda: route, on_decision=lambda action, *_, told=told: told.append(action))
        for replica, told in zip(replicas, looks, strict=True)
    ]
    until(lambda: max(map(len, looks)) >= 8)
    one = 0 if looks[0] else 1
    assert [bool(told) for told in looks].count(True) == 1, "both read the traces"
    assert reads[1 - one].times == 0
    watches[one].stop()
    reads[one].close()
    until(lambda: len(looks[1 - one]) >= 3)
    watches[1 - one].stop()
    reads[1 - one].close()


def test_a_holder_that_stands_still_loses_its_claim(postgres_url: str) -> None:
    """A process that was stopped keeps its connection, and its locks, for as long as its machine runs."""
    with closing(connect(postgres_url)) as still, closing(connect(postgres_url)) as other:
        assert claim(still, "canary")
        assert claim(still, "canary"), "it has it already, and holds it once"
        assert not claim(other, "canary")
        assert claim(other, "another task")
        assert not claim(other, "canary", stalled=0.0)
        until(lambda: claim(other, "canary"))
        assert not claim(still, "canary"), "it goes on with a new connection"
