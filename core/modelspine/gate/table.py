"""A decision as the rows of a table, and as Markdown for a job summary. Blocked rows come first.

Bucket names and item ids come from a report and are untrusted: they are made safe to display, and in Markdown they
cannot start markup, end a cell or mention a user. It does not colour or print.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from modelspine.gate.reasons import change_text, signed
from modelspine.gate.result import AnchorRow, Decision, GateResult, Row, ScoreRow
from modelspine.signs import sign_of
from modelspine.text import visible

HEAD = ("", "bucket", "before", "now", "Δ pp", "may lose", "lost", "gained", "95 % of now", "p", "against")
RIGHT = frozenset({"before", "now", "Δ pp", "may lose", "lost", "gained", "p"})
_ORDER = ("blocked", "warn", "ok")
_PLAIN = re.compile(r"[A-Za-z0-9_./ :=+-]*[A-Za-z0-9][A-Za-z0-9_./ :=+-]*")
_IDS = 8


class Line(msgspec.Struct, frozen=True):
    """One line of the table: its state, and its cells in the order of ``HEAD``, safe to display."""

    state: Literal["blocked", "warn", "ok"]
    cells: tuple[str, ...]
    still: bool = False
    """True for a bucket in which no item changed."""


def table(decision: Decision) -> list[Line]:
    """Every line, also those of totals and false accepts: blocked ones first, then warnings, largest losses on top."""
    rows = [(name, row) for name, row in decision.buckets.items()]
    listed = [_bucket(name, row) for name, row in sorted(rows, key=lambda pair: (pair[1].delta_pp, pair[0]))]
    listed += [_score(name, row) for name, row in decision.scores.items()]
    for each in decision.compared:
        listed += _extra(each)
    return sorted(listed, key=lambda line: _ORDER.index(line.state))


def markdown(decision: Decision, *, limit: int | None = 300) -> str:
    """The decision as GitHub Markdown; a job summary has a size limit, so the table keeps ``limit`` lines."""
    told = [f"### {sign_of(decision.result).glyph} Gate: {decision.result}", ""]
    told += [f"- ✖ {_inert(reason)}" for reason in decision.reasons]
    told += [f"- ! {_inert(warning)}" for warning in decision.warnings]
    listed = table(decision)
    if listed:
        kept = listed[:limit] if limit is not None else listed
        rule = ["---:" if name in RIGHT else ":---" for name in HEAD]
        told += ["", f"| {' | '.join(HEAD)} |", f"| {' | '.join(rule)} |"]
        for line in kept:
            mark, name, *rest = line.cells
            told.append(f"| {mark} | {_code(name)} | {' | '.join(rest)} |")
        if len(kept) < len(listed):
            told += ["", _more(listed[len(kept) :])]
        told += ["", *(f"- {_inert(flip)}" for flip in lost_items(decision))]
    return "\n".join(told).rstrip() + "\n"


def _extra(compared: GateResult) -> list[Line]:
    found = []
    if compared.total is not None:
        found.append(_line("total", compared.total))
    if compared.false_accept is not None:
        found.append(_line("false accepts", compared.false_accept))
    if compared.anchor is not None:
        found.append(_anchored(compared.anchor))
    for item, kept in compared.never_regress.items():
        state: Literal["blocked", "ok"] = "ok" if kept else "blocked"
        word = "right" if kept else "wrong"
        cells = (
            sign_of(state).glyph,
            f"never: {visible(item, 53)}",
            "right",
            word,
            "",
            "",
            "",
            "",
            "",
            "",
            compared.against,
        )
        found.append(Line(state, cells))
    return found


def _bucket(name: str, row: Row) -> Line:
    """A bucket's line, with ``still`` set if no item flipped."""
    # Equal counts do not suffice: as many items may have become wrong as became correct.
    line = _line(name, row)
    still = line.state == "ok" and row.base == row.cand and row.flips_lost == () == row.flips_gained
    return msgspec.structs.replace(line, still=still)


def _line(name: str, row: Row) -> Line:
    state: Literal["blocked", "warn", "ok"] = "blocked" if row.blocked else "warn" if row.warn else "ok"
    low, high = row.wilson
    p = row.mcnemar_p if row.holm_p is None else row.holm_p
    cells = (
        sign_of(state).glyph,
        _named(name),
        f"{row.base.k:,}/{row.base.n:,}",
        f"{row.cand.k:,}/{row.cand.n:,}",
        signed(row.delta_pp),
        f"{row.tolerance_items:,}",
        "–" if row.flips_lost is None else f"{len(row.flips_lost):,}",
        "–" if row.flips_gained is None else f"{len(row.flips_gained):,}",
        f"{100 * low:.1f} … {100 * high:.1f}",
        "–" if p is None else f"{p:.2g}",
        row.against,
    )
    return Line(state, cells)


def _score(name: str, row: ScoreRow) -> Line:
    """A score's line. It has no interval and no flips: it is no share of items that were right."""
    state: Literal["blocked", "ok"] = "blocked" if row.blocked else "ok"
    unit = "pp" if row.base.scale == "rate" else "%"
    cells = (
        sign_of(state).glyph,
        f"{_named(name)} ({row.base.better} is better)",
        row.base.text,
        row.cand.text,
        change_text(row).removesuffix(" pp"),
        f"{row.tolerance} {unit}",
        *["–"] * 4,
        row.against,
    )
    return Line(state, cells)


def _named(name: str) -> str:
    return visible(name, 60) if name.strip() else f"“{visible(name, 58)}”"


def _anchored(row: AnchorRow) -> Line:
    state: Literal["blocked", "ok"] = "blocked" if row.blocked else "ok"
    before, now = (f"{count.k:,}/{count.n:,}" for count in (row.base, row.cand))
    return Line(
        state,
        (sign_of(state).glyph, "total", before, now, signed(row.delta_pp), f"{row.budget_pp} pp", *[""] * 4, "anchor"),
    )


def lost_items(decision: Decision) -> list[str]:
    """The items lost in each blocked or warned bucket, by id."""
    found = []
    for name, row in decision.buckets.items():
        if (row.blocked or row.warn) and row.flips_lost:
            some = ", ".join(visible(item, 40) for item in row.flips_lost[:_IDS])
            more = len(row.flips_lost) - _IDS
            found.append(f"lost in {_named(name)}: {some}{f' and {more:,} more' if more > 0 else ''}")
    return found[:_IDS]


def _more(left: Sequence[Line]) -> str:
    blocked = sum(line.state == "blocked" for line in left)
    return f"… and {len(left):,} more lines, {blocked:,} of them blocked"


def _code(text: str) -> str:
    """A name as Markdown code, so that nothing in it acts as markup, a link or a mention."""
    return f"`{text}`" if _PLAIN.fullmatch(text) else f"<code>{_entities(text)}</code>"


def _inert(text: str) -> str:
    """A sentence that contains untrusted names, with every word that could act as markup escaped as code."""
    return "".join(f"<code>{_entities(word)}</code>" if _odd(word) else word for word in re.split(r"(\s+)", text))


def _odd(word: str) -> bool:
    """Whether markup, a link or a mention could start in a word; an underscore inside a word starts none."""
    return re.search(r"[@#`*<>&|\\\[\]~!$^{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|://|www\.", word) is not None


def _entities(text: str) -> str:
    return "".join(c if c.isalnum() or ord(c) > 0x7F or c in " /.,-" else f"&#{ord(c)};" for c in text)
