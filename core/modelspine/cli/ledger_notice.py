"""What a command says on stderr about the ledger that it read: events it could not read, and a time that is unsure.

One place for every verb, because the ledger is read behind all of them.
"""

from __future__ import annotations

import sys

from modelspine.spine import Spine
from modelspine.text import visible

_NAMED = 3
"""Most events that are named."""


def ledger_notice(spine: Spine, at: str | None) -> None:
    """Say what a reader of the command's answer has to know; nothing if the ledger was not read, or is as it should be.

    ``at`` is the time that the command was asked about, if any.
    """
    registry = spine.__dict__.get("registry")  # reading the property would open the ledger
    if registry is None or "ledger" not in spine.__dict__:
        return
    history = registry.history
    lines = [f"event #{each.seq} cannot be read and changes nothing here: {each.why}" for each in history.unreadable]
    more = len(lines) - _NAMED
    lines = lines[:_NAMED] + ([f"{more} more events cannot be read"] if more > 0 else [])
    lines += ["`spine verify` checks the whole ledger"] if lines else []
    if (mark := spine.ledger.lost()) is not None:
        lines.append(
            f"the ledger does not hold event #{mark.seq}:{mark.hash[:12]}, which this machine saw in it: events were "
            "removed, or another ledger was put in its place; `spine verify` says more"
        )
    if at is not None and (cut := history.cut(at)).seq != cut.by_order:
        lines.append(
            f"unsure: a clock was ahead or behind, so at {at} the ledger stood at #{cut.seq} by the clocks of its "
            f"writers, shown here, or at #{cut.by_order} by the order of events; `spine verify` names the clock"
        )
    for line in lines:
        sys.stderr.write(f"spine: {visible(line, 400)}\n")
