"""How many workers answer at the same time, by how long batches take and how many cores there are."""

from __future__ import annotations

import pytest

from miniserve.pace import Pace

BATCH = 8


def pace(seconds: float, cores: int) -> Pace:
    """A pace after many batches of that length."""
    made = Pace(BATCH, cores)
    for _ in range(100):
        made.note(seconds)
    return made


@pytest.mark.parametrize(
    ("seconds", "cores", "most"),
    [(0.001, 8, 1), (0.004, 2, 1), (0.01, 2, 1), (0.01, 1, 1), (0.01, 8, 7), (0.05, 1, 2), (0.05, 2, 2), (0.05, 8, 8)],
)
def test_so_many_workers_are_busy_before_a_text_waits(seconds: float, cores: int, most: int) -> None:
    found = pace(seconds, cores)
    assert [found.holds(1, busy=busy) for busy in range(most)] == [False] * most
    assert found.holds(1, busy=most) is (seconds < 0.02)


def test_a_crowd_wakes_every_worker() -> None:
    assert pace(0.001, 2).holds(2 * BATCH - 1, busy=1)
    assert not pace(0.001, 2).holds(2 * BATCH, busy=1)


@pytest.mark.parametrize(
    ("seconds", "cores", "waiting", "idle", "busy", "part"),
    [
        (0.001, 8, 7, 8, 0, 7),
        (0.01, 2, 7, 2, 0, 7),
        (0.01, 8, 7, 8, 0, 1),
        (0.01, 8, 7, 4, 4, 3),
        (0.05, 2, 7, 2, 0, 4),
        (0.05, 2, 7, 1, 1, 7),
        (0.05, 2, 40, 2, 0, BATCH),
    ],
)
def test_a_worker_gets_an_equal_part_of_what_is_answered_at_once(
    seconds: float, cores: int, waiting: int, idle: int, busy: int, part: int
) -> None:
    assert pace(seconds, cores).part(waiting, idle=idle, busy=busy) == part


def test_a_new_server_wakes_every_worker() -> None:
    assert not Pace(BATCH, 2).holds(1, busy=1)
