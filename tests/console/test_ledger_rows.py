"""The console shows a row that cannot be read as such, and its check of the ledger names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelspine.errors import Damaged
from modelspine.spine import Spine
from modelspine_console.data.source import Source
from past_spine import append_row


def test_a_row_that_cannot_be_read_is_listed_and_fails_the_check(spine: Spine) -> None:
    source = Source(spine)
    assert source.check().events == len(source.events())
    seq = append_row(Path(spine.settings.ledger.removeprefix("sqlite:///")), "routed", {"arms": []})
    with pytest.raises(Damaged, match=f"event #{seq} cannot be read"):
        source.check()
    assert (source.events()[0].kind, source.events()[0].seq) == ("unreadable", seq)
