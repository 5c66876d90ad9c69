"""The Lineage screen: the walk from an entry up to its run, code, corpora and parent, as a tree.

A branch is closed until it is opened. It draws core's hops and says of each what core says, nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins, heading, status, tree
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.screens.base import View, document
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.lineage.corpora import Search
    from modelspine.lineage.walker import Hop, Lineage

_ALL_ROWS = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A hop at its place in the tree."""

    path: tuple[int, ...]
    hop: Any
    open: bool


class LineageView(View):
    """Hops."""

    NAME = "lineage"
    TITLE = "lineage"
    FIELDS = frozenset({"kind", "status"})
    LIST = 5

    def __init__(self) -> None:
        columns = (
            Column(title="hop", width=30, cell=_label, grow=True),
            Column(title="status", width=11, cell=lambda node: status(node.hop.status), rank=1),
        )
        super().__init__(Table(columns, lambda node: node.path), document("hop"), document("rows"))
        self.hop_pane, self.rows_pane = self.panes[1:]
        self.ref = ""
        self.lineage: Lineage | None = None
        self.opened: set[tuple[int, ...]] = {()}
        self.pattern = ""
        self._hash = ""

    # the walk -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Walk again; without a name, from production."""
        ref = self.ref or "production"
        self.ask("walk", lambda: self.desk.source.lineage(ref, verify=False), self._walked)

    def go(self, argument: str) -> None:
        """Walk from another entry; ``REF HASH PATTERN`` also searches one of its corpora."""
        ref, _, rest = argument.partition(" ")
        if ref != self.ref:
            self.lineage = None
            self.opened = {()}
            self.table.load(())
            self.list.title("lineage")
            self.list.turn("loading", f"walking from {short(ref)} …")
            self.select()
        self.ref = ref
        self._hash, _, self.pattern = rest.partition(" ")
        self.reload()

    def _walked(self, outcome: Outcome[Any]) -> None:
        self.list.describe("")
        if outcome.value is None:
            if not self.ref:
                self.list.turn("empty", outcome.error, "press o on an entry, or `:lineage REF`")
                self.hop_pane.turn("empty", "no hop is chosen")
                return
            self.lost(outcome)
            return
        fresh = self.lineage is None
        self.lineage = outcome.value
        self.list.title(f"lineage of {short(outcome.value.sha)}")
        self.refilter()
        if fresh and self._hash:
            self._seek_corpus(self._hash)
        self.select()

    def verify(self) -> None:
        """Walk again and hash every byte on the way."""
        ref = self.ref or "production"
        self.list.describe("hashing …")
        self.ask("walk", lambda: self.desk.source.lineage(ref, verify=True), self._walked)

    # the tree -----------------------------------------------------------------------------------------

    def refilter(self) -> None:
        """Lay the open branches out; a filter looks through closed ones too."""
        if self.lineage is None:
            return
        nodes = tuple(_nodes(self.lineage.root, (), self.opened, everything=bool(self.filter.terms)))
        haystack = tuple(f"{node.hop.kind} {node.hop.label} {node.hop.status}".lower() for node in nodes)
        self.show_rows(nodes, haystack, _FIELDS, "there is nothing to walk")

    def unfold(self, *, open_: bool) -> None:
        """Open the branch; or close it, and where it is closed go to its parent."""
        node: Node | None = self.table.current
        if node is None:
            return
        if open_ and node.hop.children:
            self.opened.add(node.path)
        elif not open_ and node.open:
            self.opened.discard(node.path)
        elif not open_ and node.path:
            self.table.seek(node.path[:-1])
            return
        self.refilter()

    def drill(self) -> None:
        """Open a branch, or go to the rows of a corpus, or to the evidence."""
        node: Node | None = self.table.current
        if node is None:
            return
        if self.active == 0 and node.hop.children and not node.open:
            self.unfold(open_=True)
        elif _corpus_hash(node.hop):
            self.search(self.pattern)
            self.activate(2)
        else:
            self.activate(1)

    def select(self) -> None:
        """Show the hop's evidence."""
        node: Node | None = self.table.current
        if node is None:
            self.hop_pane.title("hop")
            self.hop_pane.turn("empty", "no hop is chosen")
            self.rows_pane.turn("empty", "this hop has no rows", "a corpus has; choose one in the tree")
            return
        self.hop_pane.title(f"{node.hop.kind}")
        self.hop_pane.turn("ready")
        lines = hop_lines(node.hop)
        cast("Doc", self.hop_pane.body).show(lambda _width: lines)
        found = _corpus_hash(node.hop)
        if found != self._hash or not found:
            self._hash = found
            self.rows_pane.title("rows")
            self.rows_pane.describe("")
            if found:
                self.rows_pane.turn("empty", "enter reads the rows; / searches them", "a Python regular expression")
            else:
                self.rows_pane.turn("empty", "this hop has no rows", "a corpus has; choose one in the tree")

    # rows ---------------------------------------------------------------------------------------------

    def search(self, pattern: str) -> None:
        """Look for rows of the corpus under the cursor."""
        node: Node | None = self.table.current
        dvc_hash = _corpus_hash(node.hop) if node is not None else ""
        if not dvc_hash:
            return
        self._hash, self.pattern = dvc_hash, pattern
        self.rows_pane.turn("loading", f"reading {short(dvc_hash)} …")
        self.ask("rows", lambda: self.desk.source.rows(dvc_hash, pattern or _ALL_ROWS), self._found)

    def _found(self, outcome: Outcome[Any]) -> None:
        if outcome.value is None:
            self.rows_pane.turn("error", outcome.error, outcome.hint)
            self.desk.failed(outcome)
            return
        found: Search = outcome.value
        asked = f"  /{found.pattern}" if found.pattern else ""
        self.rows_pane.describe(f"{found.matched:,} of {found.rows:,}{asked}")
        if not found.shown:
            self.rows_pane.turn(
                "nomatch", f"none of {found.rows:,} rows matches", f"{found.pattern}   every byte was hashed on the way"
            )
            return
        self.rows_pane.turn("ready")
        cast("Doc", self.rows_pane.body).show(lambda width: _row_lines(found, width))

    def _seek_corpus(self, dvc_hash: str) -> None:
        assert self.lineage is not None
        found = next((path for path, hop in _walk(self.lineage.root, ()) if _corpus_hash(hop) == dvc_hash), None)
        if found is None:
            return
        self.opened |= {found[:depth] for depth in range(len(found))}
        self.refilter()
        self.table.seek(found)
        self.search(self.pattern)
        self.activate(2)

    def asked(self) -> str:
        """In the rows the prompt is a pattern, in the tree a filter."""
        return self.pattern if self.active == 2 else self.filter_text

    def narrow(self, text: str) -> None:
        """In the rows the prompt waits for enter, in the tree it filters."""
        if self.active == 2:
            self.pattern = text
        else:
            self.set_filter(text)

    def settle(self) -> None:
        """Search the rows."""
        if self.active == 2:
            self.search(self.pattern)

    # words --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry hop under the cursor, else of the root."""
        node: Node | None = self.table.current
        if node is not None and node.hop.kind == "entry" and node.hop.evidence.get("sha"):
            return str(node.hop.evidence["sha"])
        return self.lineage.sha if self.lineage is not None else ""

    def reason(self, action: str) -> str | None:
        """Nothing can be checked before there is a walk."""
        return "there is no walk yet" if action in ("verify", "incident") and self.lineage is None else None

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the hop."""
        if self.lineage is None:
            return ()
        node: Node | None = self.table.current
        return (short(self.lineage.sha), *((node.hop.kind,) if node is not None and self.active else ()))

    def copies(self) -> list[tuple[str, str]]:
        """The hop's names, and the command that checks it."""
        node: Node | None = self.table.current
        if node is None:
            return []
        values = [(name, str(value)) for name, value in node.hop.evidence.items() if isinstance(value, str)]
        return [
            *values[:8],
            ("command", node.hop.command),
            ("walk command", f"spine lineage {short(self.target())} --json"),
        ]

    def export(self) -> tuple[str, Any] | None:
        """The whole walk."""
        return (f"lineage-{short(self.lineage.sha)}", builtins(self.lineage)) if self.lineage is not None else None


