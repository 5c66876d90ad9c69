"""The pause before a lost worker process is replaced grows with the losses in a row, and has an end."""

from __future__ import annotations

from miniserve.restart import LONGEST_PAUSE, PATIENCE, pause_after


def test_first_losses_are_replaced_at_once_and_later_ones_ever_more_slowly() -> None:
    assert [pause_after(losses) for losses in range(PATIENCE + 1)] == [0.0] * (PATIENCE + 1)
    assert [pause_after(PATIENCE + more) for more in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause_after(10_000) == LONGEST_PAUSE
