"""The Registry screen: every entry, and what is known about the one under the cursor.

It draws what the source returns. What an entry is worth, and what may be done to it, core says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Entries
from modelspine_console.draw.format import age, builtins, count, dash, entry_status
from modelspine_console.draw.sanitize import Line, safe
from modelspine_console.screens import registry_tabs as tabs
from modelspine_console.screens.base import View, document
from modelspine_console.screens.gate_tab import gate
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.registry.entries import Detail, Entry
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated

TABS = ("summary", "buckets", "gate", "manifest", "history")
CHANGES = ("promote", "rollback", "route", "canary", "shadow", "release", "tombstone")
"""What may be asked for on this screen; where an entry stands says what would be refused."""
_REST = 0.06
"""Seconds the cursor rests on an entry before its detail is read."""
_RANKS = {"production": 0, "promoted": 2, "held": 3, "pending": 4, "tombstoned": 5}


class RegistryView(View):
    """Entries, newest first."""

    NAME = "registry"
    TITLE = "registry"
    FIELDS = frozenset({"status", "semver", "sha", "variant", "arm", "parent", "run"})
    LIST = 5

    def __init__(self) -> None:
        super().__init__(Table(self._columns(), lambda entry: entry.sha), document("entry"), document("compare"))
        self.about, self.beside = self.panes[1:]
        self.about.tabs = TABS
        self.entries: Entries | None = None
        self.shown: Detail | None = None
        self.position: Position | None = None
        self.gated: tuple[int, Gated] | None = None
        """The gate's comparison, with the seq it was made on."""
        self.compared: tuple[Detail, Detail] | None = None
        self._sought = ""

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(title="status", width=12, cell=entry_status, sort=_status_rank),
            Column(title="semver", width=8, cell=lambda e: dash(e.semver), sort=_semver, rank=1),
            Column(title="sha", width=12, cell=lambda e: safe(short(e.sha), "muted"), sort=lambda e: e.sha),
            Column(title="variant", width=10, cell=lambda e: dash(e.variant), sort=lambda e: e.variant, rank=3),
            Column(
                title="accuracy",
                width=19,
                cell=lambda e: count(e.total),
                sort=lambda e: -(e.accuracy or 0.0),
                right=True,
                rank=2,
            ),
            Column(
                title="false accepts",
                width=18,
                cell=lambda e: count(e.false_accept),
                sort=_false_accepts,
                right=True,
                rank=5,
            ),
            Column(
                title="age",
                width=7,
                cell=lambda e: age(e.registered_at, self.now()),
                sort=lambda e: e.seq,
                right=True,
                rank=4,
            ),
        )

    def reload(self) -> None:
        """Read the entries again."""
        self.ask("list", self.desk.source.entries, self._loaded, about=(self.desk.source.at,))

    def _loaded(self, outcome: Outcome[Entries]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.entries = outcome.value
        self.refilter()
        if self._sought:
            self.go(self._sought)
        self.select()

    def refilter(self) -> None:
        """Apply the filter."""
        if self.entries is not None:
            self.show_rows(self.entries.rows, self.entries.haystack, _FIELDS, _NONE)
            if not self.table.order:
                self.select()

    def select(self) -> None:
        """Read the entry under the cursor."""
        entry = self.table.current
        if entry is None:
            self.forget("detail")
            self.shown = self.position = None
            self.about.title("entry")
            self.about.turn("empty", "no entry is chosen")
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
        self.about.turn("ready")
        self.draw_tab(top=not same)

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the tab of the entry that is shown; where there is room, the summary stays beside it."""
        detail = self.shown
        if detail is None:
            return
        self.about.title(detail.entry.semver or short(detail.entry.sha))
        draw = self._drawing(detail, TABS[self.about.tab])
        cast("Doc", self.about.body).show(draw, top=top)
        if self.compared is None:
            self.beside.title("summary" if self.about.tab else "buckets")
            self.beside.turn("ready")
            cast("Doc", self.beside.body).show(
                self._drawing(detail, "summary" if self.about.tab else "buckets"), top=top
            )

    def _drawing(self, detail: Detail, tab: str) -> Callable[[int], Sequence[Line]]:
        now = self.now()
        if tab == "summary":
            return lambda width: tabs.summary(detail, now, width)
        if tab == "buckets":
            return lambda width: tabs.buckets(detail.eval_report, width)
        if tab == "gate" and self.position is not None:
            position, gated = self.position, self._gated_now()
            return lambda width: gate(position, gated, now, width)
        if tab == "manifest":
            return lambda _width: tabs.manifest(detail)
        return lambda width: tabs.history(detail, now, width)

    def _gated_now(self) -> Gated | None:
        """The gate's comparison of the entry that is shown, where it was made on this very state."""
        if self.gated is None or self.position is None:
            return None
        seq, gated = self.gated
        return gated if (seq, gated.sha) == (self.position.seq, self.position.sha) else None

    # actions ------------------------------------------------------------------------------------------

    def reason(self, action: str) -> str | None:
        """Comparing needs two marks, and what changes an entry core's leave."""
        if action == "compare" and len(self.table.marks) != 2:
            return "mark two entries with space"
        if action in ("lineage", "incident", *CHANGES, "verify") and self.table.current is None:
            return "no entry is chosen"
        if action == "verify" and self.desk.source.at is not None:
            return "the gate compares with today's baseline: `:at now` first"
        if action in CHANGES:
            known = self.position if self.position is not None and self.position.sha == self.target() else None
            return known.denied.get(action) if known is not None else "the entry is being read"
        return None

    def verify(self) -> None:
        """Let the gate compare the entry, now; nothing is written."""
        sha, seq = self.target(), self.position.seq if self.position is not None else 0
        self.about.tab = TABS.index("gate")
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

    def compare(self) -> None:
        """Put the two marked entries side by side."""
        first, second = (entry.sha for entry in self.table.marks.values())
        source = self.desk.source
        self.beside.title("compare")
        self.beside.turn("loading", f"reading {short(first)} and {short(second)} …")
        self.activate(2)
        self.ask("compare", lambda: (source.detail(first), source.detail(second)), self._compared)

    def _compared(self, outcome: Outcome[Any]) -> None:
        if outcome.value is None:
            self.lost(outcome, self.beside)
            return
        self.compared = outcome.value
        self.beside.turn("ready")
        first, second = outcome.value
        cast("Doc", self.beside.body).show(lambda width: tabs.compare(first, second, width))
        self.activate(2)

    def back(self) -> bool:
        """Leaving a comparison forgets it."""
        if self.compared is not None:
            self.compared = None
            self.table.marks.clear()
            self.draw_tab()
        return super().back()

    def go(self, argument: str) -> None:
        """Put the cursor on a REF."""
        self._sought = argument
        if self.entries is None or not argument:
            return
        self._sought = ""
        sha = next((e.sha for e in self.entries.rows if argument in e.semvers or e.sha.startswith(argument)), argument)
        if argument == "production":
            sha = next((e.sha for e in self.entries.rows if e.production), "")
        if not self.table.seek(sha):
            self.desk.failed(Outcome(error=f"no entry here is named {argument}", hint="/ filters, esc clears it"))

    def target(self) -> str:
        """SHA under the cursor."""
        entry: Entry | None = self.table.current
        return entry.sha if entry is not None else ""

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the tab."""
        entry = self.table.current
        if entry is None or not self.active:
            return ()
        name = entry.semver or short(entry.sha)
        return (name, "compare" if self.compared and self.active > 1 else TABS[self.about.tab])

    def copies(self) -> list[tuple[str, str]]:
        """Names of the entry, and the headless twins."""
        entry = self.table.current
        if entry is None:
            return []
        found = [("sha", entry.sha), *(("semver", semver) for semver in entry.semvers)]
        found += [(name, value) for name, value in (("run", entry.run_id), ("parent", entry.parent_sha)) if value]
        found.append(("command", f"spine show {short(entry.sha)} --json"))
        return [
            *found,
            ("gate command", f"spine gate {short(entry.sha)} --json"),
            ("list command", "spine list --json"),
        ]

    def export(self) -> tuple[str, Any] | None:
        """The rows that are shown."""
        rows = [builtins(self.table.rows[index]) for index in self.table.order]
        return "registry", {"entries": rows}


def _status_rank(entry: Any) -> tuple[int, int]:
    rank = 0 if entry.production else 1 if entry.arms else _RANKS.get(entry.status, 9)
    return rank, -entry.seq


def _semver(entry: Any) -> tuple[int, ...]:
    core = (entry.semver or "").lstrip("v").partition("-")[0]
    return tuple(-int(part) for part in core.split(".") if part.isdigit()) or (1,)


def _false_accepts(entry: Any) -> float:
    return entry.false_accept.ratio or 0.0 if entry.false_accept else 2.0


_NONE = "no entries are registered\nregister a run or a bundle directory: `spine register RUN_ID|BUNDLE_DIR`"
_FIELDS: dict[str, Callable[[Any], str]] = {
    "status": lambda e: f"{'production ' if e.production else ''}{e.status}",
    "semver": lambda e: " ".join(e.semvers),
    "sha": lambda e: e.sha,
    "variant": lambda e: e.variant,
    "arm": lambda e: " ".join(e.arms),
    "parent": lambda e: e.parent_sha or "",
    "run": lambda e: e.run_id or "",
}
