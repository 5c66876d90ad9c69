"""Bundles that a server fetches before a route needs them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from miniserve import standby
from miniserve.standby import Standby


def until(done: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_may_answer_next_is_fetched_in_advance_and_again_after_a_failure(
    truth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(standby, "RETRY_SECONDS", 0.05)
    truth.absent, truth.gone = {"two"}, True
    truth.standby = lambda: ("one", "two")
    thread = Standby(truth.head, truth)
    try:
        until(lambda: len(truth.fetched) >= 2)
        truth.gone = False
        until(lambda: not truth.absent)
        assert set(truth.fetched) == {"two"}, "the other one is here"
        truth.absent.add("three")
        truth.standby = lambda: ("three",)
        time.sleep(0.1)
        assert "three" in truth.absent, "nothing happened in the ledger"
        truth.sent.clear()
        truth.seq += 1
        until(lambda: "three" in truth.fetched)
    finally:
        thread.stop()
    assert not thread._thread.is_alive(), "the fetch is given up when the server stops"
