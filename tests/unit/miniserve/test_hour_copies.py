"""The hours that pass while a server runs are copied once each."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from miniobserve.slices import HOUR_NS
from miniobserve.sql.protocol import StorageError
from miniserve import hour_copies
from miniserve.hour_copies import HourCopies

SECOND = 10**9


class Hours:
    """A clock that is moved when a copy was made, and the copies."""

    def __init__(self, broken: int = -1) -> None:
        self.now = 10 * HOUR_NS + 120 * SECOND
        self.copied: list[int] = []
        self.broken = broken
        self.enough = threading.Event()

    def copy(self, since: int, until: int) -> None:
        assert until - since == HOUR_NS
        self.copied.append(since // HOUR_NS)
        if len(self.copied) >= 3:
            self.enough.set()
        self.now = (since // HOUR_NS + 2) * HOUR_NS + 60 * SECOND
        if since // HOUR_NS == self.broken:
            raise StorageError("unavailable", "gone", "wait")


@pytest.mark.parametrize("broken", [-1, 10])
def test_each_hour_is_copied_once_it_is_over(tmp_path: Path, broken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hour_copies, "_LEAST_SECONDS", 0.01)
    hours = Hours(broken)
    copies = HourCopies(hours.copy, tmp_path, clock=lambda: hours.now)
    assert hours.enough.wait(20)
    copies.stop()
    assert hours.copied[:3] == [9, 10, 11]
