"""The Cost screen: what each entry's answers cost, beside how often they are correct.

The figures are core's sums over all traces. Summing a million takes seconds, so that is done when the screen is opened
and when ``r`` asks for it, shows its progress, and stops when the screen is left. Sums that are quick to make are made
again whenever the ledger moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
from textual.message import Message

from modelspine.cost.format import digits, live_price, live_right
from modelspine.cost.summary import as_object, name_of
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw import plots
from modelspine_console.draw.format import count, dash
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens import cost_tabs as tabs
from modelspine_console.screens.base import Fields, document
from modelspine_console.screens.listing import NO_ENTRIES, Listing
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs
    from modelspine.gate.eval_report import CostPerQuality

    Gate = dict[str, CostPerQuality | None]

_QUICK = 0.5
"""Seconds: sums that took less are made again whenever there is a reason to."""


class _Summed(NamedTuple):
    """What is shown, as it was made in the background."""

    shown: tuple[Any, list[str]]
    """The figures, and the texts of the list's rows."""
    gate: Gate
    foremost: Costs
    columns: tuple[Column, ...]
    took: float
    """Seconds that it took to sum."""


class Left(Exception):
    """The screen was left, or newer sums were requested, while the traces were being summed."""


class CostView(Listing):
    """Entries, in the order they were registered."""

    NAME = "cost"
    TRACES = True
    TABS = ("plot", "figures", "versions")
    EMPTY = NO_ENTRIES
    FIELDS: ClassVar[Fields] = {
        "standing": lambda c: c.standing or "",
        "semver": lambda c: c.semver or "",
        "sha": lambda c: c.sha,
        "variant": lambda c: c.variant,
        "currency": lambda c: c.currency or "",
        "ready": lambda c: c.readiness or "",
    }
    data: Costs | None = None

    class Counted(Message):
        """Some of the requests have been summed."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.text = f"summing {done:,} of {total:,} requests"

    def __init__(self) -> None:
        super().__init__(Table(_columns({}), lambda cost: cost.sha), document("entry"), document("other tab"))
        self.beside = self.panes[2]
        self.moment: str | None = None
        """The moment of the figures; None for the present."""
        self.gate: Gate = {}
        """What right answers of each entry cost at the gate, by its SHA."""
        self.foremost: Costs | None = None
        """The same figures, but only of as many entries as can be compared at a glance."""
        self._took = 0.0
        self._request = 0
        """Number of the newest request for sums; an older one that is still running stops."""
        self._busy = False

    # the list -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Make the sums again if that was requested or is quick; else keep them."""
        moved = self.moment != self.desk.source.at
        due = not self._busy and (self.data is None or self._took < _QUICK)
        if not (moved or due or self.desk.reread):
            return
        if self.data is None or moved:
            self.data = None
            self.list.turn("loading", "summing …")
            self.draw_tab()
        self.moment, self._busy = self.desk.source.at, True
        self._request += 1
        now, number = self.now(), self._request
        self.ask("list", lambda: self._sum(now, number), self.loaded)

    def _sum(self, now: datetime, number: int) -> _Summed | None:
        """The figures and all that takes long to make of them; None if they are no longer needed.

        Runs in the background.
        """
        plots.load()
        started = time.monotonic()
        try:
            made = self.desk.source.costs(now, lambda done, total: self._step(number, done, total))
        except Left:
            return None
        gate = {entry.sha: entry.cost_per_quality for entry in self.desk.source.entries()}
        columns, shown = _columns(gate), self.searchable(made)
        return _Summed(shown, gate, tabs.foremost(made), columns, time.monotonic() - started)

    def _step(self, number: int, done: int, total: int) -> None:
        if not self.display or number != self._request:
            raise Left
        self.post_message(self.Counted(done, total))

    def on_cost_view_counted(self, event: Counted) -> None:
        """Show the progress."""
        event.stop()
        if self.data is None:
            self.list.turn("loading", event.text, "leave this screen to stop")
        else:
            self.list.describe(event.text)

    def loaded(self, outcome: Outcome[Any]) -> None:
        """Show the sums; make them again if they were stopped and the screen is open again."""
        self._busy = False
        if outcome.value is not None:
            shown, self.gate, self.foremost, columns, self._took = outcome.value
            self.table.set_columns(columns)
            super().loaded(Outcome(shown))
        elif not outcome.ok:
            self.lost(outcome)
        elif self.display:
            self.reload()

    def rows_of(self, data: Any) -> Sequence[Any]:
        """The entries, in the order they were registered."""
        entries: Sequence[Any] = data.entries
        return entries

    def recount(self) -> None:
        """Show how many rows pass the filter, and how old the figures are."""
        super().recount()
        if self.data is not None and self.moment is None:
            self.list.describe(f"{self.list.aside}  {tabs.aged(self.data, self.now())}")

    def dim(self, dimmed: bool) -> None:
        """Draw everything as stale, or not; called at every tick, so the age of the figures is updated here."""
        super().dim(dimmed)
        if self.display and not self._busy and self.list.state == "ready":
            self.recount()

    # the detail ---------------------------------------------------------------------------------------

    def draw_tab(self) -> None:
        """Draw the open tab of the entry; where there is room, the other one beside it."""
        cost: EntryCost | None = self.table.current
        other = "figures" if self.tab == "plot" else "plot"
        self.about.title(name_of(cost) if cost is not None else "entry")
        self.beside.title(other)
        for pane, name in ((self.about, self.tab), (self.beside, other)):
            if cost is None or self.data is None:
                pane.turn("empty", "no entry selected")
            else:
                pane.show(self._drawing(self.data, cost, name), ages=name == "figures")

    def _drawing(self, made: Costs, cost: EntryCost, name: str) -> Callable[[int], Sequence[Line]]:
        few = self.foremost or made
        left_out = tabs.left_out(len(made.entries) - len(few.entries))
        if name == "versions":
            return lambda width: [*tabs.versions(few, cost, width), *left_out]
        if name == "plot":
            return lambda width: [*tabs.plane(few, cost, width), *left_out]
        return lambda width: tabs.figures(made, cost, self.gate.get(cost.sha), self.now(), width)

    # names --------------------------------------------------------------------------------------------

    def key_of(self, name: str) -> str:
        """The SHA of the entry that a semver or the start of a SHA means."""
        entries = self.data.entries if self.data is not None else ()
        return next((c.sha for c in entries if c.semver == name or c.sha.startswith(name)), name)

    def name_of(self, item: Any) -> str:
        """The semver of an entry, else the start of its SHA."""
        return name_of(item)

    def target(self) -> str:
        """SHA of the entry under the cursor."""
        cost: EntryCost | None = self.table.current
        return cost.sha if cost is not None else ""

    def reason(self, action: str) -> str | None:
        """Lineage and requests need an entry."""
        return "no entry selected" if action in ("lineage", "incident") and not self.target() else None

    def copies(self) -> list[tuple[str, str]]:
        """The entry's names, and the equivalent commands."""
        cost: EntryCost | None = self.table.current
        if cost is None:
            return []
        at = f" --at {self.moment}" if self.moment else ""
        names = [("sha", cost.sha), *([("semver", cost.semver)] if cost.semver else [])]
        return [*names, ("command", f"spine cost --json{at}"), ("page command", f"spine cost --md docs/COSTS.md{at}")]

    def export(self) -> tuple[str, Any] | None:
        """The entries that are shown, as ``spine cost --json`` writes them."""
        if self.data is None:
            return None
        return "cost", as_object(msgspec.structs.replace(self.data, entries=tuple(self.table.shown)))


