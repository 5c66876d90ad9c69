"""``spine diff A B --traffic``: what users would have been told by two entries, from the texts of stored requests.

It draws what ``incident.counterfactual`` finds, and does not know how the entries are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Out, Piece, share
from modelspine.cli.progress import working
from modelspine.errors import Exit
from modelspine.ledger.store import storage_errors
from modelspine.registry.entries import Entry
from modelspine.spine import Spine
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.incident.counterfactual import Counterfactual


def compare_traffic(out: Out, spine: Spine, a: Entry, b: Entry, *, since: str | None) -> int:
    """Put the texts of stored requests to two entries and show the finding.

    Raises:
        BadInput: no stored request has a text.
        Unavailable, Damaged: an entry's bytes are not here or not what its SHA says; the workload fails.
    """
    from modelspine.incident.counterfactual import basis, counterfactual, sentence

    with working("asking both entries") as progress, storage_errors():
        found = counterfactual(
            spine, a.sha, b.sha, since=since, progress=lambda done, total: progress.step("", done, total)
        )
    names = (entry_name(a.sha, a.semver), entry_name(b.sha, b.semver))
    finding = sentence(found, *(entry.semver or entry.sha[:12] for entry in (a, b)))
    if out.json:
        out.object({"sentence": finding, **msgspec.to_builtins(found)})
        return Exit.OK
    out.paragraph(finding)
    out.line()
    _draw_scores(out, found, names)
    _draw_mistakes(out, found, names)
    out.line()
    out.paragraph(basis(found))
    return Exit.OK


def _draw_scores(out: Out, found: Counterfactual, names: tuple[str, str]) -> None:
    judged = found.requests - found.ungraded
    rows = [
        (name, share(side.right, judged), f"{side.only_right:,}", f"{side.false_accepts:,}")
        for name, side in zip(names, (found.a, found.b), strict=True)
    ]
    head = ("entry", "right", "only this one right", words().false_accepts)
    out.table(head, rows, right=head[1:])


def _draw_mistakes(out: Out, found: Counterfactual, names: tuple[str, str]) -> None:
    """The wrong texts that one entry passes as right and the other does not, by kind."""
    rows: list[tuple[Piece, ...]] = [
        (name, mistake.label, f"{mistake.users:,}", f"{mistake.requests:,}", mistake.examples[0])
        for name, side in zip(names, (found.a, found.b), strict=True)
        for mistake in side.mistakes
    ]
    if rows:
        out.line()
        head = ("only accepted by", "mistake", words().units, "requests", "example")
        out.table(head, rows, right=(words().units, "requests"), optional=("example", "requests"))
