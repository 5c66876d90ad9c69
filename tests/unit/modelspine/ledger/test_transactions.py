"""A state is what the newest events say, or an error: never what they said before."""

from __future__ import annotations

import pytest

from modelspine.errors import Damaged
from modelspine.ledger.store import Draft
from modelspine.spine import Spine


def test_a_ledger_that_cannot_be_folded_fails_each_time_it_is_asked(spine: Spine) -> None:
    """A process that lives long must not go on with the state from before."""
    assert spine.registry.state().seq == 1
    spine.ledger.append([Draft(kind="held", body={"sha": "a" * 64, "reason": "never registered"})], expected=None)
    for _ in range(2):
        with pytest.raises(Damaged, match="event #2 does not fit"):
            spine.registry.state()