def _columns(gate: Gate) -> tuple[Column, ...]:
    """The columns; ``gate`` has what right answers of each entry cost at the gate, by its SHA."""

    def at_gate(cost: Any) -> float | None:
        found = gate.get(cost.sha)
        return found.usd if found is not None else None

    return (
        Column("entry", 12, lambda c: safe(name_of(c)), lambda c: c.semver or "~"),
        Column("sha", 12, lambda c: safe(short(c.sha), "muted"), lambda c: c.sha, rank=6),
        Column("variant", 8, lambda c: dash(c.variant), lambda c: c.variant, rank=8),
        Column("n", 8, lambda c: safe(f"{c.priced:,}"), lambda c: -c.priced, right=True, rank=5),
        Column("correct", 19, lambda c: count(c.total) if c.total else _unknown(), _accuracy, right=True, rank=4),
        Column("USD/M right", 11, lambda c: _gated(at_gate(c)), lambda c: _size(at_gate(c)), right=True, rank=2),
        Column("live", 9, lambda c: _price(live_right(c, c)), lambda c: _size(_right(c)), right=True, rank=3),
        Column("live with idle", 14, lambda c: _price(live_price(c.amortised_per_correct, c.currency)),
               lambda c: _size(c.amortised_per_correct), right=True, rank=7),
        Column("standing", 11, tabs.standing_of, lambda c: str(c.standing or "~"), rank=1),
    )  # fmt: skip


def _accuracy(cost: Any) -> float:
    return -(cost.accuracy.value if cost.accuracy else 0.0)


def _right(cost: Any) -> float | None:
    """What a right answer costs, live."""
    return cost.cost_per_correct.value if cost.cost_per_correct else None


def _gated(usd: float | None) -> Line:
    return dash(None) if usd is None else safe(digits(usd))


def _price(text: str) -> Line:
    roles: dict[str, Role] = {"unknown": "faint", "not ready": "warn"}
    return safe(text, roles.get(text, ""))


def _size(value: float | None) -> float:
    return float("inf") if value is None else value


def _unknown() -> Line:
    return safe("unknown", "faint")
