"""The Lineage screen: the walk from an entry up to its run, code, corpora and parent, as a tree.

Branches are closed until they are opened. It draws core's hops; what each of them is worth, core decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins, heading, status, tree
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.screens.base import Fields, View, document
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine.lineage.corpora import Search
    from modelspine.lineage.walker import Hop, Lineage

Path = tuple[int, ...]
"""The place of a hop in the tree: the number of the child at each depth."""
_NO_ROWS = ("this hop has no rows", "select a corpus in the tree")
_MAX_VALUES = 8
"""Values of a hop's evidence that the copy menu offers."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A hop at its place in the tree."""

    path: Path
    hop: Any
    open: bool


class LineageView(View):
    """Hops, as a tree."""

    NAME = "lineage"
    BESIDE_FROM = 56
    FIELDS: ClassVar[Fields] = {
        "kind": lambda node: node.hop.kind,
        "label": lambda node: node.hop.label,
        "status": lambda node: node.hop.status,
    }

    def __init__(self) -> None:
        columns = (
            Column("hop", 30, _label, grow=True),
            Column("status", 13, lambda node: status(node.hop.status), rank=1),
        )
        super().__init__(Table(columns, lambda node: node.path), document("hop"), document("rows"))
        self.rows_pane = self.panes[2]
        self.ref = ""
        self.lineage: Lineage | None = None
        self._every: tuple[list[Node], list[str]] = ([], [])
        """The nodes of all branches with their texts, in which a filter searches."""
        self.opened: set[Path] = {()}
        self.pattern = ""
        self._hash = ""
        """Hash of the corpus whose rows are shown, or to be shown when the walk is there."""

    @property
    def _node(self) -> Node | None:
        node: Node | None = self.table.current
        return node

    # the walk -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Walk again, from production if no entry was named."""
        self._walk_from(verify=False)

    def verify(self) -> None:
        """Walk again and hash every byte on the way."""
        self.list.describe("hashing …")
        self._walk_from(verify=True)

    def _walk_from(self, *, verify: bool) -> None:
        ref = self.ref or "production"

        def walk() -> tuple[Lineage, list[Node], list[str]]:
            found = self.desk.source.lineage(ref, verify=verify)
            nodes = _nodes(found.root, (), set(), everything=True)
            return found, nodes, self.texts(nodes)

        self.ask("walk", walk, self._walked)

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

    def _walked(self, outcome: Outcome[tuple[Lineage, list[Node], list[str]]]) -> None:
        self.list.describe("")
        if outcome.value is None and not self.ref:
            # Nothing is in production and no entry was named: there is nothing to walk from, and nothing failed.
            self.list.turn("empty", outcome.error, "`:lineage REF` names an entry")
            self.about.turn("empty", "no hop selected")
        elif outcome.value is None:
            self.lost(outcome)
        else:
            fresh = self.lineage is None
            self.lineage, nodes, texts = outcome.value
            self._every = nodes, texts
            self.list.title(f"lineage of {short(self.lineage.sha)}")
            self.refilter()
            if fresh and self._hash:
                self._seek_corpus(self._hash)
            self.select()

    # the tree -----------------------------------------------------------------------------------------

    def refilter(self) -> None:
        """Lay out the open branches; a filter searches closed ones too."""
        if self.lineage is None:
            return
        if self.filter.terms:
            nodes, texts = self._every
        else:
            nodes, texts = _nodes(self.lineage.root, (), self.opened, everything=False), []
        self.show_rows(nodes, texts, "nothing to walk")

    def unfold(self, *, open_: bool) -> None:
        """Open the branch; or close it, or go to its parent if it is closed already."""
        node = self._node
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
        """Open a branch, or go to the rows of a corpus or to the evidence of any other hop."""
        node = self._node
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
        """Show the evidence of the hop under the cursor."""
        node = self._node
        if node is None:
            self.about.title("hop")
            self.about.turn("empty", "no hop selected")
            self.rows_pane.turn("empty", *_NO_ROWS)
            return
        self.about.title(node.hop.kind)
        lines = _hop_lines(node.hop)
        self.about.show(lambda _width: lines)
        corpus = _corpus_hash(node.hop)
        if corpus != self._hash or not corpus:
            self._hash = corpus
            self.rows_pane.title("rows")
            self.rows_pane.describe("")
            message = ("Enter: read the rows · /: search them", "with a Python regular expression")
            self.rows_pane.turn("empty", *(message if corpus else _NO_ROWS))

    # rows ---------------------------------------------------------------------------------------------

    def search(self, pattern: str) -> None:
        """Search the rows of the corpus under the cursor; an empty pattern matches all of them."""
        dvc_hash = _corpus_hash(self._node.hop) if self._node is not None else ""
        if not dvc_hash:
            return
        self._hash, self.pattern = dvc_hash, pattern
        self.rows_pane.turn("loading", f"reading {short(dvc_hash)} …")
        self.ask("rows", lambda: self.desk.source.rows(dvc_hash, pattern), self._found)

    def _found(self, outcome: Outcome[Search]) -> None:
        found = outcome.value
        if found is None:
            self.lost(outcome, self.rows_pane)
            return
        asked = f"  /{found.pattern}" if found.pattern else ""
        self.rows_pane.describe(f"{found.matched:,} of {found.rows:,}{asked}")
        if found.shown:
            self.rows_pane.show(lambda width: _row_lines(found, width))
        else:
            searched = f"{found.pattern}   the bytes of the corpus were verified"
            self.rows_pane.turn("nomatch", f"no matches in {found.rows:,} rows", searched)

    def _seek_corpus(self, dvc_hash: str) -> None:
        """Open the branches down to a corpus and search it."""
        path = next((node.path for node in self._every[0] if _corpus_hash(node.hop) == dvc_hash), None)
        if path is not None:
            self.opened |= {path[:depth] for depth in range(len(path))}
            self.refilter()
            self.table.seek(path)
            self.search(self.pattern)
            self.activate(2)

    def asked(self) -> str:
        """The text a prompt starts with: a pattern for the rows, a filter for the tree."""
        return self.pattern if self.active == 2 else self.filter_text

    def narrow(self, text: str) -> None:
        """Filter the tree at once; a pattern for the rows waits for enter, because a search reads the whole corpus."""
        if self.active == 2:
            self.pattern = text
        else:
            self.set_filter(text)

    def settle(self) -> None:
        """Search the rows."""
        if self.active == 2:
            self.search(self.pattern)

    # names --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry hop under the cursor, else of the root."""
        node = self._node
        if node is not None and node.hop.kind == "entry" and node.hop.evidence.get("sha"):
            return str(node.hop.evidence["sha"])
        return self.lineage.sha if self.lineage is not None else ""

    def reason(self, action: str) -> str | None:
        """Nothing can be verified before the walk is there."""
        return "no lineage is loaded" if action in ("verify", "incident") and self.lineage is None else None

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the hop."""
        if self.lineage is None:
            return ()
        node = self._node
        return (short(self.lineage.sha), *((node.hop.kind,) if node is not None and self.active else ()))

    def copies(self) -> list[tuple[str, str]]:
        """The values of the hop's evidence, and the commands that verify it."""
        node = self._node
        if node is None:
            return []
        values = [(name, value) for name, value in node.hop.evidence.items() if isinstance(value, str)]
        walk = f"spine lineage {short(self.target())} --json"
        return [*values[:_MAX_VALUES], ("command", node.hop.command), ("walk command", walk)]

    def export(self) -> tuple[str, Any] | None:
        """The whole walk."""
        return (f"lineage-{short(self.lineage.sha)}", builtins(self.lineage)) if self.lineage is not None else None