def hop_lines(hop: Hop) -> list[Line]:
    """What is known about one hop, and how to check it."""
    lines = [row(safe(" "), status(hop.status), safe("  "), safe(hop.label)), *heading("evidence"), *tree(hop.evidence)]
    return [*lines, *heading("to check it"), safe(f" {hop.command}")]


def _row_lines(found: Search, width: int) -> list[Line]:
    """The rows that matched, each around its match."""
    room = max(40, 3 * (width - 10))
    lines = [row(safe(f"{r.number:>8}  ", "faint"), safe(r.around(room), limit=room)) for r in found.shown]
    if found.matched > len(found.shown):
        lines.append(safe(f"          the first {len(found.shown)} of {found.matched:,}; / narrows", "muted"))
    return lines


def _label(node: Any) -> Line:
    branch = "▾" if node.open else "▸" if node.hop.children else "·"
    return row(
        safe("  " * len(node.path)),
        safe(f"{branch} ", "faint"),
        safe(f"{node.hop.kind:<9}", "muted"),
        safe(node.hop.label),
    )


def _nodes(hop: Hop, path: tuple[int, ...], opened: set[tuple[int, ...]], *, everything: bool) -> list[Node]:
    is_open = bool(hop.children) and (everything or path in opened)
    found = [Node(path=path, hop=hop, open=is_open)]
    if is_open:
        for number, child in enumerate(hop.children):
            found += _nodes(child, (*path, number), opened, everything=everything)
    return found


def _walk(hop: Hop, path: tuple[int, ...]) -> list[tuple[tuple[int, ...], Hop]]:
    return [(path, hop), *(pair for n, child in enumerate(hop.children) for pair in _walk(child, (*path, n)))]


def _corpus_hash(hop: Any) -> str:
    return str(hop.evidence.get("dvc_hash") or "") if hop.kind in ("corpus", "eval_set") else ""


_FIELDS = {"kind": lambda node: node.hop.kind, "status": lambda node: node.hop.status}
