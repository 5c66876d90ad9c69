"""The Cost screen: what each entry's answers cost, beside how often they are correct.

The figures are core's sums over all traces. Summing a million takes seconds, so that is done when the screen is opened
and when ``r`` asks for it, shows its progress, and stops when the screen is left. Sums that are quick to make are made
again whenever the ledger moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from textual.message import Message

from modelspine.cost.format import money, unit_of
from modelspine.cost.summary import as_object, name_of
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw import plots
from modelspine_console.draw.format import count, dash
from modelspine_console.draw.sanitize import Line, safe
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
_MONEY: tuple[tuple[str, int, Callable[[Any], float | None]], ...] = (
    ("cost/1k", 2, lambda c: c.cost_per_1k.value if c.cost_per_1k else None),
    ("CpQU", 3, lambda c: c.cpqu),
    ("/correct", 7, lambda c: c.cost_per_correct.value if c.cost_per_correct else None),
    ("idle/1k", 9, lambda c: c.amortised_per_1k),
)
"""The columns of money: title, rank and amount."""
_PER_QUALITY = ("CpQU", "/correct")
"""Columns whose amount may be unknown because an entry is not ready for deployment."""


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
        super().__init__(Table(_columns(()), lambda cost: cost.sha), document("entry"), document("beside"))
        self.beside = self.panes[2]
        self.moment: str | None = None
        """The moment of the figures; None for the present."""
        self.gate: Gate = {}
        """What right answers of each entry cost at the gate, by its SHA."""
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

    def _sum(self, now: datetime, number: int) -> tuple[Costs, Gate, float] | None:
        """The figures, those of the gate, and the seconds they took; None if they are no longer needed.

        Runs in the background.
        """
        plots.load()
        started = time.monotonic()
        try:
            made = self.desk.source.costs(now, lambda done, total: self._step(number, done, total))
        except Left:
            return None
        gate = {entry.sha: entry.cost_per_quality for entry in self.desk.source.entries()}
        return made, gate, time.monotonic() - started

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
            made, self.gate, self._took = outcome.value
            self.table.set_columns(_columns(made.entries))
            super().loaded(Outcome(self.searchable(made)))
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
        if name == "versions":
            return lambda width: tabs.versions(made, cost, width)
        if name == "plot":
            return lambda width: tabs.plane(made, cost, width)
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


def _columns(entries: Sequence[EntryCost]) -> tuple[Column, ...]:
    """The columns; each column of money has the unit that its amounts share."""
    return (
        Column("entry", 12, lambda c: safe(name_of(c)), lambda c: c.semver or "~"),
        Column("sha", 12, lambda c: safe(short(c.sha), "muted"), lambda c: c.sha, rank=6),
        Column("variant", 8, lambda c: dash(c.variant), lambda c: c.variant, rank=8),
        Column("n", 8, lambda c: safe(f"{c.priced:,}"), lambda c: -c.priced, right=True, rank=5),
        Column("correct", 19, lambda c: count(c.total) if c.total else _unknown(), _accuracy, right=True, rank=4),
        *(_money(title, rank, amount, entries) for title, rank, amount in _MONEY),
        Column("standing", 11, tabs.standing_of, lambda c: str(c.standing or "~"), rank=1),
    )


def _accuracy(cost: Any) -> float:
    return -(cost.accuracy.value if cost.accuracy else 0.0)


def _money(title: str, rank: int, amount: Callable[[Any], float | None], entries: Sequence[EntryCost]) -> Column:
    unit = unit_of((amount(cost), cost.currency) for cost in entries)

    def cell(cost: Any) -> Line:
        value = amount(cost)
        if value is None and title in _PER_QUALITY and cost.readiness == "not-deployment-ready":
            return safe("not ready", "warn")
        if value is None or cost.currency is None:
            return _unknown()
        return safe(unit.show(value, cost.currency) if unit is not None else money(value, cost.currency))

    def size(cost: Any) -> float:
        value = amount(cost)
        return float("inf") if value is None else value

    head = f"{title} {unit.name}" if unit is not None else title
    return Column(head, max(9, len(head)), cell, size, right=True, rank=rank)


def _unknown() -> Line:
    return safe("unknown", "faint")