def _hop_lines(hop: Hop) -> list[Line]:
    lines = [row(safe(" "), status(hop.status), safe("  "), safe(hop.label)), *heading("evidence"), *tree(hop.evidence)]
    return [*lines, *heading("verify with"), safe(f" {hop.command}")]


def _row_lines(found: Search, width: int) -> list[Line]:
    """The rows that matched, each cut to the text around its match."""
    room = max(40, 3 * (width - 10))  # folded, a row takes about three lines
    lines = []
    for each in found.shown:
        file = safe(f"{each.file}  " if each.file else "", "muted", limit=40)
        lines.append(row(safe(f"{each.number:>8}  ", "faint"), file, safe(each.around(room), limit=room)))
    if found.matched > len(found.shown):
        lines.append(safe(f"          first {len(found.shown)} of {found.matched:,} matches; / to narrow", "muted"))
    return lines


def _label(node: Any) -> Line:
    branch = "▾" if node.open else "▸" if node.hop.children else "·"
    kind = safe(f"{node.hop.kind:<9}", "muted")
    return row(safe("  " * len(node.path)), safe(f"{branch} ", "faint"), kind, safe(node.hop.label))


def _nodes(hop: Hop, path: Path, opened: set[Path], *, everything: bool) -> list[Node]:
    """A hop and the hops of its open branches, or of all of them, in the order they are drawn."""
    is_open = bool(hop.children) and (everything or path in opened)
    children = enumerate(hop.children) if is_open else ()
    below = [node for n, child in children for node in _nodes(child, (*path, n), opened, everything=everything)]
    return [Node(path=path, hop=hop, open=is_open), *below]


def _corpus_hash(hop: Any) -> str:
    """The DVC hash of a hop that has rows; empty for any other."""
    return str(hop.evidence.get("dvc_hash") or "") if hop.kind in ("corpus", "eval_set") else ""
