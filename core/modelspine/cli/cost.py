"""``spine cost``: what each entry's answers cost, and how often they are right."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Cell, Out, share
from modelspine.cli.parser import Verbs, at_flag, day
from modelspine.cli.progress import working
from modelspine.cost.format import digits, general, live_price, live_right, price, sentences, standing
from modelspine.cost.left_out_text import left_out_sentences
from modelspine.cost.summary import as_object, choice_sentence, version_sentence
from modelspine.errors import Exit, Unavailable
from modelspine.signs import sign_of
from modelspine.spine import Spine
from modelspine.text import counted, visible
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.cost.basis import Basis
    from modelspine.cost.figures import EntryCost
    from modelspine.cost.query import Costs
    from modelspine.gate.eval_report import CostPerQuality

    Gate = Mapping[str, CostPerQuality | None]

_COLUMNS = ("entry", "price", "n", "right", "USD/M right", "live", "live with idle", "standing")
_NUMERIC = ("n", "right", "USD/M right", "live", "live with idle")
_OPTIONAL = ("price", "live with idle", "n")
"""Columns that a narrow terminal leaves out; accuracy and the prices of right answers stay."""
_UNIT = (
    "USD/M right: USD per million right answers, measured at the gate on the eval set. live: the same of the requests "
    "below, without and with the rent of idle time."
)


def command(verbs: Verbs) -> None:
    """Add ``cost``."""
    parser = verbs.add("cost", "show the cost of each entry's answers and their accuracy", run,
                       example="spine cost --day 2026-11-22")  # fmt: skip
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: every day)")
    at_flag(parser, "the cost as of this time")
    parser.add_argument("--traces", metavar="F", help="a file of sample traces in place of the store")
    parser.add_argument("--md", metavar="F", help="also write it to this file as Markdown")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Show the costs, and write them as a page where one is asked for."""
    from modelspine.cost.query import measured, sampled

    out = Out.of(args)
    gate: Gate = {}
    if args.traces is not None:
        costs = sampled(Path(args.traces))
    else:
        with working("adding up") as progress:
            costs = measured(spine, args.day, datetime.now(UTC), partial(progress.step, "request"), at=args.at)
        gate = {entry.sha: entry.cost_per_quality for entry in spine.registry.list(args.at)}
    if args.md is not None:
        try:
            Path(args.md).write_text("\n".join(markdown(costs, gate)) + "\n", encoding="utf-8")
        except OSError as error:
            raise Unavailable(
                f"{visible(args.md, 120)} cannot be written: {error.strerror or error}", "name another file"
            ) from error
    if out.json:
        out.object(as_object(costs))
        return Exit.OK
    _draw(out, costs, gate)
    return Exit.OK


