"""The Cost screen: what each entry's answers cost beside how often they are right.

The figures are core's sums over every trace. Adding up a million takes seconds, so it is done when the screen is
opened and when ``r`` asks for it, says how far it is, and stops where the screen is left; a sum that took no time
is simply made again when the ledger moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from textual.message import Message

from modelspine.cost.format import money, unit_of
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw import plots
from modelspine_console.draw.format import builtins, count, dash
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.screens import cost_tabs as tabs
from modelspine_console.screens.base import View, document
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from datetime import datetime

    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs

TABS = ("plot", "figures")
_QUICK = 0.5
"""Seconds: a sum that took less is made again whenever there is a reason to."""
_MONEY: tuple[tuple[str, int, Callable[[Any], float | None]], ...] = (
    ("cost/1k", 2, lambda c: c.cost_per_1k.value if c.cost_per_1k else None),
    ("CpQU", 3, lambda c: c.cpqu),
    ("/correct", 7, lambda c: c.cost_per_correct.value if c.cost_per_correct else None),
    ("idle/1k", 9, lambda c: c.amortised_per_1k),
)
"""Columns of money: title, rank and amount."""
_DIVIDED = ("CpQU", "/correct")
"""Those in which nothing stands for an entry that is not ready."""


class Left(Exception):
    """The screen was left, or something newer asked, while the traces were added up."""


class CostView(View):
    """Entries, in the order they were registered."""

    NAME = "cost"
    TITLE = "cost"
    FIELDS = frozenset({"standing", "semver", "sha", "variant", "currency", "ready"})
    LIST = 5

    class Counted(Message):
        """So many requests of so many were added up."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.text = f"adding up {done:,} of {total:,} requests"

    def __init__(self) -> None:
        super().__init__(Table(_columns(()), lambda cost: cost.sha), document("entry"), document("beside"))
        self.about, self.beside = self.panes[1:]
        self.about.tabs = TABS
        self.made: Costs | None = None
        self.of: str | None = None
        """The moment the figures are of; None for now."""
        self._took = 0.0
        self._asked = 0
        self._busy = False
        self._sought = ""

    # the list -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Add everything up again, where that was asked for or costs nothing; else only say how old it is."""
        moved = self.of != self.desk.source.at
        due = not self._busy and (self.made is None or self._took < _QUICK)
        if not (moved or due or self.desk.reread):
            return
        if self.made is None or moved:
            self.made = None
            self.list.turn("loading", "adding up …")
            self.draw_tab()
        self.of, self._busy = self.desk.source.at, True
        now, self._asked = self.now(), self._asked + 1
        number = self._asked
        self.ask("list", lambda: self._add_up(now, number), self._loaded)

    def _add_up(self, now: datetime, number: int) -> tuple[Costs, float] | None:
        """The figures and the seconds they took; None where nobody waits for them any more. In the background."""
        plots.load()
        started = time.monotonic()
        try:
            made = self.desk.source.costs(now, lambda done, total: self._step(number, done, total))
        except Left:
            return None
        return made, time.monotonic() - started

    def _step(self, number: int, done: int, total: int) -> None:
        if not self.display or number != self._asked:
            raise Left
        self.post_message(self.Counted(done, total))

    def on_cost_view_counted(self, event: Counted) -> None:
        """Say how far it is."""
        event.stop()
        if self.made is None:
            self.list.turn("loading", event.text, "going to another screen stops it")
        else:
            self.list.describe(event.text)

    def _loaded(self, outcome: Outcome[Any]) -> None:
        self._busy = False
        if not outcome.ok:
            self.lost(outcome)
            return
        if outcome.value is None:
            if self.display:  # left, and back again before it noticed
                self.reload()
            return
        made, self._took = outcome.value
        self.made = made
        self.table.set_columns(_columns(made.entries))
        self.refilter()
        if self._sought:
            self.go(self._sought)
        self.select()

    def refilter(self) -> None:
        """Apply the filter."""
        if self.made is None:
            return
        rows = self.made.entries
        self.show_rows(rows, tuple(_text(cost) for cost in rows), _FIELDS, _NONE)
        if not self.table.order:
            self.select()

    def recount(self) -> None:
        """Say how many rows are shown, and how old the figures are."""
        super().recount()
        if self.made is not None and self.of is None:
            self.list.describe(f"{self.list.aside}  {tabs.aged(self.made, self.now())}")

    def dim(self, dimmed: bool) -> None:
        """Draw everything as old, or not; the figures age with every tick."""
        super().dim(dimmed)
        if self.display and not self._busy and self.list.state == "ready":
            self.recount()

    # the detail ---------------------------------------------------------------------------------------

    def select(self) -> None:
        """Show the entry under the cursor."""
        self.draw_tab()

    def draw_tab(self) -> None:
        """Draw the tab of the entry; where there is room, the other one beside it."""
        cost: EntryCost | None = self.table.current
        self.about.title(tabs.name_of(cost) if cost is not None else "entry")
        self.beside.title(TABS[1 - self.about.tab])
        for pane, name in ((self.about, TABS[self.about.tab]), (self.beside, TABS[1 - self.about.tab])):
            if cost is None or self.made is None:
                pane.turn("empty", "no entry is chosen")
            else:
                pane.turn("ready")
                cast("Doc", pane.body).show(self._drawing(self.made, cost, name))

    def _drawing(self, made: Costs, cost: EntryCost, name: str) -> Callable[[int], Sequence[Line]]:
        if name == "plot":
            return lambda width: tabs.plane(made, cost, width)
        return lambda width: tabs.figures(made, cost, self.now(), width)

    def go(self, argument: str) -> None:
        """Put the cursor on an entry."""
        self._sought = argument
        if self.made is None or not argument:
            return
        self._sought = ""
        sha = next((c.sha for c in self.made.entries if c.semver == argument or c.sha.startswith(argument)), argument)
        if not self.table.seek(sha):
            self.desk.failed(Outcome(error=f"no entry here is named {argument}", hint="/ filters, esc clears it"))

    # words --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA under the cursor."""
        cost: EntryCost | None = self.table.current
        return cost.sha if cost is not None else ""

    def reason(self, action: str) -> str | None:
        """Lineage and requests are of an entry."""
        return "no entry is chosen" if action in ("lineage", "incident") and not self.target() else None

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the tab."""
        cost = self.table.current
        return (tabs.name_of(cost), TABS[self.about.tab]) if cost is not None and self.active else ()

    def copies(self) -> list[tuple[str, str]]:
        """Names of the entry, and the headless twin."""
        cost: EntryCost | None = self.table.current
        if cost is None:
            return []
        at = f" --at {self.of}" if self.of else ""
        found = [("sha", cost.sha), *([("semver", cost.semver)] if cost.semver else [])]
        return [*found, ("command", f"spine cost --json{at}"), ("page command", f"spine cost --md docs/COSTS.md{at}")]

    def export(self) -> tuple[str, Any] | None:
        """The entries that are shown, as the headless twin writes them."""
        if self.made is None:
            return None
        shown = tuple(self.table.rows[index] for index in self.table.order)
        return "cost", builtins(msgspec.structs.replace(self.made, entries=shown))


def _columns(entries: Sequence[EntryCost]) -> tuple[Column, ...]:
    """The columns, those of money each in the unit its amounts share."""
    return (
        Column(title="entry", width=12, cell=lambda c: safe(tabs.name_of(c)), sort=lambda c: c.semver or "~"),
        Column(title="sha", width=12, cell=lambda c: safe(short(c.sha), "muted"), sort=lambda c: c.sha, rank=6),
        Column(title="variant", width=8, cell=lambda c: dash(c.variant), sort=lambda c: c.variant, rank=8),
        Column(title="n", width=8, cell=lambda c: safe(f"{c.requests:,}"), sort=lambda c: -c.requests, right=True,
               rank=5),
        Column(title="right", width=19, cell=lambda c: count(c.total) if c.total else _unknown(), right=True, rank=4,
               sort=lambda c: -(c.accuracy.value if c.accuracy else 0.0)),
        *(_money(title, rank, amount, entries) for title, rank, amount in _MONEY),
        Column(title="standing", width=11, cell=tabs.standing_of, sort=lambda c: str(c.standing or "~"), rank=1),
    )  # fmt: skip


def _money(title: str, rank: int, amount: Callable[[Any], float | None], entries: Sequence[EntryCost]) -> Column:
    unit = unit_of((amount(cost), cost.currency) for cost in entries)

    def cell(cost: Any) -> Line:
        value = amount(cost)
        if title in _DIVIDED and cost.readiness == "not-deployment-ready":
            return safe("not ready", "warn")
        if value is None or cost.currency is None:
            return _unknown()
        return safe(unit.show(value, cost.currency) if unit is not None else money(value, cost.currency))

    def size(cost: Any) -> float:
        value = amount(cost)
        return float("inf") if value is None else value

    shown = f"{title} {unit.name}" if unit is not None else title
    return Column(title=shown, width=max(9, len(shown)), cell=cell, sort=size, right=True, rank=rank)


def _unknown() -> Line:
    return safe("unknown", "faint")


def _text(cost: Any) -> str:
    words = (cost.sha, cost.semver or "", cost.variant, cost.standing or "", cost.currency or "", cost.readiness or "")
    return " ".join(words).lower()


_NONE = "no entries are registered\nregister a run or a bundle directory: `spine register RUN_ID|BUNDLE_DIR`"
_FIELDS: dict[str, Callable[[Any], str]] = {
    "standing": lambda c: c.standing or "",
    "semver": lambda c: c.semver or "",
    "sha": lambda c: c.sha,
    "variant": lambda c: c.variant,
    "currency": lambda c: c.currency or "",
    "ready": lambda c: c.readiness or "",
}
