"""What going back to an earlier entry costs, printed after ``rollback`` or ``route single`` made the change, and the
preview of a rollback, which changes nothing.

It never keeps an operator from the change: whatever goes wrong here makes the cost unknown. It does not know how the
cost is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Out
from modelspine.cli.progress import working
from modelspine.errors import Exit, SpineError
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, storage_errors
from modelspine.spine import Spine

PATIENCE = 20.0
"""Seconds that production may take to answer complaints where nobody waits for the change itself."""


class CostNotice:
    """The cost of going back to one entry: noted when the change is decided, found and printed once it is made.

    Nothing may delay the change, and asking production about complaints takes seconds. ``found`` is for the JSON.
    """

    def __init__(self, out: Out, spine: Spine, ref: str, *, always: bool) -> None:
        self._out = out
        self._spine = spine
        self._ref = ref
        self._always = always
        self._state: State | None = None
        self.found: dict[str, Any] | None = None

    def __call__(self) -> None:
        """Note the state that the change is decided on; called again if another writer came first."""
        self._state = self._spine.registry.state()

    def show(self, seconds: float | None = None) -> None:
        """Find the cost and print it; without ``always`` only for an entry that was the stable arm before."""
        from modelspine.release.rollback_cost import SECONDS, RollbackCost, rollback_cost

        state = self._state
        if state is None:  # nothing changed
            return
        sha = state.resolve(self._ref)
        if not self._always and not state.entries[sha].stable_since:
            return
        try:
            with storage_errors():
                cost = rollback_cost(self._spine, sha, state=state, seconds=SECONDS if seconds is None else seconds)
        except Exception as error:  # noqa: BLE001  (the change is made; whatever fails here only leaves the cost unknown)
            why = error.message if isinstance(error, SpineError) else type(error).__name__
            unknown: dict[str, Any] = {"unknown": why, "reopened": None, "unchecked_why": why}
            cost = RollbackCost(target=sha, production=state.production, **unknown)
        self.found = {"sentence": cost.sentence(), **msgspec.to_builtins(cost)}
        if not self._out.json:
            self._out.line(f"cost: {cost.sentence()}")


def preview_rollback(out: Out, spine: Spine, ref: str) -> int:
    """Show what a rollback would change and cost, and what it would mean for recent traffic; nothing is changed.

    Raises:
        Refused, Damaged, Unavailable: the rollback would be refused.
    """
    from modelspine.incident.counterfactual import preview

    with working("hashing the bundle"):
        drafts = spine.routing.planned_rollback(ref)
        sha = spine.registry.resolve(ref)
    state = spine.registry.state()
    if not out.json:
        out.line(_planned(drafts, state, sha))
    cost = CostNotice(out, spine, sha, always=True)
    cost()
    cost.show(PATIENCE)
    with working("asking both entries") as progress:
        traffic = preview(spine, sha, lambda done, total: progress.step("", done, total))
    if out.json:
        events = [{"kind": draft.kind, "body": draft.body} for draft in drafts]
        made = {"sentence": traffic.sentence, **msgspec.to_builtins(traffic)}
        out.object({"dry_run": True, "sha": sha, "events": events, "cost": cost.found, "traffic": made})
        return Exit.OK
    out.paragraph(f"traffic: {traffic.sentence}")
    out.line("nothing was changed")
    return Exit.OK


def _planned(drafts: Sequence[Draft], state: State, sha: str) -> str:
    """What a rollback would do, in a line."""

    def name(each: str) -> str:
        return entry_name(each, (state.entries[each].semvers or [""])[-1])

    if not drafts:
        return f"{name(sha)} receives all traffic already; a rollback would change nothing"
    held = [name(draft.body["sha"]) for draft in drafts if draft.kind == "held"]
    holds = f" and put {', '.join(held)} on hold" if held else ""
    return f"would route all traffic to {name(sha)}{holds}"
