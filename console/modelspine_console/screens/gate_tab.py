"""The gate tab of one entry: its newest gate run, the signatures under its promotions, and the comparison made now.

Pure drawing of core's values; the rows and their words are those of ``spine gate``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from modelspine.gate.table import HEAD, RIGHT, table
from modelspine.text import short
from modelspine_console.draw.format import age, gate_word, heading, pairs, status
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, folded, row, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated

_ROLES: dict[str, Role] = {"blocked": "bad", "warn": "warn"}
_LAST = ("may lose", "against", "lost", "gained", "before", "p", "95 % of now")
"""Columns that are left out where there is no room, the last of them first."""
_NAME = 14
"""Fewest cells of a bucket's name."""
_HEADS = tuple(
    Head(title, right=title in RIGHT, rank=_LAST.index(title) + 1 if title in _LAST else 0,
         least=_NAME if title == "bucket" else None)
    for title in HEAD
)  # fmt: skip


def gate(position: Position, compared: Gated | None, now: datetime, width: int) -> list[Line]:
    """Everything the gate says of an entry."""
    lines = [*heading("newest gate run")[1:], *_run(position, now)]
    lines += [*heading("signatures"), *_signatures(position, now)]
    lines += heading("compared now with the baseline and production")
    if compared is None:
        return [*lines, safe(" press v to compare; nothing is written", "muted")]
    return [*lines, *_comparison(compared, width)]


def _run(position: Position, now: datetime) -> list[Line]:
    gated = position.gated
    if gated is None:
        return [safe(" it was never gated: `spine gate` writes a run down", "warn")]
    body = gated.body
    stable = body.get("stable")
    lines = pairs(
        [
            (
                "result",
                row(
                    gate_word(str(body.get("result"))),
                    safe(f"  #{gated.seq}  ", "muted"),
                    age(gated.at, now),
                    safe(" ago", "muted"),
                ),
            ),
            ("baseline", safe(short(str(body.get("baseline") or "–")))),
            ("production then", safe(short(str(stable)) if stable else "none")),
        ]
    )
    return lines + [row(safe(" ! ", "warn"), safe(each, "warn")) for each in position.outdated]


def _signatures(position: Position, now: datetime) -> list[Line]:
    if not position.signatures:
        return [safe(" it was never promoted, so no verdict stands under it", "muted")]
    return pairs(
        [
            (each.semver, row(status(each.status), safe("  "), age(each.at, now), safe(f" ago  {each.summary}")))
            for each in position.signatures
        ]
    )


def _comparison(compared: Gated, width: int) -> list[Line]:
    decision = compared.decision
    stable = f"production {short(compared.stable)}" if compared.stable else "nothing in production"
    lines = [row(safe(" "), gate_word(decision.result), safe(f"  baseline and {stable}", "muted"))]
    lines += [row(safe("   ✖ ", "bad"), safe(each)) for each in decision.reasons]
    lines += [row(safe("   ! ", "warn"), safe(each)) for each in decision.warnings]
    lines = [part for line in lines for part in folded(line, width)]
    listed = table(decision)
    if not listed:
        return lines
    rows = [[safe(cell, _ROLES.get(line.state, "")) for cell in line.cells] for line in listed]
    return [*lines, safe(""), *grid(_HEADS, rows, width)]
