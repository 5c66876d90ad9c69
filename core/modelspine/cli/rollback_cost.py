"""What going back to an earlier entry costs, printed before ``rollback`` or ``route single`` makes the change.

It never keeps an operator from the change: whatever goes wrong here makes the cost unknown. It does not know how the
cost is found.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelspine.cli.output import Out
from modelspine.errors import SpineError
from modelspine.ledger.store import storage_errors
from modelspine.spine import Spine


class CostNotice:
    """Prints the cost of going back to one entry, when it is called; ``found`` keeps it for the JSON."""

    def __init__(self, out: Out, spine: Spine, ref: str, *, always: bool) -> None:
        self._out = out
        self._spine = spine
        self._ref = ref
        self._always = always
        self._printed = ""
        self.found: dict[str, Any] | None = None

    def __call__(self) -> None:
        """Find the cost and print it; without ``always`` only for an entry that was the stable arm before."""
        from modelspine.release.rollback_cost import RollbackCost, rollback_cost

        state = self._spine.registry.state()
        sha = state.resolve(self._ref)
        if not self._always and not state.entries[sha].stable_since:
            return
        try:
            with storage_errors():
                cost = rollback_cost(self._spine, sha)
        except Exception as error:  # noqa: BLE001  (an operator in trouble must be able to go back, whatever fails here)
            why = error.message if isinstance(error, SpineError) else type(error).__name__
            cost = RollbackCost(target=sha, production=state.production, unknown=why)
        self.found = {"sentence": cost.sentence(), **msgspec.to_builtins(cost)}
        # Called again if another writer came first; the same sentence twice would only confuse.
        if not self._out.json and cost.sentence() != self._printed:
            self._printed = cost.sentence()
            self._out.line(f"cost: {self._printed}")
