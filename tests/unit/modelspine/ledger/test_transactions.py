"""A state is what the newest events say, or an error: never what they said before."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelspine.errors import Damaged
from modelspine.spine import Spine
from past_spine import run_sql


def test_a_ledger_whose_chain_is_broken_fails_each_time_it_is_asked(spine: Spine) -> None:
    """A process that lives long must not go on with the state from before."""
    assert spine.registry.state().seq == 1
    run_sql(
        Path(spine.settings.ledger.removeprefix("sqlite:///")),
        "INSERT INTO events SELECT 3, event, 'x', NULL FROM events",
    )
    for _ in range(2):
        with pytest.raises(Damaged, match="event #2 is missing"):
            spine.registry.state()
