"""The thread beside a canary: what it does while nobody can read the traces, and that it says so once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniobserve.reader import TraceReader
from miniobserve.sql.open import connect
from miniobserve.sql.protocol import StorageError
from miniserve.watch import Watch
from modelspine.ledger.route import Guard
from modelspine.spine import Spine
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
