"""Drawing a lineage: a tree for a terminal, a Mermaid flowchart for a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelspine.cli.event_text import hop_status
from modelspine.cli.output import Out
from modelspine.lineage.walker import Hop
from modelspine.text import visible

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-_/:–…✔•✖‼")


def lines(out: Out, hop: Hop, *, lead: str = "", turn: str = "", below: str = "") -> Iterator[str]:
    """The lines of a tree: branch, status, kind, label, and why where a check failed."""
    status = hop_status(hop.status)
    label = f"{hop.kind}  {visible(hop.label, 160)}"
    yield f"{lead}{turn}{out.paint(status.text, status.colour)}  {label}"
    why = hop.evidence.get("why")
    inner = lead + below
    if why:
        yield f"{inner}{'│  ' if hop.children else '   '}{visible(str(why), 240)}"
    for number, child in enumerate(hop.children, 1):
        last = number == len(hop.children)
        yield from lines(out, child, lead=inner, turn="└─ " if last else "├─ ", below="   " if last else "│  ")


def mermaid(root: Hop) -> Iterator[str]:
    """The lines of a flowchart, with everything in a label that Mermaid could read written as an entity."""
    yield "flowchart TD"
    left: list[tuple[Hop, str | None]] = [(root, None)]
    number = 0
    while left:
        hop, parent = left.pop()
        name = f"n{number}"
        number += 1
        yield f'    {name}["{_escaped(f"{hop_status(hop.status).text} {hop.kind}: {visible(hop.label, 160)}")}"]'
        if parent is not None:
            yield f"    {parent} --> {name}"
        left.extend((child, name) for child in reversed(hop.children))


def _escaped(text: str) -> str:
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in text)
