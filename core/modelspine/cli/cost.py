"""``spine cost``: what an answer costs, beside how often it is right."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.cli.output import Cell, Colour, Out, percent
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.cli.traces import day
from modelspine.cost.format import money, sentences, standing
from modelspine.errors import Exit, Unavailable
from modelspine.spine import Spine
from modelspine.text import short, visible
from modelspine.times import moment

if TYPE_CHECKING:
    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs

HEAD = ("entry", "variant", "n", "right", "cost/1k", "CpQU", "per correct", "with idle/1k", "tokens/s", "standing")
_COLOURS: dict[str | None, Colour] = {"frontier": "good", "tied": "warn", "dominated": "bad", None: "dim"}


def command(verbs: Verbs) -> None:
    """Add ``cost``."""
    parser = verbs.add("cost", "show the cost of each entry's answers and their accuracy", run,
                       example="spine cost --day 2026-11-22")  # fmt: skip
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: every day)")
    parser.add_argument("--at", type=moment, metavar="TIME", help="the cost as of this time")
    parser.add_argument("--traces", metavar="F", help="a file of sample traces in place of the store")
    parser.add_argument("--md", metavar="F", help="also write it to this file as Markdown")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Add it up and show it."""
    from modelspine.cost.query import measured, sampled

    out = Out.of(args)
    if args.traces is not None:
        made = sampled(Path(args.traces))
    else:
        with working("adding up") as progress:
            made = measured(spine, args.day, datetime.now(UTC), partial(progress.step, "request"), at=args.at)
    if args.md is not None:
        try:
            Path(args.md).write_text("\n".join(markdown(made)) + "\n", encoding="utf-8")
        except OSError as error:
            raise Unavailable(
                f"{visible(args.md, 120)} cannot be written: {error.strerror or error}", "name another file"
            ) from error
    if out.json:
        out.object(made)
        return Exit.OK
    _human(out, made)
    return Exit.OK


def markdown(made: Costs) -> list[str]:
    """The figures as a page."""
    lines = [
        "# Costs",
        "",
        f"{_requests(made)} of {_code(made.of)}; idle hours up to {made.at:%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for cost in made.entries:
        cells = [cell.text.replace("|", "\\|") for cell in _cells(cost)]
        lines.append("| " + " | ".join([_code(cells[0]), _code(cells[1]), *cells[2:]]) + " |")
    told = [sentence for cost in made.entries for sentence in sentences(cost, made.entries)]
    lines += ["", *[f"- {sentence}" for sentence in told]] if told else []
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


def _human(out: Out, made: Costs) -> None:
    if not made.entries:
        out.line("no entry is registered yet")
        return
    right = ("n", "right", "cost/1k", "CpQU", "per correct", "with idle/1k", "tokens/s")
    out.table(HEAD, [_cells(cost) for cost in made.entries], right=right)
    for cost in made.entries:
        for sentence in sentences(cost, made.entries):
            for piece in out.wrapped(sentence, 2):
                out.line(f"  {piece}")
    out.line(f"{_requests(made)} of {visible(made.of, 120)}")


def _requests(made: Costs) -> str:
    return f"{made.requests:,} request{'' if made.requests == 1 else 's'}"


def _cells(cost: EntryCost) -> tuple[Cell, ...]:
    tps = "–" if cost.tokens_per_second is None else f"{cost.tokens_per_second:,.0f}"
    per_1k = cost.cost_per_1k.value if cost.cost_per_1k else None
    per_correct = cost.cost_per_correct.value if cost.cost_per_correct else None
    unready = cost.readiness == "not-deployment-ready"
    texts = (
        visible(f"{cost.semver} {short(cost.sha)}" if cost.semver else short(cost.sha), 40),
        visible(cost.variant, 20) or "–",
        f"{cost.requests:,}",
        percent(cost.total.k, cost.total.n) if cost.total else "unknown",
        money(per_1k, cost.currency),
        "not ready" if unready else money(cost.cpqu, cost.currency),
        "not ready" if unready else money(per_correct, cost.currency),
        money(cost.amortised_per_1k, cost.currency),
        tps,
    )
    return (*(Cell(text) for text in texts), Cell(standing(cost), _COLOURS[cost.standing]))


def _code(text: str) -> str:
    return f"`{visible(text, 200).replace('`', '´')}`"
