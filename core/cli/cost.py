"""``spine cost``: what an answer costs, beside how often it is right."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.parser import Verbs
from core.cli.progress import working
from core.cli.render import Cell, Colour, Out, percent
from core.cli.traces import day
from core.errors import Exit, Unavailable
from core.spine import Spine
from core.text import short, visible

if TYPE_CHECKING:
    from core.cost import EntryCost, Range
    from core.costday import Costs

HEAD = ("entry", "variant", "n", "right", "cost/1k", "CpQU", "per correct", "with idle/1k", "tokens/s", "standing")
_STANDING: dict[str | None, tuple[str, Colour]] = {
    "frontier": ("● frontier", "good"),
    "tied": ("◐ tied", "warn"),
    "dominated": ("✖ dominated", "bad"),
    None: ("–", "dim"),
}
_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def command(verbs: Verbs) -> None:
    """Add ``cost``."""
    parser = verbs.add("cost", "what each entry's answers cost, beside how often they are right", run,
                       example="spine cost --day 2026-11-22")  # fmt: skip
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: every day)")
    parser.add_argument("--traces", metavar="F", help="a sample of traces in place of the store's")
    parser.add_argument("--md", metavar="F", help="also write it to this file, as Markdown")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Add it up and show it."""
    from core.costday import measured, sampled

    out = Out.of(args)
    if args.traces is not None:
        made = sampled(Path(args.traces))
    else:
        with working("adding up") as progress:
            made = measured(spine, args.day, datetime.now(UTC), partial(progress.step, "request"))
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


def money(value: float | None, currency: str | None) -> str:
    """An amount with its unit, in the largest of 1, m, µ, n that leaves a digit before the point."""
    if value is None or currency is None:
        return "unknown"
    name = visible(currency, 8)
    if not value:
        return f"0 {name}"
    scale, sign = next(((s, sign) for s, sign in _SCALES if abs(value) >= s), _SCALES[-1])
    amount = value / scale
    return f"{amount:,.0f} {sign}{name}" if abs(amount) >= 999.5 else f"{amount:.3g} {sign}{name}"


def markdown(made: Costs) -> list[str]:
    """The figures as a page."""
    lines = [
        "# Costs",
        "",
        f"{made.requests:,} requests of {_code(made.of)}; idle hours up to {made.at:%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for cost in made.entries:
        cells = [cell.text.replace("|", "\\|") for cell in _cells(cost)]
        lines.append("| " + " | ".join([_code(cells[0]), _code(cells[1]), *cells[2:]]) + " |")
    told = [sentence for cost in made.entries for sentence in _sentences(cost, made)]
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
    "- **standing**: an entry is dominated where another is no dearer and no worse and one of the two intervals lies",
    "  apart; tied where both overlap; else on the frontier.",
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
        for sentence in _sentences(cost, made):
            for piece in out.wrapped(sentence, 2):
                out.line(f"  {piece}")
    out.line(f"{made.requests:,} requests of {visible(made.of, 120)}")


def _cells(cost: EntryCost) -> tuple[Cell, ...]:
    standing, colour = _STANDING[cost.standing]
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
    return (*(Cell(text) for text in texts), Cell(standing, colour))


def _sentences(cost: EntryCost, made: Costs) -> list[str]:
    """What a row of the table cannot say."""
    name = visible(cost.semver or short(cost.sha), 40)
    told = []
    if cost.cost_per_correct is not None and cost.accuracy is not None:
        told.append(
            f"{name}: a correct answer costs {_between(cost.cost_per_correct, cost.currency)}"
            f" ({money(cost.amortised_per_correct, cost.currency)} with idle hours);"
            f" 1,000 tokens {_between(cost.cost_per_1k, cost.currency)}; n {cost.priced:,}."
        )
    if cost.readiness == "not-deployment-ready":
        told.append(f"{name}: not-deployment-ready, under 30 % of its evaluated items are right; nothing is divided.")
    if cost.priced < cost.requests:
        told.append(f"{name}: {cost.requests - cost.priced:,} of {cost.requests:,} requests have no price.")
    if cost.shadow:
        told.append(f"{name}: {cost.shadow:,} of {cost.requests:,} requests were shadow copies.")
    if cost.unexplained is not None and cost.unexplained > 0.001:
        told.append(f"{name}: frozen prices differ from stage seconds × rate by {100 * cost.unexplained:.2f} %.")
    if (even := _even(cost, made)) is not None:
        told.append(f"{name}: {even}")
    return told


def _even(cost: EntryCost, made: Costs) -> str | None:
    even = cost.break_even
    if even is None:
        return None
    parent = next(c.semver or short(c.sha) for c in made.entries if c.sha == even.parent_sha)
    against = f"against its parent {visible(parent, 40)}"
    points = f"{100 * even.accuracy_difference:+.1f} pp right, {_signed(even.cost_difference, cost.currency)} a request"
    if even.pays == "always":
        return f"pays at any price {against} ({points})."
    if even.pays == "never":
        return f"pays at no price {against} ({points})."
    where = "at least" if even.pays == "above" else "at most"
    return f"pays {against} where one wrong answer costs {where} {money(even.price, cost.currency)} ({points})."


def _signed(value: float, currency: str | None) -> str:
    return ("+" if value > 0 else "") + money(value, currency)


def _between(figure: Range | None, currency: str | None) -> str:
    if figure is None:
        return "unknown"
    if figure.low is None or figure.high is None:
        return money(figure.value, currency)
    return f"{money(figure.value, currency)} ({money(figure.low, currency)} to {money(figure.high, currency)})"


def _code(text: str) -> str:
    return f"`{visible(text, 200).replace('`', '´')}`"
