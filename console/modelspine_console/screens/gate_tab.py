"""The gate tab of one entry: its newest gate run, the signatures of its promotions, and a comparison made on request.

Pure drawing of core's values; the rows and their words are those of ``spine gate``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from modelspine.gate.table import HEAD, RIGHT, table
from modelspine.signs import sign_of
from modelspine.text import short
from modelspine_console.draw.format import ago, bullet, heading, pairs, status
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, folded, row, safe

if TYPE_CHECKING:
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated

_OPTIONAL = ("may lose", "against", "lost", "gained", "before", "p", "95 % of now")
"""Columns that are left out where there is no room, the last of them first."""
_MIN_NAME = 14
"""Cells to which a bucket's name may be cut before another column is left out."""
_HEADS = tuple(
    Head(title, right=title in RIGHT, rank=_OPTIONAL.index(title) + 1 if title in _OPTIONAL else 0,
         least=_MIN_NAME if title == "bucket" else None)
    for title in HEAD
)  # fmt: skip


def gate(position: Position, compared: Gated | None, now: datetime, width: int, *, key: str = "v") -> list[Line]:
    """The newest gate run, the signatures, and the comparison if one was made; ``key`` is pressed to make one."""
    lines = [*heading("newest gate run")[1:], *_run(position, now)]
    lines += [*heading("signatures"), *_signatures(position, now)]
    lines += heading("comparison with the baseline and production")
    if compared is None:
        return [*lines, safe(f" press {key} to compare now; nothing is recorded", "muted")]
    return [*lines, *_comparison(compared, width)]


def _run(position: Position, now: datetime) -> list[Line]:
    gated = position.gated
    if gated is None:
        return [safe(" never gated; `spine gate` records a run", "warn")]
    body = gated.body
    result = row(status(str(body.get("result"))), safe(f"  #{gated.seq}  ", "muted"), ago(gated.at, now))
    stable = safe(short(str(body["stable"])) if body.get("stable") else "none")
    baseline = safe(short(str(body.get("baseline") or "–")))
    lines = pairs([("result", result), ("baseline", baseline), ("production then", stable)])
    return lines + [bullet("!", each, "warn") for each in position.outdated]


def _signatures(position: Position, now: datetime) -> list[Line]:
    if not position.signatures:
        return [safe(" never promoted, so there is no verdict to verify", "muted")]
    return pairs(
        (each.semver, row(status(each.status), safe("  "), ago(each.at, now), safe(f"  {each.summary}")))
        for each in position.signatures
    )


def _comparison(compared: Gated, width: int) -> list[Line]:
    decision = compared.decision
    stable = f"production {short(compared.stable)}" if compared.stable else "nothing in production"
    lines = [row(safe(" "), status(decision.result), safe(f"  baseline and {stable}", "muted"))]
    lines += [row(safe("  "), bullet("✖", each, "bad", text_role="")) for each in decision.reasons]
    lines += [row(safe("  "), bullet("!", each, "warn", text_role="")) for each in decision.warnings]
    lines = [part for line in lines for part in folded(line, width)]
    listed = table(decision)
    if not listed:
        return lines
    rows = [[safe(cell, "" if line.state == "ok" else sign_of(line.state).role) for cell in line.cells]
            for line in listed]  # fmt: skip
    return [*lines, safe(""), *grid(_HEADS, rows, width)]
