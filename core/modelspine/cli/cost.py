"""``spine cost``: what each entry's answers cost, and how often they are right."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Cell, Out, share
from modelspine.cli.parser import Verbs, day
from modelspine.cli.progress import working
from modelspine.cost.format import money, sentences, standing
from modelspine.errors import Exit, Unavailable
from modelspine.signs import sign_of
from modelspine.spine import Spine
from modelspine.text import counted, visible
from modelspine.times import moment

if TYPE_CHECKING:
    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs

_COLUMNS = ("entry", "variant", "n", "right", "cost/1k", "CpQU", "per correct", "with idle/1k", "tokens/s", "standing")
_NUMERIC = ("n", "right", "cost/1k", "CpQU", "per correct", "with idle/1k", "tokens/s")
_OPTIONAL = ("variant", "tokens/s", "CpQU", "with idle/1k", "cost/1k")
"""Columns that a narrow terminal leaves out; accuracy and the price of a correct answer stay."""


def command(verbs: Verbs) -> None:
    """Add ``cost``."""
    parser = verbs.add("cost", "show the cost of each entry's answers and their accuracy", run,
                       example="spine cost --day 2026-11-22")  # fmt: skip
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: every day)")
    parser.add_argument("--at", type=moment, metavar="TIME", help="the cost as of this time")
    parser.add_argument("--traces", metavar="F", help="a file of sample traces in place of the store")
    parser.add_argument("--md", metavar="F", help="also write it to this file as Markdown")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Show the costs, and write them as a page where one is asked for."""
    from modelspine.cost.query import measured, sampled

    out = Out.of(args)
    if args.traces is not None:
        costs = sampled(Path(args.traces))
    else:
        with working("adding up") as progress:
            costs = measured(spine, args.day, datetime.now(UTC), partial(progress.step, "request"), at=args.at)
    if args.md is not None:
        try:
            Path(args.md).write_text("\n".join(markdown(costs)) + "\n", encoding="utf-8")
        except OSError as error:
            raise Unavailable(
                f"{visible(args.md, 120)} cannot be written: {error.strerror or error}", "name another file"
            ) from error
    if out.json:
        out.object(costs)
        return Exit.OK
    _draw(out, costs)
    return Exit.OK


def markdown(costs: Costs) -> list[str]:
    """The figures as a page."""
    lines = [
        "# Costs",
        "",
        f"{_requests(costs)} of {_code(costs.of)}; idle hours up to {costs.at:%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for cost in costs.entries:
        cells = [cell.text.replace("|", "\\|") for cell in _cells(cost)]
        lines.append("| " + " | ".join([_code(cells[0]), _code(cells[1]), *cells[2:]]) + " |")
    remarks = [sentence for cost in costs.entries for sentence in sentences(cost, costs.entries)]
    lines += ["", *[f"- {sentence}" for sentence in remarks]] if remarks else []
    return [*lines, "", *_NOTES]


_NOTES = [
    "A price is frozen on each trace when it is spent: stage seconds × rate / 3600, with the rate and its version.",
    "Seconds in the queue are a stage, so waiting costs: the price of a busy server is not that of an idle one.",
    "`spine cost --md FILE` makes this page of your own traces.",
    "",
    "- **cost/1k**: of 1,000 tokens, read and written: rate / (tokens per second · 3.6).",
    "- **CpQU**: cost/1k divided by the share of evaluated items answered right. Under 0.30 nothing is divided:",
    "  not-deployment-ready.",
    "- **per correct**: one request's cost divided by that share, between its Wilson 95 % bounds.",
    "- **with idle**: the same with every day that had requests counted whole, the present one up to now.",
    "- **n**: requests. Copies for a shadow are among them and not in the price, because they wait in no queue; where",
    "  an entry answered nobody, the price is theirs.",
    "- **a to b**: 95 % bounds, of a price between learners and between minutes, the wider ones; none where learners",
    "  are few.",
    "- **standing**: an entry is dominated where another is no dearer and no worse and one of the two intervals lies",
    "  apart; tied where both overlap; else on the frontier. A held entry has no standing.",
    "- **break-even**: (cost − parent's cost) / (accuracy − parent's accuracy), the price of one wrong answer from",
    "  which the dearer and better one pays.",
]


def _draw(out: Out, costs: Costs) -> None:
    if not costs.entries:
        out.line("no entry is registered yet")
        return
    out.table(_COLUMNS, [_cells(cost) for cost in costs.entries], right=_NUMERIC, optional=_OPTIONAL)
    for cost in costs.entries:
        for sentence in sentences(cost, costs.entries):
            out.paragraph(sentence, indent=2)
    out.line(f"{_requests(costs)} of {costs.of}")


def _requests(costs: Costs) -> str:
    return counted(costs.requests, "request")


def _cells(cost: EntryCost) -> tuple[Cell, ...]:
    tps = "–" if cost.tokens_per_second is None else f"{cost.tokens_per_second:,.0f}"
    per_1k = cost.cost_per_1k.value if cost.cost_per_1k else None
    per_correct = cost.cost_per_correct.value if cost.cost_per_correct else None
    unready = cost.readiness == "not-deployment-ready"
    texts = (
        entry_name(cost.sha, cost.semver),
        cost.variant or "–",
        f"{cost.requests:,}",
        share(cost.total.k, cost.total.n) if cost.total else "unknown",
        money(per_1k, cost.currency),
        "not ready" if unready else money(cost.cpqu, cost.currency),
        "not ready" if unready else money(per_correct, cost.currency),
        money(cost.amortised_per_1k, cost.currency),
        tps,
    )
    return (
        *(Cell(text) for text in texts),
        Cell(standing(cost), sign_of(cost.standing or "").role),
    )


def _code(text: str) -> str:
    return f"`{visible(text, 200).replace('`', '´')}`"