def markdown(costs: Costs, gate: Gate | None = None) -> list[str]:
    """The figures as a page; ``gate`` has what right answers of each entry cost at the gate, by its SHA."""
    lines = [
        "# Costs",
        "",
        f"{_requests(costs)} of {_code(costs.of)}; as of {costs.at:%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in _rows(costs, gate or {}):
        cells = [cell.text.replace("|", "\\|") for cell in row]
        lines.append("| " + " | ".join([_code(cells[0]), _code(cells[1]), *cells[2:]]) + " |")
    remarks = _remarks(costs)
    lines += ["", *[f"- {sentence}" for sentence in remarks]] if remarks else []
    return [*lines, "", *_notes()]


def _notes() -> list[str]:
    """How to read the page."""
    return [*_NOTES, *_between_units(), *_MORE_NOTES]


def _between_units() -> tuple[str, str]:
    named = words().units
    first = f"- **a to b**: 95 % bounds, of a price between {named} and between minutes, the wider ones; none where"
    return first, f"  {named} are few."


_NOTES = [
    "A price is frozen on each trace with its currency, rate, number of workers and version: the request's share",
    "of one worker's busy seconds × rate / (3600 · workers), its `priced_by` is `busy/1`. The rate is the rent of",
    "the whole machine, of which each worker has an equal part. A batch's wall seconds are divided among its",
    "texts, those that failed included, so prices never add up to more than the rent; waiting in the queue costs",
    "nothing. Wall seconds are what the clock says: where other programs take the processor, a worker is busy for",
    "longer. A model listed in `[cost]` is billed by its tokens, `tokens/1`. Traces that do not tell the number",
    "of workers are older, and 1 is taken. Traces without `priced_by` are older and paid for waiting: their",
    "figures stand apart and are compared with nothing. `spine cost --md FILE` makes this page of your own",
    "traces.",
    "",
    "- **price**: version, rate and workers of the figures in the row. An entry has a row for each, the newest",
    "  first; prices of different versions, rates, workers or currencies are never added up or averaged.",
    "- **n**: requests with a price. Without one are those served while no rate was known. A shadow copy runs on",
    "  what the worker leaves idle and is charged nothing; an entry that answered nobody is shown at what its",
    "  copies would have cost as answers. Requests dated in the future are left out and counted. So are those of",
    "  testers, whose prices count as spent, and those of entries that are tombstoned or not registered.",
    "- **USD/M right**: USD per million right answers, the one unit of cost per quality. The gate measures it on the",
    "  eval set, under full load: [the definition](CONCEPTS.md#cost-per-million-right-answers). – where it was not.",
    "- **live**: the same of these requests: the price of graded and failed answers divided by those graded correct,",
    "  where there are grades (failures in proportion, where only some answers have one); else one answer's price",
    "  divided by the accuracy on the eval set; times 1,000,000. Between Wilson 95 % bounds. In USD, or in the",
    "  currency that is named.",
    "  Requests out of scope (or without any feature, where others have some) are not in it.",
    "- **live with idle**: with the rent of the recorded uptime of servers that no request paid for, apportioned by",
    "  day, rate and price version to what was answered then, but for testers. Unknown where no uptime was",
    "  recorded. The uptime of replayed traffic is simulated like its times: of each day, from the first request to",
    "  the last, once however many servers replayed it.",
    "- **a million tokens**: read and written: rate / (tokens per second of the machine, all of its workers busy,",
    "  · 0.0036). In the JSON, `cost_per_1k` is the price of 1,000, and `cpqu` that divided by the share of evaluated",
    "  items answered right. Under 0.30 nothing is divided: not-deployment-ready.",
]
_MORE_NOTES = [
    "- **standing**: an entry is dominated where another is no dearer and no worse and one of the two intervals",
    "  lies apart; tied where both overlap; else on the frontier. Compared are the newest prices of the same rent",
    "  and number of workers that two entries share. A held entry has no standing.",
    "- **break-even**: (cost − parent's cost) / (accuracy − parent's accuracy), the price of one wrong answer",
    "  from which the dearer and better one pays.",
    "",
    "Not in these figures: what the trace store, the network and people cost. Two servers on one machine are two",
    "rents; give each its part as `rate_per_hour`.",
]


def _draw(out: Out, costs: Costs, gate: Gate) -> None:
    if not costs.entries and not costs.requests:
        out.line("no entry is registered yet")
        return
    out.paragraph(choice_sentence(costs.entries))
    out.paragraph(version_sentence(costs.entries))
    out.table(_COLUMNS, _rows(costs, gate), right=_NUMERIC, optional=_OPTIONAL)
    out.paragraph(_UNIT)
    for sentence in _remarks(costs):
        out.paragraph(sentence, indent=2)
    out.line(f"{_requests(costs)} of {costs.of}")


def _remarks(costs: Costs) -> list[str]:
    """What the figures rest on and what they leave out."""
    lines = [sentence for cost in costs.entries for sentence in sentences(cost, costs.entries)]
    return [*lines, *left_out_sentences(costs), *general(costs.idle, costs.future, costs.at)]


def _rows(costs: Costs, gate: Gate) -> list[tuple[Cell, ...]]:
    """A row for each entry and price, the newest price first."""
    return [_cells(cost, basis, gate.get(cost.sha)) for cost in costs.entries for basis in cost.bases]


def _requests(costs: Costs) -> str:
    return counted(costs.requests, "request")


def _cells(cost: EntryCost, basis: Basis, gate: CostPerQuality | None) -> tuple[Cell, ...]:
    newest = basis is cost
    texts = (
        entry_name(cost.sha, cost.semver),
        price(basis) if basis.price_version is not None else "–",
        f"{basis.priced:,}",
        share(cost.total.k, cost.total.n) if cost.total else "unknown",
        digits(gate.usd) if newest and gate is not None else "–",
        live_right(cost, basis),
        live_price(basis.amortised_per_correct, basis.currency),
    )
    return (
        *(Cell(text) for text in texts),
        Cell(standing(cost), sign_of(cost.standing or "").role) if newest else Cell("earlier", "muted"),
    )


def _code(text: str) -> str:
    return f"`{visible(text, 200).replace('`', '´')}`"
