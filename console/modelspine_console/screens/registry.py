"""The Registry screen: every entry, and the details of the one under the cursor.

It draws what the source returns. How good an entry is, and what may be done to it, core decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message

from modelspine.errors import Unavailable
from modelspine.registry.diff import compare
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import age, builtins, count, dash, entry_status
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.screens import registry_tabs as tabs
from modelspine_console.screens.base import NO_ENTRIES, Fields, document
from modelspine_console.screens.counterfactual_text import counterfactual_lines
from modelspine_console.screens.gate_tab import gate
from modelspine_console.screens.listing import Listing
from modelspine_console.widgets.document import Draw
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.registry.entries import Detail, Entry
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated

CHANGES = ("promote", "rollback", "route", "canary", "shadow", "release", "tombstone")
"""The changes that can be requested here; the entry's position says which of them would be refused."""
_REST = 0.06
"""Seconds the cursor has to stay on an entry before its details are read, so that a held arrow key reads nothing."""
_RANKS = {"production": 0, "promoted": 2, "held": 3, "pending": 4, "tombstoned": 5}


class RegistryView(Listing):
    """Entries, newest first."""

    class Answered(Message):
        """Both entries have answered some of the stored texts."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.text = f"answered {done:,} of {total:,} stored texts"

    NAME = "registry"
    TABS = ("summary", "buckets", "gate", "manifest", "history")
    EMPTY = NO_ENTRIES
    FIELDS: ClassVar[Fields] = {
        "status": lambda e: f"{'production ' if e.production else ''}{e.status}",
        "semver": lambda e: " ".join(e.semvers),
        "sha": lambda e: e.sha,
        "variant": lambda e: e.variant,
        "arm": lambda e: " ".join(e.arms),
        "parent": lambda e: e.parent_sha or "",
        "run": lambda e: e.run_id or "",
    }

    def __init__(self) -> None:
        columns = (
            Column("status", 12, entry_status, _status_rank),
            Column("semver", 8, lambda e: dash(e.semver), _semver, rank=1),
            Column("sha", 12, lambda e: safe(short(e.sha), "muted"), lambda e: e.sha),
            Column("variant", 10, lambda e: dash(e.variant), lambda e: e.variant, rank=3),
            Column("accuracy", 19, lambda e: count(e.total), lambda e: -(e.accuracy or 0.0), right=True, rank=2),
            Column("false accepts", 18, lambda e: count(e.false_accept), _false_accepts, right=True, rank=6),
            Column("USD/1M right", 12, _right_answers, _cost, right=True, rank=5),
            Column("age", 7, lambda e: age(e.registered_at, self.now()), lambda e: e.seq, right=True, rank=4),
        )
        super().__init__(Table(columns, lambda entry: entry.sha), document("entry"), document("compare"))
        self.beside = self.panes[2]
        self.shown: Detail | None = None
        self.position: Position | None = None
        self.gated: tuple[int, Gated] | None = None
        """The gate's comparison, with the seq of the ledger it was made on."""
        self.compared = ""
        """Title of the comparison that is shown; empty if none is."""
        self._comparison = 0
        """Number of the newest comparison; an older one that is still running stops."""

    def read(self) -> Any:
        """Every entry."""
        return self.desk.source.entries()

    def select(self) -> None:
        """Read the entry under the cursor."""
        entry = self.table.current
        if entry is None:
            self.forget("detail")
            self.shown = self.position = None
            self.about.title("entry")
            self.about.turn("empty", "no entry selected")
            return
        if self.shown is None:
            self.about.turn("loading", f"reading {short(entry.sha)} …")
        source = self.desk.source
        self.ask("detail", lambda: (source.detail(entry.sha), source.position(entry.sha)), self._detailed, rest=_REST)

    def _detailed(self, outcome: Outcome[Any]) -> None:
        if outcome.value is None:
            self.shown = self.position = None
            self.about.turn("error", outcome.error, outcome.hint)
            self.desk.failed(outcome)
            return
        detail, self.position = outcome.value
        same = self.shown is not None and self.shown.entry.sha == detail.entry.sha
        self.shown = detail
        self.draw_tab(top=not same)

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the open tab of the entry; where there is room, the summary or the buckets beside it."""
        detail = self.shown
        if detail is None:
            return
        self.about.title(self.name_of(detail.entry))
        self.about.show(self._drawing(detail, self.tab), top=top, ages=True)
        if not self.compared:
            beside = "summary" if self.about.tab else "buckets"
            self.beside.title(beside)
            self.beside.show(self._drawing(detail, beside), top=top, ages=True)

    def _drawing(self, detail: Detail, tab: str) -> Callable[[int], Sequence[Line]]:
        now = self.now
        if tab == "summary":
            return lambda width: tabs.summary(detail, now(), width)
        if tab == "buckets":
            return lambda width: tabs.buckets(detail.eval_report, width)
        if tab == "gate" and self.position is not None:
            position, gated = self.position, self._current_gate()
            return lambda width: gate(position, gated, now(), width)
        if tab == "manifest":
            return lambda _width: tabs.manifest(detail)
        return lambda width: tabs.history(detail, now(), width)

    def _current_gate(self) -> Gated | None:
        """The gate's comparison of the entry that is shown, if the ledger has not moved since it was made."""
        if self.gated is None or self.position is None:
            return None
        seq, gated = self.gated
        return gated if (seq, gated.sha) == (self.position.seq, self.position.sha) else None

    # actions ------------------------------------------------------------------------------------------

    def reason(self, action: str) -> str | None:
        """Why an action cannot be done: missing marks, no entry, or core's reason."""
        if action in ("compare", "counterfactual") and len(self.table.marks) != 2:
            return "mark two entries with space"
        if action in ("lineage", "incident", *CHANGES, "verify") and self.table.current is None:
            return "no entry selected"
        if action == "verify" and self.desk.source.at is not None:
            return "the gate compares with today's baseline; return to the present first (:at now)"
        if action in CHANGES:
            known = self.position if self.position is not None and self.position.sha == self.target() else None
            return known.denied.get(action) if known is not None else "the entry is still being read"
        return None

    def verify(self) -> None:
        """Run the gate's comparison of the entry now; nothing is recorded."""
        sha, seq = self.target(), self.position.seq if self.position is not None else 0
        self.about.tab = self.TABS.index("gate")
        self.about.describe("comparing …")
        self.draw_tab()
        self.ask("gate", lambda: (seq, self.desk.source.compare(sha)), self._judged)

    def _judged(self, outcome: Outcome[Any]) -> None:
        self.about.describe("")
        if outcome.value is None:
            self.lost(outcome, self.about)
            return
        self.gated = outcome.value
        self.draw_tab(top=False)

    def compare(self, *, on_requests: bool = False) -> None:
        """Show the differences between the two marked entries, or between their answers to the stored requests."""
        first, second = self.table.marks.values()
        names, source = [self.name_of(first), self.name_of(second)], self.desk.source
        self._comparison += 1
        number = self._comparison
        self.compared = "stored requests" if on_requests else "compare"
        self.beside.title(self.compared)
        self.beside.turn("loading", f"reading {names[0]} and {names[1]} …")
        self.activate(2)

        def differences() -> Draw:
            found = compare(source.detail(first.sha), source.detail(second.sha))
            return lambda width: tabs.compare(found, names, width)

        def answers() -> Draw:
            found = source.counterfactual(first.sha, second.sha, lambda *at: self._step(number, *at))
            return lambda width: counterfactual_lines(found, names, width)

        self.ask("compare", answers if on_requests else differences, self._compared)

    def _step(self, number: int, done: int, total: int) -> None:
        """Report the progress, or stop if nobody waits for the answers any more; called in the background."""
        if number != self._comparison:
            raise Unavailable("another comparison was requested", "press w to compare again")
        self.post_message(self.Answered(done, total))

    def on_registry_view_answered(self, event: Answered) -> None:
        """Show the progress."""
        event.stop()
        if self.compared and self.beside.state == "loading":
            self.beside.turn("loading", event.text, "Esc stops it")

    def _compared(self, outcome: Outcome[Draw]) -> None:
        if outcome.value is None:
            self.lost(outcome, self.beside)
            return
        self.beside.show(outcome.value)
        self.activate(2)

    def back(self) -> bool:
        """Leave the comparison, if one is shown."""
        if self.compared:
            self.compared = ""
            self._comparison += 1
            self.forget("compare")
            self.table.marks.clear()
            self.draw_tab()
        return super().back()

    # names --------------------------------------------------------------------------------------------

    def key_of(self, name: str) -> str:
        """The SHA of the entry that a semver, the start of a SHA or ``production`` means."""
        entries: Sequence[Entry] = self.data
        if name == "production":
            return next((e.sha for e in entries if e.production), "")
        return next((e.sha for e in entries if name in e.semvers or e.sha.startswith(name)), name)

    def name_of(self, item: Any) -> str:
        """The semver of an entry, else the start of its SHA."""
        return item.semver or short(item.sha)

    def target(self) -> str:
        """SHA of the entry under the cursor."""
        entry: Entry | None = self.table.current
        return entry.sha if entry is not None else ""

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the tab or the comparison."""
        found = super().crumbs()
        return (found[0], self.compared) if found and self.compared and self.active > 1 else found

    def copies(self) -> list[tuple[str, str]]:
        """The entry's names, and the equivalent commands."""
        entry = self.table.current
        if entry is None:
            return []
        names = [("sha", entry.sha), *(("semver", semver) for semver in entry.semvers)]
        names += [(name, value) for name, value in (("run", entry.run_id), ("parent", entry.parent_sha)) if value]
        return [
            *names,
            ("command", f"spine show {short(entry.sha)} --json"),
            ("gate command", f"spine gate {short(entry.sha)} --json"),
            ("list command", "spine list --json"),
        ]

    def export(self) -> tuple[str, Any] | None:
        """The entries that are shown."""
        return "registry", {"entries": builtins(self.table.shown)}


def _status_rank(entry: Any) -> tuple[int, int]:
    rank = 0 if entry.production else 1 if entry.arms else _RANKS.get(entry.status, 9)
    return rank, -entry.seq


def _semver(entry: Any) -> tuple[int, ...]:
    """Sorts the highest version first and entries without one last."""
    core = (entry.semver or "").lstrip("v").partition("-")[0]
    return tuple(-int(part) for part in core.split(".") if part.isdigit()) or (1,)


def _right_answers(entry: Any) -> Line:
    cost = entry.cost_per_quality
    return dash(f"{cost.usd:.3g}" if cost is not None else None)


def _cost(entry: Any) -> float:
    return float(entry.cost_per_quality.usd) if entry.cost_per_quality is not None else float("inf")


def _false_accepts(entry: Any) -> float:
    """Sorts entries that were never evaluated behind all others: no ratio reaches 2."""
    return entry.false_accept.ratio or 0.0 if entry.false_accept else 2.0
